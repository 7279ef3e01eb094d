/* Receipts outlive the journal's trimming as broker state: the ring in pieces of one record each,
 * key = index of the piece, value = its entries. docs/FORMAT.md, "State". */

#include <stdlib.h>
#include <string.h>

#include "storage/engine_inside.h"

enum { PIECES_MAX = 64 }; /* 65,536 receipts of at most 39 bytes fit. */

struct keeping {
    struct engine *engine;
    uint8_t piece;
    enum err result;
};

static void put_piece(struct keeping *k)
{
    struct batch *b = k->engine->scratch;
    const struct batch_state put = {
        .space = ENGINE_SPACE,
        .stamp = k->engine->applied,
        .key = {&k->piece, 1},
        .value = {b->record + BATCH_HEADER_BYTES, b->record_bytes - BATCH_HEADER_BYTES}};
    if (k->result == OK) {
        k->result = k->engine->journal->calls->put_state(k->engine->journal, &put);
    }
    k->piece++;
    batch_reset(b);
}

static void keep_one(void *context, const struct receipt *receipt)
{
    struct keeping *k = context;
    enum err e = batch_put_receipt(k->engine->scratch, receipt);
    if (e == E_LIMIT) {
        put_piece(k);
        e = batch_put_receipt(k->engine->scratch, receipt);
    }
    k->result = k->result == OK ? e : k->result;
}

enum err engine_keep_receipts(struct engine *e)
{
    struct keeping k = {e, 0, OK};
    batch_reset(e->scratch);
    receipts_each(e->receipts, keep_one, &k);
    put_piece(&k); /* The last one may be empty, which deletes an older one. */
    return k.result;
}

struct pieces {
    uint8_t *at[PIECES_MAX];
    size_t size[PIECES_MAX];
};

static enum err gather_piece(void *context, const struct batch_state *s)
{
    struct pieces *pieces = context;
    if (s->key.size != 1 || s->key.at[0] >= PIECES_MAX) {
        return OK;
    }
    if (s->value.size == 0) {
        return OK; /* Deleted. */
    }
    uint8_t *copy = malloc(s->value.size);
    if (copy == NULL) {
        return E_NO_MEMORY;
    }
    memcpy(copy, s->value.at, s->value.size);
    free(pieces->at[s->key.at[0]]);
    pieces->at[s->key.at[0]] = copy;
    pieces->size[s->key.at[0]] = s->value.size;
    return OK;
}

static void add_piece(struct engine *e, struct bytes entries)
{
    struct batch_reader reader;
    struct batch_entry entry;
    batch_reader_init(&reader, entries);
    while (batch_reader_next(&reader, &entry) == OK) {
        if (entry.kind == BATCH_RECEIPT) {
            receipts_add(e->receipts, &entry.receipt);
        }
    }
}

enum err engine_load_receipts(struct engine *e)
{
    struct pieces pieces = {{NULL}, {0}};
    enum err result =
        e->journal->calls->each_state(e->journal, ENGINE_SPACE, gather_piece, &pieces);
    for (size_t i = 0; i < PIECES_MAX; i++) {
        add_piece(e, (struct bytes){pieces.at[i], pieces.size[i]});
        free(pieces.at[i]);
    }
    return result;
}
