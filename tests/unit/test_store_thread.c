#include "broker/threads/store_thread.h"

#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "broker/threads/metrics.h"
#include "broker/threads/tails.h"
#include "tests/lib/test.h"

/* An engine that only takes notes, so that every answer of the real one can be had at will. */
struct engine {
    atomic_uint commits, batches, begun, ran, ended, retained, to_seal, sealed, snapshots, to_bury,
        to_trim;
    atomic_int result, run_result;
    atomic_bool wants;
    uint64_t last_counter; /* Store thread only. */
};

enum err engine_write(struct engine *e, struct batch *const *batches, unsigned count)
{
    const enum err result = (enum err)atomic_load(&e->result);
    for (unsigned i = 0; i < count; i++) {
        assert_true(batches[i]->counter == e->last_counter + 1); /* In order of posting. */
        e->last_counter = batches[i]->counter;
        batches[i]->result = result;
    }
    atomic_fetch_add(&e->commits, 1);
    atomic_fetch_add(&e->batches, count);
    return result;
}

bool engine_wants_checkpoint(const struct engine *e)
{
    return atomic_load(&e->wants);
}

enum err engine_checkpoint_begin(struct engine *e)
{
    if (atomic_load(&e->batches) == 0) {
        return E_END;
    }
    atomic_fetch_add(&e->begun, 1);
    atomic_store(&e->wants, false);
    return OK;
}

enum err engine_checkpoint_run(struct engine *e)
{
    atomic_fetch_add(&e->ran, 1);
    return (enum err)atomic_load(&e->run_result);
}

enum err engine_checkpoint_end(struct engine *e, enum err run)
{
    atomic_fetch_add(&e->ended, 1);
    return run;
}

enum err engine_delete(struct engine *e, const struct engine_delete *d, uint64_t *series)
{
    (void)e;
    (void)d;
    *series = 0;
    return OK;
}

void engine_keep(struct engine *e, int64_t wall_ns)
{
    assert_true(wall_ns > 0);
    atomic_fetch_add(&e->retained, 1);
}

enum err engine_seal_begin(struct engine *e, const struct engine_seal_request *request)
{
    if (atomic_load(&e->to_seal) == 0) {
        return E_END;
    }
    assert_true(request->seal_all);
    return OK;
}

enum err engine_seal_run(struct engine *e)
{
    return (enum err)atomic_load(&e->run_result);
}

enum err engine_seal_end(struct engine *e, enum err run)
{
    atomic_fetch_sub(&e->to_seal, 1);
    atomic_fetch_add(&e->sealed, 1);
    return run;
}

bool engine_wants_compact(const struct engine *e)
{
    (void)e;
    return false;
}

void engine_compact(struct engine *e)
{
    (void)e;
}

uint64_t engine_position(const struct engine *e)
{
    (void)e;
    return 0;
}

void engine_seal_stop(struct engine *e)
{
    (void)e;
}

enum err engine_snapshot_begin(struct engine *e, const char *name)
{
    assert_int_equal(atomic_load(&e->begun), atomic_load(&e->ended)); /* No checkpoint runs. */
    return strcmp(name, "taken") == 0 ? E_DENIED : OK;
}

enum err engine_snapshot_run(struct engine *e)
{
    return (enum err)atomic_load(&e->run_result);
}

enum err engine_snapshot_end(struct engine *e, enum err run)
{
    atomic_fetch_add(&e->snapshots, 1);
    return run;
}

enum err engine_snapshot_remove(struct engine *e, const char *name)
{
    (void)e;
    (void)name;
    return E_NOT_FOUND;
}

bool engine_wants_trim(const struct engine *e)
{
    return atomic_load(&e->to_trim) > 0;
}

enum err engine_trim(struct engine *e)
{
    atomic_fetch_sub(&e->to_trim, 1);
    return OK;
}

bool engine_wants_burial(const struct engine *e)
{
    return atomic_load(&e->to_bury) > 0;
}

void engine_bury(struct engine *e)
{
    atomic_fetch_sub(&e->to_bury, 1);
}

enum { PARCELS = 300, RECORD_BYTES = 100 };

struct world {
    struct engine engine;
    struct workers *workers;
    struct store_thread *store;
    struct mailbox *home;
    struct parcel parcels[PARCELS];
    struct batch batches[PARCELS];
    uint8_t record[RECORD_BYTES];
};

static struct world w;

