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


def section(path, columns, rows):
    """One WriteRows; rows: [(time_ns, {column number: bits})]; without columns: one, number 0."""
    out = field(1, path.encode()) + b"".join(field(2, name.encode()) for name in columns)
    deltas, before = b"", 0
    for time, _ in rows:
        deltas, before = deltas + zigzag(time - before), time
    out += field(3, deltas)
    for column in range(max(1, len(columns))):
        values = [cells[column] for _, cells in rows if column in cells]
        body = field(1, struct.pack(f"<{len(values)}Q", *values))
        if len(values) < len(rows):
            body += field(2, b"".join(varint(run) for run in runs([column in cells for _, cells in rows])))
        out += field(4, body)
    return out


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
    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        self.id = 0
        self.request(2, b"\x08\x01" + field(2, b"test"))

    def request(self, number, body):
        """One frame, and its answer's frame, which must be whole: no Error."""
        self.id += 1
        message = b"\x08" + varint(self.id) + field(number, body)
        self.socket.sendall(struct.pack("<I", len(message)) + message)
        size = struct.unpack("<I", self.read(4))[0]
        answer = self.read(size)
        assert b"\x72" in answer and b"\x7a" not in answer[:4], answer
        return answer

    def read(self, size):
        data = b""
        while len(data) < size:
            piece = self.socket.recv(size - len(data))
            assert piece, "closed by the server"
            data += piece
        return data

    def write(self, *sections):
        self.request(3, b"".join(field(1, s) for s in sections))

    def close(self):
        self.socket.close()
