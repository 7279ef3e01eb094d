/* What the server says of itself: statistics and the last rejects, made on a worker. */

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/topic.h"
#include "broker/query/query_handle.h"
#include "broker/query/query_task.h"
#include "broker/threads/metrics.h"
#include "broker/threads/rejects.h"
#include "storage/engine.h"

/* X(member of struct engine_stats, dotted name, unit) */
#define ENGINE_MAP(X)                                                                              \
    X(rows, "store.rows.written", "")                                                              \
    X(points, "store.points.written", "")                                                          \
    X(head_rows, "store.head.rows", "")                                                            \
    X(head_bytes, "store.head.bytes", "bytes")                                                     \
    X(journal_bytes, "store.journal.bytes", "bytes")                                               \
    X(journal_position, "store.journal.position", "")                                              \
    X(commits, "store.commits", "")                                                                \
    X(commit_failures, "store.commits.failed", "")                                                 \
    X(duplicates, "store.duplicates", "")                                                          \
    X(overwritten, "store.overwritten", "")                                                        \
    X(checkpoints, "store.checkpoints", "")                                                        \
    X(checkpoint_failures, "store.checkpoints.failed", "")                                         \
    X(seals, "store.seals", "")                                                                    \
    X(seal_failures, "store.seals.failed", "")                                                     \
    X(corrupt_chunks, "store.corrupt.chunks", "")                                                  \
    X(tag_bytes, "store.tags.memory", "bytes")                                                     \
    X(tags_refused, "store.tags.refused", "")                                                      \
    X(corrupt_catalogue, "store.corrupt.catalogue", "")                                            \
    X(corrupt_records, "store.corrupt.records", "")                                                \
    X(groups, "store.groups", "")                                                                  \
    X(series, "store.series", "")                                                                  \
    X(texts, "store.texts", "")                                                                    \
    X(sealed, "store.partitions.sealed", "")                                                       \
    X(partitions, "store.partitions", "")                                                          \
    X(disk_bytes, "store.disk.bytes", "bytes")                                                     \
    X(partitions_quarantined, "store.partitions.quarantined", "")                                  \
    X(deletes, "store.deletes", "")                                                                \
    X(deletes_waiting, "store.deletes.waiting", "")                                                \
    X(sweeps, "store.sweeps", "")                                                                  \
    X(partitions_dropped, "store.partitions.dropped", "")

/* More than there are. */
enum { STATS_MAX = 128 };
_Static_assert(METRICS + 32 < STATS_MAX, "room for all");

struct stats {
    size_t count;
    Hejnal__V1__Stat stat[STATS_MAX], *list[STATS_MAX];
};

static void add_stat(struct stats *s, const char *name, double value, const char *unit)
{
    Hejnal__V1__Stat *stat = &s->stat[s->count];
    CHECK(s->count < STATS_MAX);
    hejnal__v1__stat__init(stat);
    stat->name = query_frame_lend(name);
    stat->value = value;
    stat->unit = query_frame_lend(unit);
    s->list[s->count++] = stat;
}

static void add_engine(struct stats *s, struct engine *engine)
{
    struct engine_stats stats;
    engine_stats(engine, &stats);
#define ADD(member, name, unit) add_stat(s, name, (double)stats.member, unit);
    ENGINE_MAP(ADD)
#undef ADD
}

/* Resident memory, from /proc; 0 where there is none. */
static double resident_bytes(void)
{
    char text[128] = "";
    FILE *file = fopen("/proc/self/statm", "re");
    if (file == NULL) {
        return 0;
    }
    size_t size = fread(text, 1, sizeof text - 1, file);
    (void)fclose(file);
    text[size] = 0;
    char *pages = text;
    (void)strtoull(text, &pages, 10); /* The first figure is virtual. */
    return (double)strtoull(pages, NULL, 10) * (double)sysconf(_SC_PAGESIZE);
}

static enum err step_stats(struct query_task *t)
{
    const struct query_server *s = t->conn->server;
    Hejnal__V1__StatsReply reply = HEJNAL__V1__STATS_REPLY__INIT;
    frame_response part = HEJNAL__V1__RESPONSE__INIT;
    struct stats stats;

    stats.count = 0;
    add_engine(&stats, s->options.engine);
    for (unsigned i = 0; i < METRICS; i++) {
        add_stat(&stats, metrics_name((enum metric)i), (double)metrics_read((enum metric)i),
                 metrics_unit((enum metric)i));
    }
    add_stat(&stats, "process.memory", resident_bytes(), "bytes");
    add_stat(&stats, "process.uptime", (double)(clock_now_ms() - s->started_ms) / 1e3, "s");
    reply.n_stat = stats.count;
    reply.stat = stats.list;
    part.body_case = HEJNAL__V1__RESPONSE__BODY_STATS;
    part.stats = &reply;
    t->rows = stats.count;
    TRY(query_task_put(t, &part));
    return E_END;
}

/* A topic may have been cut inside a character, and a protobuf string is UTF-8. */
static void copy_topic(const struct reject *r, char to[REJECT_TOPIC_BYTES + 1])
{
    size_t size = r->topic_bytes;
    while (size > 0 && !topic_is_utf8((struct bytes){r->topic, size})) {
        size--;
    }
    memcpy(to, r->topic, size);
    to[size] = 0;
}

struct rejects {
    struct reject reject[REJECTS_KEPT];
    char topic[REJECTS_KEPT][REJECT_TOPIC_BYTES + 1];
    Hejnal__V1__Reject message[REJECTS_KEPT], *list[REJECTS_KEPT];
};

static void fill_reject(struct rejects *r, unsigned i)
{
    struct reject *from = &r->reject[i];
    Hejnal__V1__Reject *to = &r->message[i];

    hejnal__v1__reject__init(to);
    copy_topic(from, r->topic[i]);
    to->time_ns = from->time_ns;
    to->topic = r->topic[i];
    to->reason = query_frame_lend(from->reason);
    to->payload = (ProtobufCBinaryData){from->payload_bytes, from->payload};
    to->payload_bytes = from->payload_full_bytes;
    r->list[i] = to;
}

static enum err step_rejects(struct query_task *t)
{
    Hejnal__V1__RejectsReply reply = HEJNAL__V1__REJECTS_REPLY__INIT;
    frame_response part = HEJNAL__V1__RESPONSE__INIT;
    struct rejects *r = malloc(sizeof *r);
    if (r == NULL) {
        return E_NO_MEMORY;
    }
    unsigned count = rejects_copy(r->reject, REJECTS_KEPT);
    for (unsigned i = 0; i < count; i++) {
        fill_reject(r, i);
    }
    reply.n_reject = count;
    reply.reject = r->list;
    part.body_case = HEJNAL__V1__RESPONSE__BODY_REJECTS;
    part.rejects = &reply;
    t->rows = count;
    enum err e = count == 0 ? OK : query_task_put(t, &part);
    free(r);
    return e == OK ? E_END : e;
}

static void start(struct query_conn *c, uint32_t id, const struct query_task_kind *kind)
{
    struct query_task *t = query_task_create(c, id, kind);
    if (t != NULL) {
        query_task_go(t);
    }
}

void query_report_stats(struct query_conn *c, uint32_t id)
{
    static const struct query_task_kind kind = {.bytes = sizeof(struct query_task),
                                                .step = step_stats};
    start(c, id, &kind);
}

void query_report_rejects(struct query_conn *c, uint32_t id)
{
    static const struct query_task_kind kind = {.bytes = sizeof(struct query_task),
                                                .step = step_rejects};
    start(c, id, &kind);
}