static int set_up(void **state)
{
    (void)state;
    memset(&w, 0, sizeof w);
    memset(w.record, 7, sizeof w.record);
    assert_ok(workers_create(1, &w.workers));
    assert_ok(mailbox_create(1024, &w.home));
    for (unsigned i = 0; i < PARCELS; i++) {
        w.batches[i] = (struct batch){
            .record = w.record, .record_bytes = RECORD_BYTES, .rows = 1, .points = 1};
        w.batches[i].counter = i + 1;
        w.parcels[i] = (struct parcel){.batch = &w.batches[i], .home = w.home};
    }
    assert_ok(store_start(&w.engine, w.workers, &w.store));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    store_stop(w.store);
    workers_destroy(w.workers);
    mailbox_destroy(w.home);
    return 0;
}

static struct letter *await_letter(void)
{
    void *letter;
    while (mailbox_take(w.home, &letter) != OK) {
        mailbox_wait(w.home, -1);
    }
    return letter;
}

static void post(unsigned first, unsigned count)
{
    for (unsigned i = first; i < first + count; i++) {
        assert_ok(store_post(w.store, &w.parcels[i]));
    }
}

static void take_home(unsigned first, unsigned count, enum err result)
{
    for (unsigned i = first; i < first + count; i++) {
        struct letter *letter = await_letter();
        assert_int_equal(letter->kind, LETTER_BATCH);
        assert_ptr_equal(letter, &w.parcels[i]);
        assert_int_equal(w.batches[i].result, result);
    }
}

static void batches_come_home_in_order_and_share_commits(void **state)
{
    (void)state;
    post(0, PARCELS);
    take_home(0, PARCELS, OK);
    assert_int_equal(atomic_load(&w.engine.batches), PARCELS);
    assert_true(atomic_load(&w.engine.commits) <= PARCELS);
}

static void a_failing_disk_is_told_and_tried_again(void **state)
{
    (void)state;
    atomic_store(&w.engine.result, E_NO_SPACE);
    post(0, 3);
    take_home(0, 3, E_NO_SPACE);
    post(3, 3);
    take_home(3, 3, E_NO_SPACE);
    atomic_store(&w.engine.result, OK);
    post(6, 3);
    take_home(6, 3, OK);
}

static void ask_checkpoint(struct admin_letter *admin)
{
    *admin = (struct admin_letter){.reply = w.home};
    assert_ok(store_post_admin(w.store, admin));
}

static void an_asked_checkpoint_is_answered_when_it_is_done(void **state)
{
    struct admin_letter admin[2];
    (void)state;
    ask_checkpoint(&admin[0]);
    assert_ptr_equal(await_letter(), &admin[0]); /* Nothing to do is done at once. */
    assert_int_equal(admin[0].result, OK);
    assert_int_equal(atomic_load(&w.engine.ran), 0);

    post(0, 1);
    ask_checkpoint(&admin[0]);
    ask_checkpoint(&admin[1]);
    take_home(0, 1, OK);
    assert_ptr_equal(await_letter(), &admin[0]);
    assert_ptr_equal(await_letter(), &admin[1]);
    assert_int_equal(admin[1].result, OK);
    assert_true(atomic_load(&w.engine.ended) >= 1);

    atomic_store(&w.engine.run_result, E_IO);
    ask_checkpoint(&admin[0]);
    assert_ptr_equal(await_letter(), &admin[0]);
    assert_int_equal(admin[0].result, E_IO);
    atomic_store(&w.engine.run_result, OK);
}

static void an_asked_sealing_checkpoints_and_seals_all(void **state)
{
    struct admin_letter admin = {.command = ADMIN_SEAL, .reply = w.home};
    (void)state;
    post(0, 1);
    take_home(0, 1, OK);
    atomic_store(&w.engine.to_seal, 3);
    assert_ok(store_post_admin(w.store, &admin));
    assert_ptr_equal(await_letter(), &admin);
    assert_int_equal(admin.result, OK);
    assert_int_equal(atomic_load(&w.engine.ended), 1);
    assert_int_equal(atomic_load(&w.engine.sealed), 3);
}

static void snapshots_are_made_one_after_another(void **state)
{
    static const char *const names[] = {"a", "taken", "b"};
    struct admin_letter admin[3], gone = {.command = ADMIN_SNAPSHOT_REMOVE, .reply = w.home};
    (void)state;
    post(0, 1);
    take_home(0, 1, OK);
    for (int i = 0; i < 3; i++) {
        admin[i] = (struct admin_letter){.command = ADMIN_SNAPSHOT, .reply = w.home};
        snprintf(admin[i].name, sizeof admin[i].name, "%s", names[i]);
        assert_ok(store_post_admin(w.store, &admin[i]));
    }
    for (int i = 0; i < 3; i++) {
        assert_ptr_equal(await_letter(), &admin[i]);
        assert_int_equal(admin[i].result, i == 1 ? E_DENIED : OK);
    }
    assert_int_equal(atomic_load(&w.engine.snapshots), 2);
    assert_ok(store_post_admin(w.store, &gone));
    assert_ptr_equal(await_letter(), &gone);
    assert_int_equal(gone.result, E_NOT_FOUND);
}

