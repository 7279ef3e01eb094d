#include "storage/verify/verify.h"

#include <fcntl.h>
#include <math.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/hash.h"
#include "storage/kv.h"
#include "storage/part/part.h"
#include "storage/state/session_state.h"
#include "tests/lib/rng.h"
#include "tests/lib/store.h"

#define MONDAY_NS (INT64_C(1483315200) * NS_PER_S) /* 2017-01-02 */
#define PART_FILE "parts/20170102-604800.1.act.mdb"
enum { FLIPS = 600, GROUPS = 40 };

static struct store s;
static char last_fault[512];

static void on_fault(void *context, const struct verify_fault *f)
{
    (void)context;
    snprintf(last_fault, sizeof last_fault, "%s: %s: %s", f->file, f->where, f->what);
}

static enum err verify(struct verify_totals *totals)
{
    last_fault[0] = 0;
    return verify_store(s.dir.path, on_fault, NULL, totals);
}

static void write_some(struct rng *rng, int64_t from_ns, int rows)
{
    for (int i = 0; i < rows; i++) {
        char topic[32];
        snprintf(topic, sizeof topic, "krakow/air/%u", rng_below(rng, GROUPS));
        struct series_ref ref = store_series(&s, topic, i % 2 == 0 ? "pm10" : "pm25");
        double value = i % 50 == 0 ? (double)NAN : (double)rng_below(rng, 1000) / 10;
        assert_ok(store_put(&s, ref, from_ns + i * INT64_C(10000000000), value));
        if (i % 500 == 499) {
            assert_ok(store_write(&s));
        }
    }
    assert_ok(store_write(&s));
}

/* Two flushes in one partition, a second partition, a journal with some records. Closed. */
static int setup(void **state)
{
    struct rng rng = {3};
    (void)state;
    store_make(&s);
    write_some(&rng, MONDAY_NS, 6000);
    assert_ok(store_checkpoint(&s));
    write_some(&rng, MONDAY_NS + 1, 2000);
    write_some(&rng, MONDAY_NS + INT64_C(8) * 86400 * NS_PER_S, 500);
    assert_ok(store_checkpoint(&s));
    write_some(&rng, MONDAY_NS + 2, 1500);
    store_close(&s);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    store_remove(&s);
    return 0;
}

static void a_sound_store_has_no_faults(void **state)
{
    struct verify_totals t;
    (void)state;
    enum err e = verify(&t);
    assert_string_equal(last_fault, "");
    assert_ok(e);
    assert_int_equal(t.faults, 0);
    assert_int_equal(t.files, 4);
    assert_int_equal(t.partitions, 2);
    assert_int_equal(t.flushes, 3);
    assert_int_equal(t.points, 8500);
    assert_int_equal(t.rows, 1500);
    assert_int_equal(t.series, 2 * GROUPS);
    assert_int_equal(t.last_values, GROUPS);
    assert_true(t.records > 0 && t.chunks >= 2 * GROUPS && t.bytes > 0);
}

static void a_store_in_use_or_absent_is_not_checked(void **state)
{
    struct verify_totals t;
    (void)state;
    store_open(&s);
    assert_int_equal(verify(&t), E_BUSY);
    store_close(&s);
    assert_ok(verify(&t));
    assert_int_equal(verify_store("/nowhere", on_fault, NULL, &t), E_NOT_FOUND);
}

/* All that a reader may see of a file, as one number. */
static uint64_t digest(const char *path)
{
    static const char *const tables[] = {"records", "state", "meta", "names", "newest", "chunks"};
    const struct kv_options options = {
        .map_bytes = UINT64_C(1) << 36, .tables = 8, .read_only = true};
    struct kv *kv;
    struct kv_txn *txn;
    struct kv_table table;
    struct kv_cursor *c;
    struct bytes key, value;
    uint64_t sum = 0;
    assert_ok(kv_open(path, &options, &kv));
    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++) {
        if (kv_table_share(kv, tables[i], &table) != OK) {
            continue;
        }
        assert_ok(kv_read_begin(kv, &txn));
        assert_ok(kv_cursor_open(txn, table, &c));
        enum err e = kv_cursor_seek(c, (struct bytes){NULL, 0}, &key, &value);
        for (; e == OK; e = kv_cursor_next(c, &key, &value)) {
            sum = hash_seeded(hash_seeded(sum + i, key), value);
        }
        assert_int_equal(e, E_END);
        kv_cursor_close(c);
        kv_abort(txn);
    }
    kv_close(kv);
    return sum;
}

static void flip(int file, off_t at, unsigned bit)
{
    uint8_t byte;
    assert_int_equal(pread(file, &byte, 1, at), 1);
    byte ^= (uint8_t)(1U << bit);
    assert_int_equal(pwrite(file, &byte, 1, at), 1);
}

static bool is_blank(int file, off_t at)
{
    uint8_t around[16] = {0};
    static const uint8_t blank[16] = {0};
    assert_true(pread(file, around, sizeof around, at) > 0);
    return memcmp(around, blank, sizeof around) == 0;
}

/* A flip is either found, or in a place nobody reads. */
static void flip_bits_of(const char *name, uint64_t seed)
{
    const char *path = directory_file(&s.dir, name);
    struct rng rng = {seed};
    struct stat size;
    unsigned found = 0;
    uint64_t before = digest(path);
    int file = open(path, O_RDWR);
    assert_true(file >= 0);
    assert_int_equal(fstat(file, &size), 0);
    for (int i = 0; i < FLIPS; i++) {
        struct verify_totals t;
        off_t at = rng_below(&rng, (uint32_t)size.st_size);
        unsigned bit = rng_below(&rng, 8);
        if (is_blank(file, at) && i % 10 != 0) {
            continue;
        }
        flip(file, at, bit);
        enum err e = verify(&t);
        if (e == OK) {
            assert_int_equal(t.faults, 0);
            if (digest(path) != before) {
                fail_msg("%s: bit %u of byte %lld went unnoticed", name, bit, (long long)at);
            }
        } else {
            assert_true(e == E_CORRUPT || e == E_VERSION);
            assert_true(t.faults > 0 && last_fault[0] != 0);
            found++;
        }
        flip(file, at, bit);
    }
    close(file);
    assert_true(found > FLIPS / 60); /* Most of a small file is pages nobody reads. */
}

