"""Decodes a bundle by docs/FORMAT.md, section Bundle, alone; refuses what breaks a rule there."""

from read_chunk import COLUMNS_MAX, ROWS_MAX, UNITS, Chunk, Column, Cursor, integers
from read_lmdb import need
from xxh3 import xxh3

UNIT, PLAIN, ARRIVALS, COARSE = 3, 4, 8, 16


class BriefColumn(Column):
    brief = True


class BriefChunk(Chunk):
    """As Chunk: times and columns."""

    def __init__(self, body, time_base, arrival_base):
        cursor = Cursor(body)
        shape = cursor.u8()
        need(shape < 32, "shape", shape)
        self.unit, self.arrival_base = UNITS[shape & UNIT], arrival_base
        self.rows = cursor.varint(1, ROWS_MAX)
        self.first = time_base * (10**9 // self.unit) + cursor.zigzag()
        self.step = cursor.varint() * (1000 if shape & COARSE else 1)
        span = self.step * (self.rows - 1) + cursor.zigzag()
        need(span >= self.rows - 1 and (self.rows > 1 or span == 0), "span", span)
        need(-2**63 <= self.first * self.unit and (self.first + span) * self.unit < 2**63, "times out of range")
        times_size = cursor.varint()
        if shape & PLAIN:
            self.columns = [BriefColumn(cursor, self.rows, span, True, bool(shape & ARRIVALS))]
            if not shape & ARRIVALS:
                self.columns[0].size = cursor.end - cursor.at - times_size
        else:
            count = cursor.u8()
            need(count <= COLUMNS_MAX, count, "columns")
            self.columns = [BriefColumn(cursor, self.rows, span) for _ in range(count)]
        self.read_body(cursor, times_size, span, bool(shape & ARRIVALS))

    def read_offsets(self, cursor):
        left = integers(cursor, self.rows) if cursor.at < cursor.end else [0] * self.rows
        return [r + self.step * i for i, r in enumerate(left)]


def read_bundle(key, value):
    """[(group, chunk)]"""
    need(len(value) >= 12 and value[:2] == b"Hb", "no bundle")
    need(value[2] == 1 and value[3] == 0, "bundle of version", value[2], "flags", value[3])
    need(int.from_bytes(value[-8:], "little") == xxh3(value[:-8], xxh3(key)), "checksum of a bundle")
    cursor = Cursor(value[:-8], 4)
    time_base, arrival_base, count = cursor.zigzag(), cursor.varint(0, 2**32 - 1), cursor.varint(1)
    sizes, group = [], -1
    for _ in range(count):
        group += 1 + cursor.varint()
        need(group < 2**32, "group", group)
        sizes.append((group, cursor.varint(1)))
    chunks = [(group, BriefChunk(cursor.take(size), time_base, arrival_base)) for group, size in sizes]
    cursor.done()
    return chunks
