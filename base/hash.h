/* Hashes and checksums: XXH3, 64 bits. The door to xxHash.
 *
 * The same value on every machine, so it may stand in files: it is the checksum of chunks and
 * journal records, and the hash of topics and client identifiers. Not for secrets. */

#ifndef BASE_HASH_H
#define BASE_HASH_H

#include <stdint.h>

#include "base/bytes.h"

uint64_t hash_bytes(struct bytes in);

/* As hash_bytes(), started from `seed`: a checksum of (seed, bytes). */
uint64_t hash_seeded(uint64_t seed, struct bytes in);

#endif /* BASE_HASH_H */