static void large_files_are_buried_one_job_after_another(void **state)
{
    (void)state;
    atomic_store(&w.engine.to_bury, 3);
    for (unsigned i = 0; i < 1000 && atomic_load(&w.engine.to_bury) > 0; i++) {
        post(i, 1);
        take_home(i, 1, OK);
    }
    assert_int_equal(atomic_load(&w.engine.to_bury), 0);
}

static void trimming_goes_on_though_nobody_writes(void **state)
{
    (void)state;
    atomic_store(&w.engine.to_trim, 20);
    post(0, 1);
    take_home(0, 1, OK);
    for (int i = 0; i < 500 && atomic_load(&w.engine.to_trim) > 0; i++) {
        (void)poll(NULL, 0, 10); /* Less than the store thread sleeps for once. */
    }
    assert_int_equal(atomic_load(&w.engine.to_trim), 0);
}

static void a_full_journal_starts_a_checkpoint_and_stopping_another(void **state)
{
    (void)state;
    atomic_store(&w.engine.wants, true);
    post(0, 1);
    take_home(0, 1, OK);
    store_stop(w.store);
    w.store = NULL;
    assert_int_equal(atomic_load(&w.engine.begun), 2);
    assert_int_equal(atomic_load(&w.engine.ran), 2);
    assert_int_equal(atomic_load(&w.engine.ended), 2);
}

static void stopping_writes_what_was_posted(void **state)
{
    (void)state;
    post(0, 100);
    store_stop(w.store);
    w.store = NULL;
    assert_int_equal(atomic_load(&w.engine.batches), 100);
    take_home(0, 100, OK);
}

static void tails_get_every_durable_batch_and_no_other(void **state)
{
    struct mailbox *loops[2];
    void *letter;
    (void)state;
    for (int i = 0; i < 2; i++) {
        assert_ok(mailbox_create(16, &loops[i]));
        store_tail_add(w.store, loops[i]);
    }
    store_tail_add(w.store, loops[0]);
    post(0, 1);
    take_home(0, 1, OK);
    memset(w.record, 9, sizeof w.record); /* The loan is a copy. */
    for (int i = 0; i < 2; i++) {
        assert_ok(mailbox_take(loops[i], &letter));
        struct committed *c = letter;
        assert_int_equal(c->letter.kind, LETTER_COMMITTED);
        assert_int_equal(store_committed_entries(c).size, RECORD_BYTES - BATCH_HEADER_BYTES);
        assert_int_equal(store_committed_entries(c).at[0], 7);
        store_release(w.store, c);
        assert_int_equal(mailbox_take(loops[i], &letter), E_END);
    }
    store_tail_remove(w.store, loops[1]);
    store_tail_remove(w.store, loops[0]); /* It has one tail left. */
    atomic_store(&w.engine.result, E_IO);
    post(1, 1);
    take_home(1, 1, E_IO);
    assert_int_equal(mailbox_take(loops[0], &letter), E_END);
    atomic_store(&w.engine.result, OK);

    const int64_t dropped = metrics_read(METRIC_TAIL_DROPPED);
    post(2, 20); /* Sixteen slots, one of which stays free. */
    take_home(2, 20, OK);
    assert_int_equal(metrics_read(METRIC_TAIL_DROPPED) - dropped, 5);
    while (mailbox_take(loops[0], &letter) == OK) {
        store_release(w.store, letter);
    }
    post(22, 1);
    take_home(22, 1, OK);
    assert_ok(mailbox_take(loops[0], &letter));
    assert_int_equal(((struct committed *)letter)->missed_points, 5);
    assert_int_equal(mailbox_take(loops[1], &letter), E_END);
    store_tail_remove(w.store, loops[0]); /* What is lent still is freed with the store. */
    store_stop(w.store);
    w.store = NULL;
    mailbox_destroy(loops[0]);
    mailbox_destroy(loops[1]);
}

int main(void)
{
#define STORE_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        STORE_TEST(batches_come_home_in_order_and_share_commits),
        STORE_TEST(a_failing_disk_is_told_and_tried_again),
        STORE_TEST(an_asked_checkpoint_is_answered_when_it_is_done),
        STORE_TEST(an_asked_sealing_checkpoints_and_seals_all),
        STORE_TEST(snapshots_are_made_one_after_another),
        STORE_TEST(large_files_are_buried_one_job_after_another),
        STORE_TEST(trimming_goes_on_though_nobody_writes),
        STORE_TEST(a_full_journal_starts_a_checkpoint_and_stopping_another),
        STORE_TEST(stopping_writes_what_was_posted),
        STORE_TEST(tails_get_every_durable_batch_and_no_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
