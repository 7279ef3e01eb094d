"""Reads the data file of an LMDB 0.9 environment: newest meta page, B+ trees, overflow pages, named tables.

From the layout LMDB publishes for 64-bit little-endian machines; LMDB itself is not used. Nothing is written, nothing locked:
only for stores at rest.
"""

import struct

BRANCH, LEAF, OVERFLOW, META = 1, 2, 4, 8
BIG_DATA, SUB_DATA, DUP_DATA = 1, 2, 4
MAGIC, VERSION = 0xBEEFC0DE, 1
NO_PAGE = 2**64 - 1
PAGE_HEADER = struct.Struct("<QHHHH")  # page number, pad, flags, lower, upper (or a u32: pages of an overflow run)
NODE_HEADER = struct.Struct("<HHHH")  # low and high half of a size or page number, flags, bytes of the key
META_HEAD = struct.Struct("<IIQQ")  # magic, version, address, map size
TABLE = struct.Struct("<IHHQQQQQ")  # pad, flags, depth, branch, leaf and overflow pages, entries, root
DEEPEST = 32


class Broken(Exception):
    """A rule of the format does not hold."""


def need(condition, *what):
    if not condition:
        raise Broken(" ".join(str(w) for w in what))


class Environment:
    def __init__(self, path):
        self.name = str(path)
        with open(path, "rb") as file:
            self.bytes = file.read()
        metas = [self.meta(0, 0)]
        self.page_size = metas[0][1]
        need(self.page_size >= 512 and self.page_size & (self.page_size - 1) == 0, self.name, "page size", self.page_size)
        metas.append(self.meta(1, self.page_size))
        self.transaction, _, self.last_page, self.main = max(metas)

    def meta(self, number, at):
        need(len(self.bytes) >= at + 16 + META_HEAD.size + 2 * TABLE.size + 16, self.name, "is too short")
        page, _, flags, _, _ = PAGE_HEADER.unpack_from(self.bytes, at)
        need(page == number and flags & META, self.name, "page", number, "is no meta page")
        magic, version, _, _ = META_HEAD.unpack_from(self.bytes, at + 16)
        need(magic == MAGIC and version == VERSION, self.name, "is not of LMDB 0.9")
        tables = at + 16 + META_HEAD.size
        page_size = TABLE.unpack_from(self.bytes, tables)[0]  # The free list's pad.
        main = TABLE.unpack_from(self.bytes, tables + TABLE.size)
        last_page, transaction = struct.unpack_from("<QQ", self.bytes, tables + 2 * TABLE.size)
        return transaction, page_size, last_page, main

    def page(self, number, kind):
        need(2 <= number <= self.last_page, self.name, "page", number, "is out of range")
        at = number * self.page_size
        need(at + self.page_size <= len(self.bytes), self.name, "page", number, "is beyond the end")
        own, _, flags, lower, upper = PAGE_HEADER.unpack_from(self.bytes, at)
        need(own == number and flags & (BRANCH | LEAF | OVERFLOW) == kind, self.name, "page", number, "is not what it should be")
        return at, lower, upper

    def nodes(self, number, kind):
        """(low, high, flags, key, place of the data) of each node."""
        at, lower, upper = self.page(number, kind)
        need(16 <= lower <= upper <= self.page_size and lower % 2 == 0, self.name, "page", number, "has bad bounds")
        for (offset,) in struct.iter_unpack("<H", self.bytes[at + 16:at + lower]):
            need(upper <= offset <= self.page_size - NODE_HEADER.size, self.name, "page", number, "has a node outside")
            low, high, flags, key_size = NODE_HEADER.unpack_from(self.bytes, at + offset)
            data = at + offset + NODE_HEADER.size + key_size
            need(data <= at + self.page_size, self.name, "page", number, "has a key beyond its end")
            yield low, high, flags, self.bytes[data - key_size:data], data

    def data(self, number, size, flags, place):
        if flags & BIG_DATA:
            (first,) = struct.unpack_from("<Q", self.bytes, place)
            at, low, high = self.page(first, OVERFLOW)
            pages = low | high << 16
            need(size + 16 <= pages * self.page_size <= len(self.bytes) - at, self.name, "page", first, "is too short a run")
            return self.bytes[at + 16:at + 16 + size]
        need(place + size <= (number + 1) * self.page_size, self.name, "page", number, "has data beyond its end")
        return self.bytes[place:place + size]

    def walk(self, root, depth):
        if depth == 1:
            for low, high, flags, key, place in self.nodes(root, LEAF):
                need(not flags & DUP_DATA, self.name, "holds duplicates")
                yield key, flags, self.data(root, low | high << 16, flags, place)
            return
        for low, high, flags, _, _ in self.nodes(root, BRANCH):
            yield from self.walk(low | high << 16 | flags << 32, depth - 1)

    def pairs(self, table):
        """(key, flags, value) of a table, keys ascending, their number as the table says."""
        _, flags, depth, _, _, _, entries, root = table
        need(depth <= DEEPEST, self.name, "is too deep")
        found, last = 0, None
        for key, node_flags, value in self.walk(root, depth) if root != NO_PAGE else ():
            need(last is None or last < key, self.name, "keys do not ascend")
            found, last = found + 1, key
            yield key, node_flags, value
        need(found == entries, self.name, "has", found, "entries and says", entries)

    def tables(self):
        """{name: its record} of the named tables."""
        found = {}
        for key, flags, value in self.pairs(self.main):
            need(bool(flags & SUB_DATA) == (b"\0" not in key), self.name, "holds a pair outside of its tables")
            if flags & SUB_DATA:
                need(len(value) == TABLE.size, self.name, "holds a cut table")
                found[key.decode()] = TABLE.unpack(value)
        return found

    def read(self, name):
        """(key, value) of each pair of a named table, or of one of this name that shares the main tree; none when
        there is no such table."""
        table, head = self.tables().get(name), name.encode() + b"\0"
        if table:
            return [(key, value) for key, _, value in self.pairs(table)]
        return [(key[len(head):], value) for key, _, value in self.pairs(self.main) if key.startswith(head)]
