#include "base/hash.h"

#include <xxhash.h>

uint64_t hash_bytes(struct bytes in)
{
    return XXH3_64bits(in.at, in.size);
}

uint64_t hash_seeded(uint64_t seed, struct bytes in)
{
    return XXH3_64bits_withSeed(in.at, in.size, seed);
}
