#include "broker/mqtt/alias_book.h"

#include <stdlib.h>

#include "base/check.h"

struct alias_entry {
    uint64_t hash;
    uint8_t size;
    uint8_t *topic;
};

/* Its place; `count`: not there. */
static uint16_t find(const struct alias_book *b, struct bytes topic, uint64_t hash)
{
    uint16_t i = 0;
    while (i < b->count && (b->entries[i].hash != hash || b->entries[i].size != topic.size ||
                            memcmp(b->entries[i].topic, topic.at, topic.size) != 0)) {
        i++;
    }
    return i;
}

static enum err add(struct alias_book *b, struct bytes topic, uint64_t hash)
{
    if (b->entries == NULL) {
        b->entries = calloc(b->limit, sizeof *b->entries);
    }
    uint8_t *copy = malloc(topic.size);
    if (b->entries == NULL || copy == NULL) {
        free(copy);
        return E_NO_MEMORY;
    }
    memcpy(copy, topic.at, topic.size);
    b->entries[b->count++] = (struct alias_entry){hash, (uint8_t)topic.size, copy};
    return OK;
}

uint16_t alias_book_take(struct alias_book *b, struct bytes topic, uint64_t hash, bool *known)
{
    *known = false;
    if (b->limit == 0 || topic.size > ALIAS_TOPIC_BYTES_MAX) {
        return 0;
    }
    uint16_t at = find(b, topic, hash);
    *known = at < b->count;
    if (!*known && (b->count == b->limit || add(b, topic, hash) != OK)) {
        return 0;
    }
    return (uint16_t)(at + 1);
}

void alias_book_drop(struct alias_book *b)
{
    CHECK(b->count > 0);
    free(b->entries[--b->count].topic);
}

void alias_book_clear(struct alias_book *b)
{
    while (b->count > 0) {
        alias_book_drop(b);
    }
    free(b->entries);
    *b = (struct alias_book){0};
}
