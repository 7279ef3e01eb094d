"""Decodes journal records, broker state and receipts by docs/FORMAT.md alone."""

import struct
from collections import namedtuple

from read_chunk import UNITS, Cursor, bits_of
from read_lmdb import need
from xxh3 import xxh3

ENVELOPE = struct.Struct("<2sBBIQQqQ")
RECORD_MAX = 65520
TIME_END = 7258118400 * 10**9  # 2200-01-01
ROW, RECEIPT, SERIES, TEXT, TAG, DELETE = 1, 2, 3, 4, 5, 6
TEXT_MAX, TEXT_BITS_HIGH = 1024, 0xFFFC0000
RETAINED_SPACE, RECEIPTS_SPACE = 1, 255
OWNED_SPACES = range(2, 64)
SESSION, SUBSCRIPTION, MESSAGE, QUEUED, RECEIVED, WILL, CROSSING, CROSSED, LOOPS = range(2, 11)
RECEIPTS_MAX = 65536
NEVER = 2**63 - 1

Record = namedtuple("Record", "position producer counter arrival entries")
Row = namedtuple("Row", "group time values")  # values: {column: bits}
Receipt = namedtuple("Receipt", "client content packet_id time")
Series = namedtuple("Series", "group column topic name")
Text = namedtuple("Text", "id text")
Delete = namedtuple("Delete", "start end filter")
Tag = namedtuple("Tag", "group column key value")
Retained = namedtuple("Retained", "qos expires properties payload")


def read_record(position, data):
    need(ENVELOPE.size <= len(data) <= RECORD_MAX, "record", position, "of", len(data), "bytes")
    magic, version, kind, length, producer, counter, arrival, checksum = ENVELOPE.unpack_from(data)
    need(magic == b"HJ" and version == 1 and kind == 1, "record", position, "is of another kind")
    need(length == len(data) - ENVELOPE.size, "length of record", position)
    entries = data[ENVELOPE.size:]
    envelope = xxh3(data[:ENVELOPE.size - 8], position)
    need(xxh3(entries, envelope) == checksum, "checksum of record", position)
    return Record(position, producer, counter, arrival, list(read_entries(entries)))


