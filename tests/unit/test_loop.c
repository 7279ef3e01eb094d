#include "broker/threads/loop.h"

#include <unistd.h>

#include "base/clock.h"
#include "base/thread.h"
#include "tests/lib/test.h"

struct note {
    struct letter letter;
    int number;
};

struct world {
    struct loop *loop;
    struct loop_timer timer;
    struct loop_io io;
    int taken, sum, turns, fired, reads;
    int pipe[2];
};

static struct world world;
static struct letter stop = {LETTER_STOP};

static int set_up(void **state)
{
    (void)state;
    world = (struct world){0};
    return loop_create(0, &world.loop) == OK ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    loop_destroy(world.loop);
    return 0;
}

static void take_note(void *context, struct letter *letter)
{
    struct world *w = context;
    w->taken++;
    w->sum += ((struct note *)letter)->number;
}

static void count_turn(void *context)
{
    ((struct world *)context)->turns++;
}

static void letters_are_taken_in_a_turn_and_stop_ends_the_run(void **state)
{
    struct note notes[3] = {{{LETTER_BATCH}, 1}, {{LETTER_BATCH}, 2}, {{LETTER_BATCH}, 4}};
    (void)state;
    loop_on_letter(world.loop, LETTER_BATCH, take_note, &world);
    loop_on_turn_end(world.loop, count_turn, &world);
    for (int i = 0; i < 3; i++) {
        assert_ok(mailbox_post(loop_mailbox(world.loop), &notes[i]));
    }
    assert_ok(mailbox_post(loop_mailbox(world.loop), &stop));
    loop_run(world.loop);
    assert_int_equal(world.taken, 3);
    assert_int_equal(world.sum, 7);
    assert_true(world.turns >= 1); /* The last turn has an end too. */
}

enum { POSTERS = 3, NOTES = 20000 };
static struct note flood[POSTERS][NOTES];

static void post_flood(void *raw)
{
    struct note *notes = raw;
    for (int i = 0; i < NOTES; i++) {
        notes[i] = (struct note){{LETTER_JOB}, 1};
        while (mailbox_post(loop_mailbox(world.loop), &notes[i]) != OK) {
            (void)usleep(100);
        }
    }
}

static void take_flood(void *context, struct letter *letter)
{
    take_note(context, letter);
    if (world.taken == POSTERS * NOTES) {
        loop_stop(world.loop);
    }
}

static void no_letter_of_many_threads_is_lost_or_left_lying(void **state)
{
    struct thread threads[POSTERS];
    (void)state;
    loop_on_letter(world.loop, LETTER_JOB, take_flood, &world);
    for (int i = 0; i < POSTERS; i++) {
        assert_ok(thread_start(&threads[i], "poster", post_flood, flood[i]));
    }
    loop_run(world.loop);
    for (int i = 0; i < POSTERS; i++) {
        thread_join(&threads[i]);
    }
    assert_int_equal(world.sum, POSTERS * NOTES);
}

static void on_time(struct loop_timer *timer)
{
    world.fired++;
    if (world.fired == 3) {
        loop_stop(timer->loop);
    }
}

static void timers_repeat_and_are_never_early(void **state)
{
    (void)state;
    const int64_t began = clock_now_ns();
    world.timer.on_time = on_time;
    loop_timer_start(world.loop, &world.timer, 20, 10);
    loop_run(world.loop);
    assert_int_equal(world.fired, 3);
    assert_true(clock_now_ns() - began >= INT64_C(39) * NS_PER_MS);
    assert_true(loop_now_ms(world.loop) >= began / NS_PER_MS + 39);
    loop_timer_stop(&world.timer);
    loop_timer_stop(&world.timer);
}

static void on_readable(struct loop_io *io, unsigned events)
{
    char byte;
    assert_int_equal(events, LOOP_READ);
    assert_int_equal(read(world.pipe[0], &byte, 1), 1);
    world.reads++;
    loop_io_change(io, 0); /* What is written next waits until reading is asked for again. */
    assert_int_equal(write(world.pipe[1], "b", 1), 1);
    loop_timer_start(io->loop, &world.timer, 15, 0);
}

static void on_later(struct loop_timer *timer)
{
    assert_int_equal(world.reads, world.fired + 1);
    if (++world.fired == 2) {
        loop_io_stop(&world.io);
        loop_stop(timer->loop);
        return;
    }
    loop_io_change(&world.io, LOOP_READ);
}

static void a_socket_is_watched_only_while_asked_for(void **state)
{
    (void)state;
    assert_int_equal(pipe(world.pipe), 0);
    assert_int_equal(write(world.pipe[1], "a", 1), 1);
    world.io.on_ready = on_readable;
    world.timer.on_time = on_later;
    loop_io_start(world.loop, &world.io, world.pipe[0], LOOP_READ);
    loop_run(world.loop);
    assert_int_equal(world.reads, 2);
    loop_io_stop(&world.io);
    (void)close(world.pipe[0]);
    (void)close(world.pipe[1]);
}

int main(void)
{
#define LOOP_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        LOOP_TEST(letters_are_taken_in_a_turn_and_stop_ends_the_run),
        LOOP_TEST(no_letter_of_many_threads_is_lost_or_left_lying),
        LOOP_TEST(timers_repeat_and_are_never_early),
        LOOP_TEST(a_socket_is_watched_only_while_asked_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
