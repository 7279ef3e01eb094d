#include "storage/part/part.h"

#include <stdlib.h>

#include "storage/part/part_env.h"

struct part_cursor {
    struct part *part; /* Entered. NULL: without a complete flush, nothing to be read. */
    struct kv_txn *txn;
    struct kv_cursor *cursor;
    uint32_t group;
    uint32_t flush;   /* The one it is in. */
    uint32_t flushes; /* Complete at open. */
    bool placed;      /* On a chunk; else a seek comes first. */
};

static enum err open_txn(struct part_cursor *c)
{
    TRY(kv_read_begin(c->part->kv, &c->txn));
    return kv_cursor_open(c->txn, c->part->chunks, &c->cursor);
}

enum err part_cursor_open(struct part *p, uint32_t group, struct part_cursor **out)
{
    struct part_cursor *c = calloc(1, sizeof *c);
    if (c == NULL) {
        return E_NO_MEMORY;
    }
    if (part_flush_count(p) == 0) {
        *out = c; /* On a full disk not even its tables are there. */
        return OK;
    }
    enum err e = part_env_enter(p, PART_READ);
    if (e != OK) {
        free(c);
        return e == E_NOT_FOUND ? E_IO : e; /* The file went away under us. */
    }
    /* Counted before the transaction begins, so all of them are in it. */
    *c =
        (struct part_cursor){.part = p, .group = group, .flush = 1, .flushes = part_flush_count(p)};
    e = open_txn(c);
    if (e != OK) {
        part_cursor_close(c);
        return e;
    }
    *out = c;
    return OK;
}

void part_cursor_close(struct part_cursor *c)
{
    kv_cursor_close(c->cursor);
    kv_abort(c->txn);
    if (c->part != NULL) {
        part_env_leave(c->part);
    }
    free(c);
}

static enum err seek(struct part_cursor *c, struct part_key to, struct bytes *key,
                     struct bytes *value)
{
    uint8_t raw[PART_KEY_BYTES];
    part_key_write(to, raw);
    return kv_cursor_seek(c->cursor, (struct bytes){raw, sizeof raw}, key, value);
}

enum err part_cursor_next(struct part_cursor *c, uint32_t *flush, struct bytes *key,
                          struct bytes *value)
{
    struct part_key found;
    while (c->flush != 0 && c->flush <= c->flushes) {
        TRY(c->placed ? kv_cursor_next(c->cursor, key, value)
                      : seek(c, (struct part_key){c->flush, c->group, INT64_MIN}, key, value));
        TRY(part_key_read(*key, &found));
        c->placed = found.flush == c->flush && found.group == c->group;
        if (c->placed) {
            *flush = c->flush;
            return OK;
        }
        /* Behind the group's place in this flush; look at its place in the next. */
        c->flush = found.flush > c->flush ? found.flush : c->flush + 1;
    }
    return E_END;
}

void part_cursor_skip_flush(struct part_cursor *c)
{
    c->flush++; /* To 0 behind the last there can be. */
    c->placed = false;
}

enum err part_cursor_get(struct part_cursor *c, struct bytes key, struct bytes *value)
{
    return kv_get(c->txn, c->part->chunks, key, value);
}

enum err part_walk_open(struct part *p, struct part_cursor **out)
{
    return part_cursor_open(p, 0, out);
}

enum err part_walk_next(struct part_cursor *c, uint32_t *flush, uint32_t *group, struct bytes *key,
                        struct bytes *value)
{
    struct part_key found;
    if (c->part == NULL) {
        return E_END;
    }
    TRY(c->placed ? kv_cursor_next(c->cursor, key, value)
                  : kv_cursor_seek(c->cursor, (struct bytes){NULL, 0}, key, value));
    c->placed = true;
    TRY(part_key_read(*key, &found));
    if (found.flush > c->flushes) {
        return E_END;
    }
    *flush = found.flush;
    *group = found.group;
    return OK;
}
