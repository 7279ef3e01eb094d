"""XXH3-64 with a seed, after the xxHash specification. Slow (some MB/s); nothing but Python."""

import struct

PRIME32 = (0x9E3779B1, 0x85EBCA77, 0xC2B2AE3D)
PRIME64 = (0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0x85EBCA77C2B2AE63, 0x27D4EB2F165667C5)
MASK = 2**64 - 1
STRIPE, BLOCK = 64, 1024
SECRET = bytes.fromhex(  # Of the specification.
    "b8fe6c3923a44bbe7c01812cf721ad1cded46de9839097db7240a4a4b7b3671f"
    "cb79e64eccc0e578825ad07dccff7221b8084674f743248ee03590e6813a264c"
    "3c2852bb91c300cb88d0658b1b532ea371644897a20df94e3819ef46a9deacd8"
    "a8fa763fe39c343ff9dcbbc7c70b4f1d8a51e04bcdb45931c89f7ec9d9787364"
    "eac5ac8334d3ebc3c581a0fffa1363eb170ddd51b7f0da49d316552629d4689e"
    "2b16be587d47a1fc8ff8b8d17ad031ce45cb3a8f95160428afd7fbcabb4b407e"
)


def u32(data, at):
    return int.from_bytes(data[at:at + 4], "little")


def u64(data, at):
    return int.from_bytes(data[at:at + 8], "little")


def swap(value, size):
    return int.from_bytes(value.to_bytes(size, "little"), "big")


def rotate(value, count):
    return (value << count | value >> 64 - count) & MASK


def fold(a, b):
    product = (a & MASK) * (b & MASK)
    return product & MASK ^ product >> 64


def avalanche(h):
    h &= MASK
    h = (h ^ h >> 37) * 0x165667919E3779F9 & MASK
    return h ^ h >> 32


def avalanche_xxh64(h):
    h &= MASK
    h = (h ^ h >> 33) * PRIME64[1] & MASK
    h = (h ^ h >> 29) * PRIME64[2] & MASK
    return h ^ h >> 32


def hash_0_to_16(data, seed):
    size = len(data)
    if size > 8:
        low = u64(data, 0) ^ (u64(SECRET, 24) ^ u64(SECRET, 32)) + seed & MASK
        high = u64(data, size - 8) ^ (u64(SECRET, 40) ^ u64(SECRET, 48)) - seed & MASK
        return avalanche(size + swap(low, 8) + high + fold(low, high))
    if size > 3:
        seed ^= swap(seed & 0xFFFFFFFF, 4) << 32
        h = u32(data, size - 4) + (u32(data, 0) << 32) ^ (u64(SECRET, 8) ^ u64(SECRET, 16)) - seed & MASK
        h = (h ^ rotate(h, 49) ^ rotate(h, 24)) * 0x9FB21C651E98DF25 & MASK
        h = (h ^ (h >> 35) + size) * 0x9FB21C651E98DF25 & MASK
        return h ^ h >> 28
    if size:
        mixed = data[0] << 16 | data[size >> 1] << 24 | data[-1] | size << 8
        return avalanche_xxh64(mixed ^ (u32(SECRET, 0) ^ u32(SECRET, 4)) + seed & MASK)
    return avalanche_xxh64(seed ^ u64(SECRET, 56) ^ u64(SECRET, 64))


def mix(data, at, secret, seed):
    return fold(u64(data, at) ^ u64(SECRET, secret) + seed & MASK, u64(data, at + 8) ^ u64(SECRET, secret + 8) - seed & MASK)


def hash_17_to_128(data, seed):
    size = len(data)
    acc = size * PRIME64[0]
    for i in range((size - 1) // 32 + 1):
        acc += mix(data, 16 * i, 32 * i, seed) + mix(data, size - 16 * i - 16, 32 * i + 16, seed)
    return avalanche(acc)


def hash_129_to_240(data, seed):
    size = len(data)
    acc = size * PRIME64[0] + sum(mix(data, 16 * i, 16 * i, seed) for i in range(8))
    acc = avalanche(acc) + sum(mix(data, 16 * i, 16 * (i - 8) + 3, seed) for i in range(8, size // 16))
    return avalanche(acc + mix(data, size - 16, 136 - 17, seed))


def accumulate(acc, words, keys):
    for i in range(8):
        word = words[i]
        mixed = word ^ keys[i]
        acc[i ^ 1] += word
        acc[i] += (mixed & 0xFFFFFFFF) * (mixed >> 32)


def hash_long(data, seed):
    size = len(data)
    keyed = struct.pack("<24Q", *((k + (-seed if i % 2 else seed)) & MASK
                                  for i, k in enumerate(struct.unpack("<24Q", SECRET))))
    acc = [PRIME32[2], *PRIME64[:4], PRIME32[1], PRIME64[4], PRIME32[0]]
    keys = struct.unpack("<24Q", keyed)
    for number in range((size - 1) // STRIPE):
        stripe = number % (BLOCK // STRIPE)
        accumulate(acc, struct.unpack_from("<8Q", data, STRIPE * number), keys[stripe:stripe + 8])
        if stripe == BLOCK // STRIPE - 1:
            acc = [((a & MASK) ^ (a & MASK) >> 47 ^ k) * PRIME32[0] & MASK for a, k in zip(acc, keys[16:])]
    accumulate(acc, struct.unpack("<8Q", data[-STRIPE:]), struct.unpack_from("<8Q", keyed, 192 - STRIPE - 7))
    acc = [a & MASK for a in acc]
    end = size * PRIME64[0]
    for i in range(0, 8, 2):
        end += fold(acc[i] ^ u64(keyed, 11 + 8 * i), acc[i + 1] ^ u64(keyed, 19 + 8 * i))
    return avalanche(end)


def xxh3(data, seed=0):
    if len(data) <= 16:
        return hash_0_to_16(data, seed)
    if len(data) <= 128:
        return hash_17_to_128(data, seed)
    return hash_129_to_240(data, seed) if len(data) <= 240 else hash_long(data, seed)
