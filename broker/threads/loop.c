#include "broker/threads/loop.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/clock.h"

/* LETTERS_MAX: letters taken in one go, so that a chatty neighbour cannot keep sockets waiting. */
enum { SLOTS = 65536, LETTERS_MAX = 8192 };

struct taker {
    void (*take)(void *context, struct letter *letter);
    void *context;
};

struct hook {
    void (*call)(void *context);
    void *context;
};

struct loop {
    struct ev_loop *ev;
    struct mailbox *mailbox;
    ev_io mail;         /* The mailbox's fd. */
    ev_check turn;      /* A turn starts. */
    ev_prepare settled; /* A turn has ended: nothing left to do but wait. */
    ev_idle again;      /* Active while letters were left over: do not wait. */
    unsigned index;
    bool taking;
    int64_t now_ms, wall_ns;
    struct taker takers[LETTER_KINDS];
    struct hook hooks[LOOP_HOOKS_MAX];
    unsigned hook_count;
};

static void read_clocks(struct loop *l)
{
    l->now_ms = clock_now_ms();
    l->wall_ns = clock_wall_ns();
}

static void call_hooks(struct loop *l)
{
    for (unsigned i = 0; i < l->hook_count; i++) {
        l->hooks[i].call(l->hooks[i].context);
    }
}

static void take_letter(struct loop *l, struct letter *letter)
{
    CHECK(letter->kind < LETTER_KINDS);
    const struct taker *taker = &l->takers[letter->kind];
    if (taker->take != NULL) {
        taker->take(taker->context, letter);
        return;
    }
    CHECK(letter->kind == LETTER_STOP);
    loop_stop(l);
}

void loop_take_letters(struct loop *l)
{
    void *letter;
    if (l->taking || mailbox_is_empty(l->mailbox)) {
        return;
    }
    l->taking = true;
    for (unsigned i = 0; i < LETTERS_MAX && mailbox_take(l->mailbox, &letter) == OK; i++) {
        take_letter(l, letter);
    }
    l->taking = false;
    if (!mailbox_is_empty(l->mailbox)) {
        ev_idle_start(l->ev, &l->again);
    }
}

static void on_mail(struct ev_loop *ev, ev_io *watcher, int events)
{
    struct loop *l = watcher->data;
    (void)ev;
    (void)events;
    mailbox_hush(l->mailbox);
    loop_take_letters(l);
}

static void on_turn(struct ev_loop *ev, ev_check *watcher, int events)
{
    struct loop *l = watcher->data;
    (void)events;
    read_clocks(l);
    ev_idle_stop(ev, &l->again);
    loop_take_letters(l);
}

static void on_settled(struct ev_loop *ev, ev_prepare *watcher, int events)
{
    (void)ev;
    (void)events;
    call_hooks(watcher->data);
}

static void on_again(struct ev_loop *ev, ev_idle *watcher, int events)
{
    (void)ev;
    (void)watcher;
    (void)events;
}

static void watch(struct loop *l)
{
    ev_io_init(&l->mail, on_mail, mailbox_fd(l->mailbox), EV_READ);
    ev_check_init(&l->turn, on_turn);
    ev_prepare_init(&l->settled, on_settled);
    ev_idle_init(&l->again, on_again);
    l->mail.data = l->turn.data = l->settled.data = l;
    ev_set_priority(&l->mail, EV_MAXPRI);
    ev_set_priority(&l->turn, EV_MAXPRI);
    ev_set_priority(&l->settled, EV_MINPRI);
    ev_io_start(l->ev, &l->mail);
    ev_check_start(l->ev, &l->turn);
    ev_prepare_start(l->ev, &l->settled);
}

enum err loop_create(unsigned index, struct loop **out)
{
    CHECK(index < LOOPS_MAX);
    struct loop *l = calloc(1, sizeof *l);
    if (l == NULL) {
        return E_NO_MEMORY;
    }
    enum err e = mailbox_create(SLOTS, &l->mailbox);
    if (e == OK) {
        l->ev = ev_loop_new(EVBACKEND_EPOLL | EVFLAG_NOENV);
        e = l->ev == NULL ? E_IO : OK;
    }
    if (e != OK) {
        mailbox_destroy(l->mailbox);
        free(l);
        return e;
    }
    l->index = index;
    read_clocks(l);
    watch(l);
    *out = l;
    return OK;
}

