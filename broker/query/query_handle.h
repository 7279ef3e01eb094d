/* One small handler for each kind of request. Room-internal. */

#ifndef BROKER_QUERY_QUERY_HANDLE_H
#define BROKER_QUERY_QUERY_HANDLE_H

#include "broker/query/query_conn.h"

/* Takes the request over. */
void query_handle(struct query_conn *c, frame_request *r);

/* The kinds that have a file of their own; the request was checked. They copy what they keep. */
void query_run_start(struct query_conn *c, uint32_t id, const Hejnal__V1__Query *q);
void query_list_last(struct query_conn *c, uint32_t id, const Hejnal__V1__LastRequest *last);
void query_list_series(struct query_conn *c, uint32_t id, const Hejnal__V1__SeriesRequest *series);
void query_tail_start(struct query_conn *c, uint32_t id, const char *filter);
void query_report_stats(struct query_conn *c, uint32_t id);
void query_report_rejects(struct query_conn *c, uint32_t id);
void query_admin_start(struct query_conn *c, uint32_t id, const Hejnal__V1__Admin *admin);
void query_delete_start(struct query_conn *c, uint32_t id, const Hejnal__V1__Delete *request);
/* Takes the request over: its points are fed to ingest as room allows. */
void query_write_start(struct query_conn *c, frame_request *r);
void query_tag_start(struct query_conn *c, frame_request *r);

/* Takers of letters and news; `context` is the server. */
void query_tail_take(void *context, struct letter *letter);
void query_admin_take(void *context, struct letter *letter);
void query_delete_take(struct admin_letter *letter);
void query_write_on_done(struct query_server *s, uint64_t number, enum err result);
void query_write_on_turn(struct query_server *s);
void query_tag_on_done(struct query_server *s, uint64_t number, enum err result);
void query_tag_on_turn(struct query_server *s);

#endif /* BROKER_QUERY_QUERY_HANDLE_H */
