/* Any bytes read as the entries of a journal record, as state puts and as a whole record. What
 * parses is written again and must read the same: no value may change on its way. */

#include "storage/journal/batch.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "storage/journal/journal_state.h"
#include "storage/journal/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct batch *batch;

static enum err put_row_again(const struct batch_entry *entry)
{
    struct batch_value values[BATCH_COLUMNS_MAX];
    unsigned count = 0;
    for (uint64_t left = entry->row.columns; left != 0; left &= left - 1, count++) {
        values[count].column = (uint8_t)__builtin_ctzll(left);
        values[count].number = (struct number){entry->row.values[count], 0, NUMBER_RAW};
    }
    CHECK(count == entry->row.count);
    return batch_put_row(batch, entry->row.group, entry->row.time_ns, values, count);
}

static enum err put_again(const struct batch_entry *entry)
{
    switch (entry->kind) {
    case BATCH_ROW:
        return put_row_again(entry);
    case BATCH_RECEIPT:
        return batch_put_receipt(batch, &entry->receipt);
    case BATCH_SERIES:
        return batch_put_series(batch, entry->series.group, entry->series.column,
                                entry->series.topic, entry->series.name);
    case BATCH_TAG:
        return batch_put_tag(batch, entry->tag.group, entry->tag.column, entry->tag.key,
                             entry->tag.value);
    case BATCH_TEXT:
        return batch_put_text(batch, entry->text.id, entry->text.at);
    case BATCH_DELETE:
        return batch_put_delete(batch, &entry->erased);
    }
    UNREACHABLE();
}

static void expect_same(const struct batch_entry *a, const struct batch_entry *b)
{
    CHECK(a->kind == b->kind);
    if (a->kind == BATCH_ROW) {
        CHECK(a->row.group == b->row.group && a->row.time_ns == b->row.time_ns);
        CHECK(a->row.columns == b->row.columns);
        CHECK(memcmp(a->row.values, b->row.values, a->row.count * sizeof(double)) == 0);
    } else if (a->kind == BATCH_RECEIPT) {
        CHECK(a->receipt.client_hash == b->receipt.client_hash);
        CHECK(a->receipt.content_hash == b->receipt.content_hash);
        CHECK(a->receipt.time_ns == b->receipt.time_ns);
        CHECK(a->receipt.packet_id == b->receipt.packet_id);
    } else if (a->kind == BATCH_TAG) {
        CHECK(a->tag.group == b->tag.group && a->tag.column == b->tag.column);
        CHECK(bytes_equal(a->tag.key, b->tag.key) && bytes_equal(a->tag.value, b->tag.value));
    } else if (a->kind == BATCH_TEXT) {
        CHECK(a->text.id == b->text.id && bytes_equal(a->text.at, b->text.at));
    } else if (a->kind == BATCH_DELETE) {
        CHECK(a->erased.from_ns == b->erased.from_ns && a->erased.to_ns == b->erased.to_ns);
        CHECK(bytes_equal(a->erased.filter, b->erased.filter));
    } else {
        CHECK(a->series.group == b->series.group && a->series.column == b->series.column);
        CHECK(bytes_equal(a->series.topic, b->series.topic));
        CHECK(bytes_equal(a->series.name, b->series.name));
    }
}

static void read_entries(struct bytes in)
{
    struct batch_reader reader, second;
    struct batch_entry entry, again;
    batch_reset(batch);
    batch_reader_init(&reader, in);
    while (batch_reader_next(&reader, &entry) == OK && put_again(&entry) == OK) {
    }
    batch_reader_init(&reader, in);
    batch_reader_init(&second, (struct bytes){batch->record + BATCH_HEADER_BYTES,
                                              batch->record_bytes - BATCH_HEADER_BYTES});
    while (batch_reader_next(&second, &again) == OK) {
        CHECK(batch_reader_next(&reader, &entry) == OK);
        expect_same(&entry, &again);
    }
    CHECK(second.in.size == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes in = {data, size};
    struct batch_state state;
    struct journal_record record;
    struct journal_state_value value;
    if (batch == NULL && batch_create(&batch) != OK) {
        return 0;
    }
    read_entries(in);
    while (batch_state_next(&in, &state) == OK) {
        CHECK(state.key.size >= 1);
    }
    (void)!record_open(1, (struct bytes){data, size}, &record);
    struct bytes key = {data, size < 13 ? size : 13};
    (void)!journal_state_read(key, (struct bytes){data + key.size, size - key.size}, &value);
    return 0;
}
