/* Whether a request of the query protocol makes sense; pure. What is wrong is told by field and
 * byte, in a sentence for the person who typed it. */

#ifndef BROKER_QUERY_QUERY_CHECK_H
#define BROKER_QUERY_QUERY_CHECK_H

#include "broker/query/query_fault.h"

enum { QUERY_WORDS_MAX = 65536 }; /* Of a write. */

/* Each: E_MALFORMED, and `*fault` says why, or OK. */
MUST_USE enum err query_check_filter(const char *filter, struct query_fault *fault);
MUST_USE enum err query_check_query(const Hejnal__V1__Query *q, struct query_fault *fault);
/* `numbers`: so many series have a number on the connection. */
MUST_USE enum err query_check_write(const Hejnal__V1__Write *w, uint32_t numbers,
                                    struct query_fault *fault);

/* The whole request, by its kind. */
MUST_USE enum err query_check_request(const frame_request *r, uint32_t numbers,
                                      struct query_fault *fault);

#endif /* BROKER_QUERY_QUERY_CHECK_H */
