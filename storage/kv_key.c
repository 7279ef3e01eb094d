#include "storage/kv_key.h"

#include "base/check.h"

struct bytes kv_key_of(struct kv_table table, struct bytes key, struct kv_key *full)
{
    if (table.shared == NULL) {
        CHECK(key.size >= 1 && key.size <= KV_KEY_BYTES_MAX);
        return key;
    }
    const size_t head = strlen(table.shared) + 1;
    CHECK(head + key.size <= KV_KEY_BYTES_MAX);
    memcpy(full->at, table.shared, head);
    if (key.size > 0) {
        memcpy(full->at + head, key.at, key.size);
    }
    return (struct bytes){full->at, head + key.size};
}

enum err kv_key_in(struct kv_table table, struct bytes full, struct bytes *key)
{
    if (table.shared == NULL) {
        *key = full;
        return OK;
    }
    const size_t head = strlen(table.shared) + 1;
    if (full.size < head || memcmp(full.at, table.shared, head) != 0) {
        return E_END;
    }
    *key = (struct bytes){full.at + head, full.size - head};
    return OK;
}
