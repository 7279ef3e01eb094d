"""The write call of docs/PROTOCOL.md put together byte by byte, so that any double can be sent with any of its 64 bits."""

import socket
import struct


def varint(value):
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(out) + bytes([value])


def zigzag(value):
    return varint((value << 1 ^ value >> 63) & 2**64 - 1)


def field(number, data):
    """Length-delimited."""
    return varint(number << 3 | 2) + varint(len(data)) + data


def section(path, columns, rows, words=None):
    """One WriteRows; rows: [(time_ns, {column number: bits})]; without columns: one, number 0. Texts stand for themselves in place of
    bits, and are gathered in the list `words`, which belongs to the whole write."""
    out = field(1, path.encode()) + b"".join(field(2, name.encode()) for name in columns)
    deltas, before = b"", 0
    for time, _ in rows:
        deltas, before = deltas + zigzag(time - before), time
    out += field(3, deltas)
    for column in range(max(1, len(columns))):
        values = [cells[column] for _, cells in rows if column in cells]
        numbers = [v for v in values if not isinstance(v, str)]
        body = field(1, struct.pack(f"<{len(numbers)}Q", *numbers))
        if len(numbers) < len(values):
            body += field(3, b"".join(map(varint, word_runs(values, words))))
        if len(values) < len(rows):
            body += field(2, b"".join(varint(run) for run in runs([column in cells for _, cells in rows])))
        out += field(4, body)
    return out


def word_runs(values, words):
    """Pairs: the place of a text in `words`, from 1, or 0 for numbers, and for how many values in turn."""
    found = []
    for value in values:
        place = 0
        if isinstance(value, str):
            if value.encode() not in words:
                words.append(value.encode())
            place = 1 + words.index(value.encode())
        if not found or found[-2] != place:
            found += [place, 0]
        found[-1] += 1
    return found


def runs(present):
    """How many are present, then how many are not, in turn."""
    found, now = [0], True
    for p in present:
        if p != now:
            found.append(0)
            now = p
        found[-1] += 1
    return found


class QueryWire:
    def __init__(self, port, words=False):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        self.id = 0
        self.request(2, b"\x08\x01" + field(2, b"test") + (b"\x18\x01" if words else b""))

    def request(self, number, body):
        """One frame, and its answer's frame, which must be whole: no Error."""
        answer = self.ask(number, body)
        assert b"\x72" in answer and b"\x7a" not in answer[:4], answer
        return answer

    def ask(self, number, body):
        """One frame, and its answer's first frame."""
        self.id += 1
        message = b"\x08" + varint(self.id) + field(number, body)
        self.socket.sendall(struct.pack("<I", len(message)) + message)
        size = struct.unpack("<I", self.read(4))[0]
        return self.read(size)

    def read(self, size):
        data = b""
        while len(data) < size:
            piece = self.socket.recv(size - len(data))
            assert piece, "closed by the server"
            data += piece
        return data

    def write(self, *sections, words=()):
        self.request(3, b"".join(field(1, s) for s in sections) + b"".join(field(2, w) for w in words))

    def close(self):
        self.socket.close()
