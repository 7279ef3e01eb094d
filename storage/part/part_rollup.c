#include "storage/part/part_rollup.h"

#include <stdlib.h>

#include "storage/part/part_env.h"

struct part_rollups {
    struct part *part; /* Entered. */
    struct kv_txn *txn;
    struct kv_cursor *cursor;
};

bool part_has_rollups(struct part *p)
{
    return atomic_load(&p->has_rollups);
}

enum err part_env_open_rollups(struct part *p)
{
    enum err e = E_NOT_FOUND;
    if (p->name.kind == PART_SEALED) {
        e = kv_table_find(p->kv, "rollups", &p->rollups);
    }
    atomic_store(&p->has_rollups, e == OK);
    return e == E_NOT_FOUND ? OK : e;
}

enum err part_rollups_open(struct part *p, struct part_rollups **out)
{
    struct part_rollups *r = calloc(1, sizeof *r);
    if (r == NULL) {
        return E_NO_MEMORY;
    }
    enum err e = part_env_enter(p, PART_READ);
    if (e != OK) {
        free(r);
        return e == E_NOT_FOUND ? E_IO : e; /* The file went away under us. */
    }
    r->part = p;
    e = kv_read_begin(p->kv, &r->txn);
    if (e == OK) {
        e = kv_cursor_open(r->txn, p->rollups, &r->cursor);
    }
    if (e != OK) {
        part_rollups_close(r);
        return e;
    }
    *out = r;
    return OK;
}

void part_rollups_close(struct part_rollups *r)
{
    kv_cursor_close(r->cursor);
    kv_abort(r->txn);
    part_env_leave(r->part);
    free(r);
}

enum err part_rollups_find(struct part_rollups *r, struct rollup_key from, struct bytes *key,
                           struct bytes *value)
{
    uint8_t raw[ROLLUP_KEY_BYTES];
    rollup_key_write(from, raw);
    return kv_cursor_seek(r->cursor, (struct bytes){raw, sizeof raw}, key, value);
}

enum err part_rollups_next(struct part_rollups *r, struct bytes *key, struct bytes *value)
{
    return kv_cursor_next(r->cursor, key, value);
}
