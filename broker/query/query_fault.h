/* What is wrong with a request: told by field and byte, in a sentence for the person who typed it.
 */

#ifndef BROKER_QUERY_QUERY_FAULT_H
#define BROKER_QUERY_QUERY_FAULT_H

#include "proto/frame.h"

enum { QUERY_FAULT_TEXT_BYTES = 200, QUERY_FAULT_FIELD_BYTES = 96 };

struct query_fault {
    Hejnal__V1__Error__Code code;
    uint32_t position; /* From 1; 0: the field as a whole. */
    char field[QUERY_FAULT_FIELD_BYTES];
    char text[QUERY_FAULT_TEXT_BYTES];
};

__attribute__((format(printf, 4, 5))) void query_fault_set(struct query_fault *f,
                                                           Hejnal__V1__Error__Code code,
                                                           const char *field, const char *format,
                                                           ...);

/* INVALID. Returns E_MALFORMED. */
enum err query_fault_at(struct query_fault *f, const char *field, size_t position,
                        const char *text);

#endif /* BROKER_QUERY_QUERY_FAULT_H */