void loop_destroy(struct loop *l)
{
    if (l != NULL) {
        ev_loop_destroy(l->ev);
        mailbox_destroy(l->mailbox);
        free(l);
    }
}

unsigned loop_index(const struct loop *l)
{
    return l->index;
}

struct mailbox *loop_mailbox(struct loop *l)
{
    return l->mailbox;
}

int64_t loop_now_ms(const struct loop *l)
{
    return l->now_ms;
}

int64_t loop_wall_ns(const struct loop *l)
{
    return l->wall_ns;
}

void loop_on_letter(struct loop *l, enum letter_kind kind,
                    void (*take)(void *context, struct letter *letter), void *context)
{
    CHECK(kind < LETTER_KINDS);
    l->takers[kind] = (struct taker){take, context};
}

void loop_on_turn_end(struct loop *l, void (*hook)(void *context), void *context)
{
    CHECK(l->hook_count < LOOP_HOOKS_MAX);
    l->hooks[l->hook_count++] = (struct hook){hook, context};
}

void loop_gather(struct loop *l, unsigned us)
{
    ev_set_io_collect_interval(l->ev, (double)us / 1e6);
}

void loop_run(struct loop *l)
{
    read_clocks(l);
    (void)ev_run(l->ev, 0);
    call_hooks(l); /* The turn that stopped has an end too. */
}

void loop_stop(struct loop *l)
{
    ev_break(l->ev, EVBREAK_ALL);
}

/* LOOP_READ and LOOP_WRITE are libev's own bits, so nothing is translated per event. */
_Static_assert((int)LOOP_READ == (int)EV_READ && (int)LOOP_WRITE == (int)EV_WRITE, "same bits");

static void on_io(struct ev_loop *ev, ev_io *watcher, int events)
{
    struct loop_io *io = watcher->data;
    (void)ev;
    io->on_ready(io, (unsigned)events & (LOOP_READ | LOOP_WRITE));
}

void loop_io_start(struct loop *l, struct loop_io *io, int fd, unsigned events)
{
    io->loop = l;
    ev_io_init(&io->watcher, on_io, fd, (int)events);
    io->watcher.data = io;
    if (events != 0) {
        ev_io_start(l->ev, &io->watcher);
    }
}

void loop_io_change(struct loop_io *io, unsigned events)
{
    if (ev_is_active(&io->watcher) &&
        (unsigned)(io->watcher.events & (EV_READ | EV_WRITE)) == events) {
        return;
    }
    ev_io_stop(io->loop->ev, &io->watcher);
    ev_io_set(&io->watcher, io->watcher.fd, (int)events);
    if (events != 0) {
        ev_io_start(io->loop->ev, &io->watcher);
    }
}

void loop_io_stop(struct loop_io *io)
{
    if (io->loop != NULL) {
        ev_io_stop(io->loop->ev, &io->watcher);
        io->loop = NULL;
    }
}

static void on_timer(struct ev_loop *ev, ev_timer *watcher, int events)
{
    struct loop_timer *t = watcher->data;
    (void)ev;
    (void)events;
    t->on_time(t);
}

void loop_timer_start(struct loop *l, struct loop_timer *t, int64_t after_ms, int64_t every_ms)
{
    loop_timer_stop(t);
    t->loop = l;
    ev_now_update(l->ev); /* Counted from now, not from the start of the turn: never early. */
    ev_timer_init(&t->watcher, on_timer, (double)after_ms / 1e3, (double)every_ms / 1e3);
    t->watcher.data = t;
    ev_timer_start(l->ev, &t->watcher);
}

void loop_timer_stop(struct loop_timer *t)
{
    if (t->loop != NULL) {
        ev_timer_stop(t->loop->ev, &t->watcher);
        t->loop = NULL;
    }
}