static void flipped_bits_of_a_partition_are_found(void **state)
{
    (void)state;
    flip_bits_of(PART_FILE, 1);
}

static void flipped_bits_of_the_journal_are_found(void **state)
{
    (void)state;
    flip_bits_of("journal.mdb", 2);
}

static void flipped_bits_of_the_catalogue_are_found(void **state)
{
    (void)state;
    flip_bits_of("catalog.mdb", 3);
}

static void every_bit_of_the_first_pages_is_found_or_harmless(void **state)
{
    struct verify_totals t;
    (void)state;
    const char *path = directory_file(&s.dir, PART_FILE);
    uint64_t before = digest(path);
    int file = open(path, O_RDWR);
    assert_true(file >= 0);
    for (off_t at = 0; at < 2 * 4096; at += at % 4096 == 167 ? 4096 - 167 : 1) {
        for (unsigned bit = 0; bit < 8; bit++) {
            flip(file, at, bit);
            if (verify(&t) == OK && digest(path) != before) {
                fail_msg("bit %u of byte %lld went unnoticed", bit, (long long)at);
            }
            flip(file, at, bit);
        }
    }
    close(file);
}

static void a_cut_file_is_found_at_every_page(void **state)
{
    struct verify_totals t;
    struct stat size;
    (void)state;
    const char *path = directory_file(&s.dir, PART_FILE);
    assert_int_equal(stat(path, &size), 0);
    uint64_t before = digest(path);
    for (off_t pages = size.st_size / 4096 - 1; pages >= 0; pages -= 1 + pages / 8) {
        assert_int_equal(truncate(path, pages * 4096), 0);
        enum err e = verify(&t);
        assert_true(e == E_CORRUPT || (e == OK && digest(path) == before));
    }
}

/* Owned state as the broker puts it. */
static void put_piece(const struct session_state *piece)
{
    uint8_t key_room[SESSION_STATE_KEY_BYTES_MAX], value_room[256];
    struct writer key = {key_room, 0, sizeof key_room}, value = {value_room, 0, sizeof value_room};
    assert_ok(session_state_write(piece, &key, &value));
    assert_ok(batch_put_state(s.batch, (uint8_t)piece->kind, 0, (struct bytes){key.at, key.size},
                              (struct bytes){value.at, value.size}));
}

static void pieces_of_sessions_need_their_session_and_message(void **state)
{
    const struct session_state session = {
        .kind = SESSION_STATE_SESSION, .session = 2, .at.client = {.client_id = bytes_of("c")}};
    const struct session_state message = {
        .kind = SESSION_STATE_MESSAGE,
        .at.message = {5, {.topic = bytes_of("t"), .expires_ns = INT64_MAX}}};
    struct session_state queued = {
        .kind = SESSION_STATE_QUEUED, .session = 2, .at.queued = {.message = 5, .qos = 1}};
    struct verify_totals t;
    (void)state;
    store_open(&s);
    put_piece(&session);
    put_piece(&message);
    put_piece(&queued);
    assert_ok(store_write(&s));
    store_close(&s);
    assert_ok(verify(&t));
    assert_int_equal(t.sessions, 1);
    assert_int_equal(t.queued, 1);
    store_open(&s);
    queued.session = 3;
    put_piece(&queued);
    queued.at.queued.message = 6;
    put_piece(&queued);
    queued.session = 2;
    put_piece(&queued);
    assert_ok(store_write(&s));
    store_close(&s);
    assert_int_equal(verify(&t), E_CORRUPT);
    assert_int_equal(t.faults, 3); /* Session 3 is not there, message 6 for either. */
    assert_string_equal(last_fault, "journal.mdb: table state session 3 sequence 0: "
                                    "a place in a queue without its message");
}

static void files_of_another_store_are_found(void **state)
{
    struct verify_totals t;
    (void)state;
    char from[384], to[384];
    snprintf(from, sizeof from, "%s", directory_file(&s.dir, PART_FILE));
    snprintf(to, sizeof to, "%s", directory_file(&s.dir, "parts/20170116-604800.act.mdb"));
    assert_int_equal(rename(from, to), 0);
    assert_int_equal(verify(&t), E_CORRUPT);
    assert_non_null(strstr(last_fault, "20170116"));
    assert_int_equal(rename(to, from), 0);
    assert_ok(verify(&t));
    assert_int_equal(unlink(directory_file(&s.dir, "journal.mdb")), 0);
    assert_int_equal(verify(&t), E_CORRUPT);
}

#define WITH_STORE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_STORE(a_sound_store_has_no_faults),
        WITH_STORE(a_store_in_use_or_absent_is_not_checked),
        WITH_STORE(flipped_bits_of_a_partition_are_found),
        WITH_STORE(flipped_bits_of_the_journal_are_found),
        WITH_STORE(flipped_bits_of_the_catalogue_are_found),
        WITH_STORE(every_bit_of_the_first_pages_is_found_or_harmless),
        WITH_STORE(a_cut_file_is_found_at_every_page),
        WITH_STORE(pieces_of_sessions_need_their_session_and_message),
        WITH_STORE(files_of_another_store_are_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
