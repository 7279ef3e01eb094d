#include "broker/threads/tails.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/thread.h"
#include "broker/threads/loop.h"
#include "broker/threads/metrics.h"

struct tail_loop {
    struct mailbox *mailbox;
    unsigned tails;
    uint64_t missed_points; /* Since the last batch it got. */
};

struct shared_batch {
    struct shared_batch *next, **link; /* All that are lent; guarded by the lock. */
    unsigned holders;
    size_t bytes;
    uint8_t *entries;
    struct committed letters[]; /* One for each loop, then the entries. */
};

struct tails {
    struct lock lock; /* Guards all below but `loop_count`, which may be peeked at. */
    atomic_uint loop_count;
    struct tail_loop loops[LOOPS_MAX];
    struct shared_batch *lent;
    size_t lent_bytes;
};

enum err tails_create(struct tails **out)
{
    struct tails *t = calloc(1, sizeof *t);
    if (t == NULL) {
        return E_NO_MEMORY;
    }
    lock_init(&t->lock);
    *out = t;
    return OK;
}

static void unlink_shared(struct tails *t, struct shared_batch *shared)
{
    *shared->link = shared->next;
    if (shared->next != NULL) {
        shared->next->link = shared->link;
    }
    t->lent_bytes -= shared->bytes;
    free(shared);
}

void tails_destroy(struct tails *t)
{
    if (t == NULL) {
        return;
    }
    for (struct shared_batch *shared = t->lent, *next; shared != NULL; shared = next) {
        next = shared->next;
        free(shared);
    }
    lock_fini(&t->lock);
    free(t);
}

void tails_add(struct tails *t, struct mailbox *loop)
{
    unsigned i = 0;
    lock_take(&t->lock);
    unsigned count = atomic_load(&t->loop_count);
    while (i < count && t->loops[i].mailbox != loop) {
        i++;
    }
    if (i == count) {
        CHECK(count < LOOPS_MAX);
        t->loops[i] = (struct tail_loop){.mailbox = loop};
        atomic_store(&t->loop_count, count + 1);
    }
    t->loops[i].tails++;
    lock_drop(&t->lock);
}

void tails_remove(struct tails *t, struct mailbox *loop)
{
    unsigned i = 0;
    lock_take(&t->lock);
    unsigned count = atomic_load(&t->loop_count);
    while (i < count && t->loops[i].mailbox != loop) {
        i++;
    }
    CHECK(i < count);
    if (--t->loops[i].tails == 0) {
        t->loops[i] = t->loops[count - 1];
        atomic_store(&t->loop_count, count - 1);
    }
    lock_drop(&t->lock);
}

/* A copy with a letter for each loop; NULL when too much is lent already. */
static struct shared_batch *share(struct tails *t, const struct batch *b, unsigned loops)
{
    const size_t size = b->record_bytes - BATCH_HEADER_BYTES;
    const size_t letters = loops * sizeof(struct committed);
    if (t->lent_bytes + size > TAILS_LENT_BYTES_MAX) {
        return NULL;
    }
    struct shared_batch *shared = malloc(sizeof *shared + letters + size);
    if (shared == NULL) {
        return NULL;
    }
    shared->holders = 0;
    shared->bytes = size;
    shared->entries = (uint8_t *)shared->letters + letters;
    memcpy(shared->entries, b->record + BATCH_HEADER_BYTES, size);
    shared->next = t->lent;
    shared->link = &t->lent;
    if (t->lent != NULL) {
        t->lent->link = &shared->next;
    }
    t->lent = shared;
    t->lent_bytes += size;
    return shared;
}

static void lend_to(struct tail_loop *loop, struct shared_batch *shared, const struct batch *b,
                    struct committed *c)
{
    *c = (struct committed){{LETTER_COMMITTED}, shared, loop->missed_points};
    if (mailbox_post(loop->mailbox, &c->letter) == OK) {
        loop->missed_points = 0;
        shared->holders++;
    } else {
        loop->missed_points += b->points;
        metrics_add(METRIC_TAIL_DROPPED, b->points);
    }
}

void tails_lend(struct tails *t, const struct batch *b)
{
    if (atomic_load(&t->loop_count) == 0 || b->rows == 0) {
        return;
    }
    lock_take(&t->lock);
    const unsigned count = atomic_load(&t->loop_count);
    struct shared_batch *shared = count == 0 ? NULL : share(t, b, count);
    for (unsigned i = 0; i < count; i++) {
        if (shared != NULL) {
            lend_to(&t->loops[i], shared, b, &shared->letters[i]);
        } else {
            t->loops[i].missed_points += b->points;
            metrics_add(METRIC_TAIL_DROPPED, b->points);
        }
    }
    if (shared != NULL && shared->holders == 0) {
        unlink_shared(t, shared);
    }
    lock_drop(&t->lock);
}

struct bytes tails_entries(const struct committed *c)
{
    return (struct bytes){c->shared->entries, c->shared->bytes};
}

void tails_release(struct tails *t, struct committed *c)
{
    struct shared_batch *shared = c->shared;
    lock_take(&t->lock);
    CHECK(shared->holders > 0);
    if (--shared->holders == 0) {
        unlink_shared(t, shared);
    }
    lock_drop(&t->lock);
}
