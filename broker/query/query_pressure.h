/* What keeps the memory of a query server bounded whatever its peers do: beyond a total, those make
 * room who have kept others waiting longest. Room-internal; of the loop's thread. */

#ifndef BROKER_QUERY_QUERY_PRESSURE_H
#define BROKER_QUERY_QUERY_PRESSURE_H

#include "broker/query/query_conn.h"

/* Count anew what this connection keeps of requests that are not whole; while all of them together
 * keep more than `input_bytes_max`, close the one that began first. */
void query_pressure_input(struct query_conn *c);

/* Whether one more answer may be started. At `answers_max` one that has waited for credit longer
 * than `write_timeout_ms` ends with UNAVAILABLE and leaves its place. */
bool query_pressure_answer(struct query_server *s);

#endif /* BROKER_QUERY_QUERY_PRESSURE_H */
