/* What a Query message asks for, as storage's request; its filter is looked at elsewhere
 * (query_check.h). Pure. */

#ifndef BROKER_QUERY_QUERY_ASK_H
#define BROKER_QUERY_QUERY_ASK_H

#include "broker/query/query_fault.h"
#include "storage/read/query.h"

/* E_MALFORMED, and `*fault` says why, or OK. Whether its time zone exists is not looked at. */
MUST_USE enum err query_ask_check(const Hejnal__V1__Query *q, struct query_fault *fault);

/* The request of a checked message, without filter, zone, `where` and limits of the server. The
 * window is cut to times that points can have. */
void query_ask_read(const Hejnal__V1__Query *q, struct query_request *out);

#endif /* BROKER_QUERY_QUERY_ASK_H */
