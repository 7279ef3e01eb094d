/* A query server on a real engine in a directory of its own, on a loop and a thread of its own: for
 * tests that talk to it through its socket. */

#ifndef TESTS_LIB_QUERY_WORLD_H
#define TESTS_LIB_QUERY_WORLD_H

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/thread.h"
#include "broker/query/query_server.h"
#include "broker/threads/listener.h"
#include "clients/hejnal.h"
#include "tests/lib/test.h"

enum {
    TIMEOUT_MS = 20000,
    HELLO_MS = 300,
    OUTPUT_BYTES = 256 << 10,
    SERIES_MAX = 5000,
    TEXTS_MAX = 1000
};
enum { RETENTION_S = 20 * 365 * 86400 };

static struct {
    char directory[64];
    struct engine *engine;
    struct workers *workers;
    struct store_thread *store;
    struct loop *loop;
    struct ingest *ingest;
    struct query_server *server;
    struct listener listener;
    struct thread thread;
    unsigned port;
    struct hejnal *h;
} w;

static uint32_t w_numbers_max; /* Set before set_up(); 0: the default. */

static const int64_t start_ns = INT64_C(1767225600000000000);
static const int64_t second_ns = INT64_C(1000000000);

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *at)
{
    (void)status;
    (void)kind;
    (void)at;
    return remove(path);
}

static void on_accept(void *context, int fd, const struct sockaddr_storage *peer)
{
    query_server_accept(context, fd, peer);
}

static void on_stop(void *context, struct letter *letter)
{
    (void)context;
    (void)letter;
    listener_stop(&w.listener);
    query_server_stop(w.server);
    loop_stop(w.loop);
}

static void run_loop(void *loop)
{
    loop_run(loop);
}

static void build(void)
{
    const struct engine_options engine = {.directory = w.directory,
                                          .texts_max = TEXTS_MAX,
                                          .series_max = SERIES_MAX,
                                          .partition_s = 604800,
                                          .journal_bytes = 64 << 20,
                                          .journal_map = 256 << 20,
                                          .keep_s = RETENTION_S};
    const struct ingest_options ingest = {.parcels = 8};
    struct query_server_options options;
    int fd;
    assert_ok(engine_open(&engine, &w.engine));
    engine_keep(w.engine, start_ns);
    assert_ok(workers_create(2, &w.workers));
    assert_ok(store_create(w.engine, w.workers, &w.store));
    assert_ok(loop_create(0, &w.loop));
    assert_ok(ingest_create(w.loop, w.engine, w.store, &ingest, &w.ingest));
    query_server_options_init(&options);
    options.hello_timeout_ms = HELLO_MS;
    options.output_bytes_max = OUTPUT_BYTES;
    options.series_max = SERIES_MAX / 2;
    if (w_numbers_max > 0) {
        options.numbers_max = w_numbers_max;
    }
    options.ingest = w.ingest;
    options.engine = w.engine;
    options.store = w.store;
    options.workers = w.workers;
    assert_ok(query_server_create(w.loop, &options, &w.server));
    ingest_watch_turns(w.ingest);
    loop_on_letter(w.loop, LETTER_STOP, on_stop, NULL);
    assert_ok(listener_open("127.0.0.1", 0, &fd, &w.port));
    listener_start(&w.listener, w.loop, fd, on_accept, w.server);
    assert_ok(store_run(w.store));
    assert_ok(thread_start(&w.thread, "loop", run_loop, w.loop));
}

static inline int set_up(void **state)
{
    (void)state;
    memset(&w, 0, sizeof w);
    log_set_level(LOG_ERROR);
    (void)snprintf(w.directory, sizeof w.directory, "/tmp/hejnal_query_XXXXXX");
    assert_non_null(mkdtemp(w.directory));
    build();
    assert_int_equal(hejnal_connect("127.0.0.1", w.port, TIMEOUT_MS, &w.h), HEJNAL_OK);
    return 0;
}

static inline int tear_down(void **state)
{
    static struct letter stop = {LETTER_STOP};
    (void)state;
    hejnal_close(w.h);
    assert_ok(mailbox_post(loop_mailbox(w.loop), &stop));
    thread_join(&w.thread);
    store_stop(w.store);
    workers_destroy(w.workers);
    loop_take_letters(w.loop);
    query_server_destroy(w.server);
    ingest_destroy(w.ingest);
    loop_destroy(w.loop);
    engine_close(w.engine);
    assert_int_equal(nftw(w.directory, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
    return 0;
}

/* `rows` rows a second apart of `path`, value = row number. */
static inline void write_rows(const char *path, unsigned rows)
{
    struct hejnal_batch *b;
    assert_int_equal(hejnal_batch_create(&b), HEJNAL_OK);
    assert_int_equal(hejnal_batch_section(b, path, NULL, 0), HEJNAL_OK);
    for (unsigned i = 0; i < rows; i++) {
        const double value = i;
        assert_int_equal(hejnal_batch_row(b, start_ns + i * second_ns, &value, 1), HEJNAL_OK);
    }
    assert_int_equal(hejnal_write(w.h, b), HEJNAL_OK);
    hejnal_batch_destroy(b);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

#endif /* TESTS_LIB_QUERY_WORLD_H */
