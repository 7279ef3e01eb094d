/* Whether a request of the query protocol makes sense; pure. What is wrong is told by field and
 * byte, in a sentence for the person who typed it. */

#ifndef BROKER_QUERY_QUERY_CHECK_H
#define BROKER_QUERY_QUERY_CHECK_H

#include "proto/frame.h"

/* QUERY_WORDS_MAX: of a write. */
enum { QUERY_WORDS_MAX = 65536 };
enum { QUERY_FAULT_TEXT_BYTES = 200, QUERY_FAULT_FIELD_BYTES = 96 };

struct query_fault {
    Hejnal__V1__Error__Code code;
    uint32_t position; /* From 1; 0: the field as a whole. */
    char field[QUERY_FAULT_FIELD_BYTES];
    char text[QUERY_FAULT_TEXT_BYTES];
};

/* Fill in a fault; for what only the server can know. */
__attribute__((format(printf, 4, 5))) void query_fault_set(struct query_fault *f,
                                                           Hejnal__V1__Error__Code code,
                                                           const char *field, const char *format,
                                                           ...);

/* Each: E_MALFORMED, and `*fault` says why, or OK. */
MUST_USE enum err query_check_filter(const char *filter, struct query_fault *fault);
MUST_USE enum err query_check_query(const Hejnal__V1__Query *q, struct query_fault *fault);
MUST_USE enum err query_check_write(const Hejnal__V1__Write *w, struct query_fault *fault);

/* The whole request, by its kind. */
MUST_USE enum err query_check_request(const frame_request *r, struct query_fault *fault);

/* Bits of enum query_aggregate asked for; those of a checked query are all known. */
uint32_t query_check_aggregates(const Hejnal__V1__Query *q);

#endif /* BROKER_QUERY_QUERY_CHECK_H */
