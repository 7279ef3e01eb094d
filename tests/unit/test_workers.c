#include "broker/threads/workers.h"

#include <stdatomic.h>
#include <string.h>

#include "base/thread.h"
#include "broker/threads/metrics.h"
#include "broker/threads/rejects.h"
#include "tests/lib/test.h"

enum { JOBS = 1000 };

struct sum_job {
    struct job job; /* First member. */
    int in, out;
};

static void square(struct job *job)
{
    struct sum_job *s = (struct sum_job *)(void *)job;
    s->out = s->in * s->in;
    metrics_add(METRIC_QUERY_REQUESTS, 1);
}

static void every_job_runs_once_and_comes_home(void **state)
{
    static struct sum_job jobs[JOBS];
    struct workers *workers;
    struct mailbox *home;
    void *letter;
    int64_t sum = 0, expected = 0, home_again = 0;
    (void)state;

    const int64_t before = metrics_read(METRIC_QUERY_REQUESTS);
    assert_ok(mailbox_create(16, &home)); /* Smaller than the work: workers must wait for room. */
    assert_ok(workers_create(3, &workers));
    for (int i = 0; i < JOBS; i++) {
        jobs[i] = (struct sum_job){.job = {.run = square, .reply = home}, .in = i};
        expected += (int64_t)i * i;
        workers_post(workers, &jobs[i].job);
    }
    while (home_again < JOBS) {
        mailbox_wait(home, -1);
        while (mailbox_take(home, &letter) == OK) {
            assert_int_equal(((struct letter *)letter)->kind, LETTER_JOB);
            sum += ((struct sum_job *)letter)->out;
            home_again++;
        }
    }
    assert_int_equal(sum, expected);
    workers_destroy(workers);
    mailbox_destroy(home);
    assert_int_equal(metrics_read(METRIC_QUERY_REQUESTS) - before, JOBS);
}

static void a_pool_that_ends_runs_what_was_posted(void **state)
{
    static struct sum_job jobs[8];
    struct workers *workers;
    struct mailbox *home;
    (void)state;
    assert_ok(mailbox_create(16, &home));
    assert_ok(workers_create(1, &workers));
    for (int i = 0; i < 8; i++) {
        jobs[i] = (struct sum_job){.job = {.run = square, .reply = home}, .in = i};
        workers_post(workers, &jobs[i].job);
    }
    workers_destroy(workers);
    for (int i = 0; i < 8; i++) {
        assert_int_equal(jobs[i].out, i * i);
    }
    mailbox_destroy(home);
    workers_destroy(NULL);
}

static void the_newest_rejects_are_kept_and_cut_to_size(void **state)
{
    static struct reject copy[REJECTS_KEPT + 1];
    uint8_t payload[REJECT_PAYLOAD_BYTES + 50];
    (void)state;
    assert_int_equal(rejects_copy(copy, 5), 0);
    memset(payload, 'x', sizeof payload);
    for (int i = 1; i <= REJECTS_KEPT + 10; i++) {
        rejects_add(i, bytes_of("a/b"), (struct bytes){payload, sizeof payload}, "too odd");
    }
    assert_int_equal(rejects_copy(copy, 2), 2);
    assert_int_equal(copy[0].time_ns, REJECTS_KEPT + 10);
    assert_int_equal(copy[1].time_ns, REJECTS_KEPT + 9);
    assert_int_equal(copy[0].topic_bytes, 3);
    assert_memory_equal(copy[0].topic, "a/b", 3);
    assert_int_equal(copy[0].payload_bytes, REJECT_PAYLOAD_BYTES);
    assert_int_equal(copy[0].payload_full_bytes, sizeof payload);
    assert_int_equal(rejects_copy(copy, REJECTS_KEPT + 1), REJECTS_KEPT);
    assert_int_equal(copy[REJECTS_KEPT - 1].time_ns, 11);
}

static void every_metric_has_a_name_of_its_own(void **state)
{
    (void)state;
    for (int a = 0; a < METRICS; a++) {
        assert_non_null(metrics_unit((enum metric)a));
        for (int b = 0; b < a; b++) {
            assert_string_not_equal(metrics_name((enum metric)a), metrics_name((enum metric)b));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_job_runs_once_and_comes_home),
        cmocka_unit_test(a_pool_that_ends_runs_what_was_posted),
        cmocka_unit_test(the_newest_rejects_are_kept_and_cut_to_size),
        cmocka_unit_test(every_metric_has_a_name_of_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