def read_entries(data):
    cursor, running = Cursor(data), 0
    while cursor.at < cursor.end:
        head = cursor.u8()
        kind, unit, form = head & 7, UNITS[head >> 3 & 3], head >> 5 & 3
        need(head < 0x80 and kind in (ROW, RECEIPT, SERIES, TEXT, TAG, DELETE), "entry", head)
        if kind == SERIES:
            need(head == SERIES, "series entry", head)
            yield read_series(cursor)
            continue
        if kind == TEXT:
            need(head == TEXT, "text entry", head)
            yield Text(cursor.varint(0, 2**32 - 1), text_of(cursor.take(cursor.varint(0, TEXT_MAX))))
            continue
        if kind == DELETE:
            need(head == DELETE, "delete entry", head)
            yield delete_of(cursor.zigzag(), cursor.zigzag(), cursor.take(cursor.varint(1, 1024)))
            continue
        if kind == TAG:
            need(head == TAG, "tag entry", head)
            yield read_tag(cursor)
            continue
        need(kind == ROW or form == 0, "receipt of form", form)
        start = read_receipt_start(cursor) if kind == RECEIPT else read_row_start(cursor, form)
        running = (running // unit + cursor.zigzag()) * unit
        need(0 <= running < TIME_END, "time", running)
        if kind == RECEIPT:
            yield Receipt(*start, running)
        else:
            group, columns = start
            yield Row(group, running, {column: read_value(cursor) for column in columns})


def text_of(data):
    text = data.decode()
    need("\0" not in text, "text with a 0 byte")
    return text


def delete_of(start, end, raw):
    need(start < end and 1 <= len(raw) <= 1024, "delete", start, end)
    levels = raw.decode().split("/")
    need(all(x in ("+", "#") or not set(x) & set("+#") for x in levels) and "#" not in levels[:-1], "filter", raw)
    return Delete(start, end, levels)


def takes(delete, path, time):
    """Whether a delete takes away a point written before it."""
    if not delete.start <= time < delete.end:
        return False
    levels = path.split("/")
    wanted = delete.filter[:-1] if delete.filter[-1] == "#" else delete.filter
    if path.startswith("$") and delete.filter[0] in ("+", "#"):
        return False
    enough = len(levels) >= len(wanted) if delete.filter[-1] == "#" else len(levels) == len(wanted)
    return enough and all(w in ("+", x) for w, x in zip(wanted, levels))


def read_series(cursor):
    group, column = cursor.varint(0, 2**32 - 1), cursor.u8()
    need(column < 64, "column", column)
    topic = cursor.take(cursor.varint())
    name = cursor.take(cursor.varint())
    return Series(group, column, topic.decode(), name.decode())


def read_tag(cursor):
    group, column = cursor.varint(0, 2**32 - 1), cursor.u8()
    key = cursor.take(cursor.varint(1, 64))
    value = cursor.take(cursor.varint(0, 256))
    need(column < 64 and key[0] != ord("$") and b"=" not in key and b"\0" not in key + value, "tag", key)
    return Tag(group, column, key.decode(), value.decode())


def read_receipt_start(cursor):
    return cursor.number("Q"), cursor.number("Q"), cursor.varint(0, 65535)


def read_row_start(cursor, form):
    group = cursor.varint(0, 2**32 - 1)
    need(form <= 2, "row of form", form)
    if form == 0:
        return group, [0]
    if form == 1:
        return group, range(cursor.varint(1, 64))
    bitmap = cursor.varint(1)
    return group, [c for c in range(64) if bitmap >> c & 1]


def read_value(cursor):
    scale = cursor.u8()
    if scale == 255:
        return cursor.number("Q")
    if scale == 254:
        return TEXT_BITS_HIGH << 32 | cursor.varint(0, 2**32 - 1)
    need(scale <= 22, "scale", scale)
    return bits_of(float(cursor.zigzag()) / float(10**scale))


def read_trimmed(value):
    """Position below which all is trimmed."""
    version, zero, trimmed, checksum = struct.unpack("<IIQQ", value)
    need(version in (1, 2, 3, 4, 5, 6) and zero == 0, "journal of version", version)
    need(xxh3(value[:16], 0) == checksum, "checksum of the journal's meta record")
    return trimmed


# State.


def read_state(key, value):
    """(space, key, stamp, position, value) of one pair of the table."""
    if key[0] in OWNED_SPACES:
        need(2 <= len(key) <= 64 and len(value) > 8, "owned state")
        need(xxh3(value[8:], xxh3(key)) == int.from_bytes(value[:8], "little"), "checksum of owned state")
        return key[0], key[1:], 0, 0, value[8:]
    space, hashed, _ = struct.unpack(">BQI", key)
    need(len(value) >= 26, "state of", len(value), "bytes")
    checksum, stamp, position, size = struct.unpack_from("<QQQH", value)
    need(xxh3(value[8:], xxh3(key)) == checksum, "checksum of state")
    need(len(value) >= 26 + size, "key of state")
    own = value[26:26 + size]
    need(xxh3(own) == hashed, "state under another hash")
    return space, own, stamp, position, value[26 + size:]


def read_retained(value):
    need(len(value) >= 16, "retained message of", len(value), "bytes")
    version, qos, zero, expires, size = struct.unpack_from("<BBHqI", value)
    need(version in (1, 2) and qos <= 2 and zero == 0, "retained message")
    at = 16 if version == 1 else 24
    need(at + size < len(value), "payload of a retained message")
    return Retained(qos, expires, value[at:at + size], value[at + size:])


# Sessions.

SESSION_KEYS = {SESSION: ">Q", SUBSCRIPTION: ">QI", MESSAGE: ">Q", QUEUED: ">QQ", RECEIVED: ">QH", WILL: ">Q", CROSSING: ">BQ",
                CROSSED: ">BB", LOOPS: ">B"}
SESSION_FIELDS = {SESSION: "<BBHIqQ", SUBSCRIPTION: "<BBHI", QUEUED: "<BBHQ", RECEIVED: "<B", WILL: "<BI", CROSSING: "<BQH",
                  CROSSED: "<BQ", LOOPS: "<BI"}
Message = namedtuple("Message", "qos retain expires origin topic properties payload")


def read_message(data):
    version, flags, topic, properties, expires, origin = struct.unpack_from("<BBHIqQ", data)
    need(version == 1 and flags <= 6 and flags & 3 <= 2, "message")
    data = data[24:]
    need(0 < topic and topic + properties <= len(data), "message of", len(data), "bytes")
    return Message(flags & 3, flags >> 2, expires, origin, data[:topic].decode(), data[topic:topic + properties],
                   data[topic + properties:])


def read_session_piece(space, key, value):
    """(numbers of the key, fields of the value, what follows them)."""
    numbers = struct.unpack(SESSION_KEYS[space], key)
    if space == MESSAGE:
        return numbers, (), read_message(value)
    fields = struct.unpack_from(SESSION_FIELDS[space], value)
    rest = value[struct.calcsize(SESSION_FIELDS[space]):]
    need(fields[0] == 1, "a piece of version", fields[0])
    if space in (SESSION, SUBSCRIPTION):
        need(fields[1] <= (1 if space == SESSION else 14) and fields[2] == 0 and rest, "piece of space", space)
        rest = rest.decode()
    elif space == QUEUED:
        need(fields[1] <= 15 and fields[1] & 3 in (1, 2) and (fields[3] == 0) == bool(fields[1] & 8), "place in a queue")
        rest = struct.unpack(f"<{fields[2]}I", rest)
    elif space in (WILL, CROSSING):
        size = fields[2] if space == CROSSING else 0
        rest = (rest[:size].decode(), read_message(rest[size:]))
    else:
        need(not rest, "piece of space", space)
    return numbers, fields[1:], rest


def read_receipts(pieces):
    """pieces: {number: value}; receipts oldest first."""
    need(sorted(pieces) == list(range(len(pieces))), "receipts are not counted from 0")
    found = []
    for number in sorted(pieces):
        entries = list(read_entries(pieces[number]))
        need(all(isinstance(e, Receipt) for e in entries), "an entry among receipts")
        found += entries
    need(len(found) <= RECEIPTS_MAX, len(found), "receipts")
    return found
