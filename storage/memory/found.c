#include "storage/memory/found.h"

#include <stdlib.h>

#include "base/thread.h"

enum { SLOTS = 1 << 16 };

struct slot {
    uint64_t token; /* 0: empty. */
    struct series_ref ref;
    struct found_value value;
};

struct found {
    struct lock lock;
    struct slot *slots; /* SLOTS; NULL until the first is put. */
};

enum err found_create(struct found **out)
{
    struct found *f = calloc(1, sizeof *f);
    if (f == NULL) {
        return E_NO_MEMORY;
    }
    lock_init(&f->lock);
    *out = f;
    return OK;
}

void found_destroy(struct found *f)
{
    if (f != NULL) {
        lock_fini(&f->lock);
        free(f->slots);
        free(f);
    }
}

/* Fibonacci hashing: TAOCP 3, 6.4. */
static struct slot *slot_of(const struct found *f, struct series_ref ref)
{
    const uint64_t key = (uint64_t)ref.group << 6 | ref.column;
    return &f->slots[key * UINT64_C(0x9e3779b97f4a7c15) >> 48];
}
_Static_assert(SLOTS == 1 << 16, "the upper 16 bits of a hash");

bool found_get(struct found *f, struct series_ref ref, uint64_t token, struct found_value *out)
{
    bool is_known = false;
    lock_take(&f->lock);
    if (f->slots != NULL) {
        const struct slot *s = slot_of(f, ref);
        is_known = s->token == token && s->ref.group == ref.group && s->ref.column == ref.column;
        if (is_known) {
            *out = s->value;
        }
    }
    lock_drop(&f->lock);
    return is_known;
}

void found_put(struct found *f, struct series_ref ref, uint64_t token, struct found_value value)
{
    lock_take(&f->lock);
    if (f->slots == NULL) {
        f->slots = calloc(SLOTS, sizeof *f->slots);
    }
    if (f->slots != NULL) { /* Else it is read again next time. */
        *slot_of(f, ref) = (struct slot){token, ref, value};
    }
    lock_drop(&f->lock);
}
