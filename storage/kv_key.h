/* Keys of tables that share one tree: the table's name, a zero byte, and the key. */

#ifndef STORAGE_KV_KEY_H
#define STORAGE_KV_KEY_H

#include "storage/kv.h"

enum { KV_KEY_BYTES_MAX = 511 };

struct kv_key {
    uint8_t at[KV_KEY_BYTES_MAX];
};

/* As the file has it; borrowed from `key`, or from `full` where the table shares a tree. `key` may
 * be empty there. */
struct bytes kv_key_of(struct kv_table table, struct bytes key, struct kv_key *full);

/* The other way round. E_END: the key is another table's. */
MUST_USE enum err kv_key_in(struct kv_table table, struct bytes full, struct bytes *key);

#endif /* STORAGE_KV_KEY_H */
