/* Up to which journal position the flushes of a part were written, as far as deletes ask for it.
 *
 * What the file says of itself covers all its flushes; where a delete came between two of them, the
 * pair "positions" of table "meta" says so: of flush n and those before it. Without deletes there
 * is none. docs/FORMAT.md, "Partition". */

#include <stdlib.h>

#include "base/hash.h"
#include "storage/part/part_env.h"

enum { NOTE_BYTES = 12, CHECKSUM_BYTES = 8 };

struct part_positions {
    struct part_positions *older; /* Shown before; somebody may be reading it. */
    size_t count;
    struct part_note {
        uint32_t flush;
        uint64_t position;
    } at[]; /* Both ascend. */
};

static struct part_positions *make(size_t count)
{
    struct part_positions *all = calloc(1, sizeof *all + count * sizeof all->at[0]);
    if (all != NULL) {
        all->count = count;
    }
    return all;
}

void part_positions_free(struct part_positions *all)
{
    while (all != NULL) {
        struct part_positions *older = all->older;
        free(all);
        all = older;
    }
}

void part_positions_show(struct part *p, struct part_positions *noted)
{
    noted->older = atomic_load(&p->positions);
    atomic_store(&p->positions, noted);
}

/* `applied` is looked at first: whoever sees that of a later flush sees the note before it, too. */
uint64_t part_position(const struct part *p, uint32_t flush)
{
    uint64_t position = atomic_load(&p->applied);
    const uint64_t cleared = atomic_load(&p->cleared);
    const struct part_positions *all = atomic_load(&p->positions);
    for (size_t i = 0; all != NULL && i < all->count; i++) {
        if (flush <= all->at[i].flush) {
            position = all->at[i].position;
            break;
        }
    }
    return position > cleared ? position : cleared;
}

void part_clear(struct part *p, uint64_t position)
{
    if (position > atomic_load(&p->cleared)) {
        atomic_store(&p->cleared, position);
    }
}

static enum err read_notes(struct bytes in, size_t count, struct part_positions *all)
{
    for (size_t i = 0; i < count; i++) {
        struct part_note *n = &all->at[i];
        TRY(bytes_take_le32(&in, &n->flush));
        TRY(bytes_take_le64(&in, &n->position));
        if (n->flush == 0 ||
            (i > 0 && (n->flush <= n[-1].flush || n->position <= n[-1].position))) {
            return E_CORRUPT;
        }
    }
    return OK;
}

enum err part_env_load_positions(struct part *p, struct kv_txn *txn)
{
    const struct part_positions *shown = atomic_load(&p->positions);
    struct bytes raw;
    enum err e = kv_get(txn, p->meta, bytes_of("positions"), &raw);
    if (e != OK) {
        return e == E_NOT_FOUND ? OK : e;
    }
    const size_t size = raw.size - CHECKSUM_BYTES;
    if (shown != NULL && raw.size == shown->count * NOTE_BYTES + CHECKSUM_BYTES) {
        return OK; /* They are only added. */
    }
    if (raw.size < CHECKSUM_BYTES || size % NOTE_BYTES != 0) {
        return E_CORRUPT;
    }
    struct bytes tail = {raw.at + size, CHECKSUM_BYTES};
    uint64_t checksum;
    TRY(bytes_take_le64(&tail, &checksum));
    if (checksum != hash_bytes((struct bytes){raw.at, size})) {
        return E_CORRUPT;
    }
    struct part_positions *all = make(size / NOTE_BYTES);
    if (all == NULL) {
        return E_NO_MEMORY;
    }
    e = read_notes((struct bytes){raw.at, size}, all->count, all);
    if (e != OK) {
        free(all);
        return e;
    }
    part_positions_show(p, all);
    return OK;
}

static enum err say(struct part_flush *f, const struct part_positions *all)
{
    const size_t limit = all->count * NOTE_BYTES + CHECKSUM_BYTES;
    uint8_t *raw = malloc(limit);
    struct writer w = {raw, 0, limit};
    enum err e = raw == NULL ? E_NO_MEMORY : OK;
    for (size_t i = 0; e == OK && i < all->count; i++) {
        e = writer_put_le32(&w, all->at[i].flush);
        e = e == OK ? writer_put_le64(&w, all->at[i].position) : e;
    }
    e = e == OK ? writer_put_le64(&w, hash_bytes((struct bytes){raw, w.size})) : e;
    e = e == OK ? part_flush_say(f, bytes_of("positions"), (struct bytes){raw, w.size}) : e;
    free(raw);
    return e;
}

enum err part_positions_note(struct part_flush *f, const struct part *p, uint32_t flush,
                             uint64_t position, struct part_positions **out)
{
    const struct part_positions *old = atomic_load(&p->positions);
    size_t count = old == NULL ? 0 : old->count;
    struct part_positions *all = make(count + 1);
    if (all == NULL) {
        return E_NO_MEMORY;
    }
    for (size_t i = 0; i < count; i++) {
        all->at[i] = old->at[i];
    }
    /* A flush that came to nothing may have left the same note. */
    count -= count > 0 && all->at[count - 1].flush == flush;
    all->at[count] = (struct part_note){flush, position};
    all->count = count + 1;
    enum err e = say(f, all);
    if (e != OK) {
        free(all);
        return e;
    }
    *out = all;
    return OK;
}
