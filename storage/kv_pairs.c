/* What takes more than one step with the pairs of a table. */

#include <string.h>

#include "storage/kv.h"

enum { CONFIRM_BYTES_MAX = 64 };

enum err kv_confirm(struct kv *kv, struct kv_table table, struct bytes key)
{
    uint8_t copy[CONFIRM_BYTES_MAX];
    struct kv_txn *txn;
    struct bytes value;
    TRY(kv_write_begin(kv, &txn));
    enum err e = kv_get(txn, table, key, &value);
    if (e == OK && value.size > sizeof copy) {
        e = E_CORRUPT;
    }
    if (e == OK) {
        memcpy(copy, value.at, value.size);
        e = kv_put(txn, table, key, (struct bytes){copy, value.size}, KV_UPSERT);
    }
    if (e != OK) {
        kv_abort(txn);
        return e;
    }
    return kv_commit(txn);
}

enum err kv_table_find(struct kv *kv, const char *name, struct kv_table *out)
{
    struct kv_table table;
    struct kv_txn *txn;
    struct kv_cursor *cursor;
    struct bytes key, value;
    TRY(kv_table_share(kv, name, &table));
    TRY(kv_read_begin(kv, &txn));
    enum err e = kv_cursor_open(txn, table, &cursor);
    if (e == OK) {
        e = kv_cursor_seek(cursor, (struct bytes){NULL, 0}, &key, &value);
        kv_cursor_close(cursor);
    }
    kv_abort(txn);
    if (e == OK) {
        *out = table;
    }
    return e == E_END ? E_NOT_FOUND : e;
}

/* Of the table, or of the one whose pair it is. */
static bool is_named(struct bytes key, const char *name)
{
    const size_t size = strlen(name);
    return key.size >= size && memcmp(key.at, name, size) == 0 &&
           (key.size == size || key.at[size] == 0);
}

enum err kv_find_stray(struct kv *kv, const char *const *names)
{
    struct kv_table table;
    struct kv_txn *txn;
    struct kv_cursor *cursor;
    struct bytes key, value;
    TRY(kv_table_share(kv, " ", &table)); /* Nobody is called that. */
    TRY(kv_read_begin(kv, &txn));
    enum err e = kv_cursor_open(txn, (struct kv_table){table.id, NULL}, &cursor);
    if (e != OK) {
        kv_abort(txn);
        return e;
    }
    e = kv_cursor_seek(cursor, (struct bytes){NULL, 0}, &key, &value);
    while (e == OK) {
        const char *const *name = names;
        while (*name != NULL && !is_named(key, *name)) {
            name++;
        }
        if (*name == NULL) {
            break;
        }
        e = kv_cursor_next(cursor, &key, &value);
    }
    kv_cursor_close(cursor);
    kv_abort(txn);
    return e == E_END ? E_NOT_FOUND : e;
}

enum err kv_each(struct kv *kv, const char *name,
                 enum err (*visit)(void *context, struct bytes key, struct bytes value),
                 void *context)
{
    struct kv_table table;
    struct kv_txn *txn;
    struct kv_cursor *cursor;
    struct bytes key, value;
    TRY(kv_table_share(kv, name, &table));
    TRY(kv_read_begin(kv, &txn));
    enum err e = kv_cursor_open(txn, table, &cursor);
    if (e != OK) {
        kv_abort(txn);
        return e;
    }
    e = kv_cursor_seek(cursor, (struct bytes){NULL, 0}, &key, &value);
    while (e == OK) {
        e = visit(context, key, value);
        e = e != OK ? e : kv_cursor_next(cursor, &key, &value);
    }
    kv_cursor_close(cursor);
    kv_abort(txn);
    return e == E_END ? OK : e;
}
