"""Packs of catalog.mdb, as docs/FORMAT.md, "Catalogue", says: names of series, newest values, tags."""

import struct

from read_chunk import Cursor, bits_of
from read_lmdb import need
from xxh3 import xxh3

UNITS = (1, 10**3, 10**6, 10**9)
TEXT_BITS_HIGH = 0xFFFC0000
SCALE_TEXT, SCALE_UNIT, SCALE_RAW = 29, 30, 31


def open_pack(key, value):
    need(len(value) >= 8 and xxh3(value[:-8], xxh3(key)) == int.from_bytes(value[-8:], "little"), "checksum of a pack")
    return Cursor(value[:-8])


def read_groups(value):
    """Group ids given out, and those of them that are closed."""
    groups, closed, checksum = struct.unpack("<IIQ", value)
    need(xxh3(value[:8], 0) == checksum, "checksum of the number of groups")
    return groups, closed


class Words:
    def __init__(self, cursor):
        self.cursor, self.words = cursor, []

    def take(self):
        number = self.cursor.varint(0, len(self.words))
        if number == len(self.words):
            self.words.append(self.cursor.take(self.cursor.varint()))
        return self.words[number]


def stem_of(topic):
    return topic[:topic.rfind(b"/") + 1]


def read_names(key, value):
    """(group, column, topic, name) of each series."""
    cursor = open_pack(key, value)
    words = Words(cursor)
    group = column = 0
    topic = b""
    while cursor.at < cursor.end:
        head = cursor.u8()
        place, named, shared = head & 3, head >> 2 & 1, head >> 3
        need(place <= 2 and (place or not shared), "place of a name", head)
        if place == 0:
            column += 1
        elif place == 1:
            group, column = group + 1, 0
        else:
            group, column = group + cursor.zigzag(), cursor.u8()
        if place:
            stem = stem_of(topic)
            shared += cursor.varint() if shared == 31 else 0
            need(shared <= len(stem), "topic that shares", shared)
            stem = stem[:shared] + cursor.take(cursor.varint())
            need(stem == stem_of(stem), "stem", stem)
            topic = stem + words.take()
        name = words.take() if named else b""
        need(topic and (name or not named) and 0 <= group < 2**32 and column < 64, "name in group", group)
        yield group, column, topic.decode(), name.decode()


def read_newest(key, value):
    """(group, column, time, bits) of each value."""
    cursor = open_pack(key, value)
    group, column, time, unit, is_first = 0, 0, 0, 1, True
    while cursor.at < cursor.end:
        head = cursor.u8()
        scale, timed, place = head & 31, head >> 5 & 1, head >> 6
        if scale == SCALE_UNIT:
            need(head >> 7 == 0 and cursor.at < cursor.end, "unit of newest values")
            unit = UNITS[head >> 5]
            continue
        need(place == 2 if is_first else place <= 2, "place of a newest value", head)
        before = (group, column)
        if place == 0:
            column += 1
        elif place == 1:
            group, column = group + 1, 0
        else:
            group, column = group + cursor.varint(), cursor.u8()
        need(is_first or before < (group, column), "newest values do not ascend in group", group)
        if timed:
            time = (time // unit + cursor.zigzag()) * unit
        yield group, column, time, read_value(cursor, scale)
        is_first = False


def read_value(cursor, scale):
    if scale == SCALE_RAW:
        return int.from_bytes(cursor.take(8), "little")
    if scale == SCALE_TEXT:
        return TEXT_BITS_HIGH << 32 | cursor.varint(0, 2**32 - 1)
    need(scale <= 22, "scale", scale)
    return bits_of(float(cursor.zigzag()) / float(10**scale))


def read_tags(key, value):
    """(group, column, {key: value}) of each series that has tags."""
    cursor = open_pack(key, value)
    words, sets = Words(cursor), []
    group, column, is_first = 0, 0, True
    while cursor.at < cursor.end:
        head = cursor.varint()
        place, number, before = head & 3, head >> 2, (group, column)
        need(place == 2 if is_first else place <= 2, "place of tags", head)
        if place == 0:
            column += 1
        elif place == 1:
            group, column = group + 1, 0
        else:
            group, column = group + cursor.varint(), cursor.u8()
        need((is_first or before < (group, column)) and column < 64 and number <= len(sets), "tags in group", group)
        if number == len(sets):
            tags = [(words.take(), words.take()) for _ in range(cursor.varint(1, 255))]
            need(all(a < b for (a, _), (b, _) in zip(tags, tags[1:])), "keys of tags", tags)
            need(all(1 <= len(k) <= 64 and k[0] != ord("$") and b"=" not in k and 1 <= len(v) <= 256 for k, v in tags), "tags", tags)
            sets.append({k.decode(): v.decode() for k, v in tags})
        yield group, column, sets[number]
        is_first = False
