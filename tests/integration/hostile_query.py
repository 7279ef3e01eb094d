"""A client of the query protocol in a few lines that can also do what no proper client does."""

import socket
import struct

from raw_mqtt import varint

HELLO, WRITE, QUERY, LAST, SERIES, TAIL, STATS, CANCEL, REJECTS, ADMIN, CREDIT = range(2, 13)
MALFORMED, INVALID, LIMIT, NOT_FOUND, NO_SPACE, UNAVAILABLE, CANCELLED = range(1, 8)


def number(field, value):
    return varint(field << 3) + varint(value)


def signed(field, value):
    return number(field, value << 1 if value >= 0 else (-value << 1) - 1)


def piece(field, data):
    raw = data.encode() if isinstance(data, str) else data
    return varint(field << 3 | 2) + varint(len(raw)) + raw


def frame(body):
    return struct.pack("<I", len(body)) + body


def request(request_id, kind, body=b""):
    return frame(number(1, request_id) + piece(kind, body))


def query(request_id, selector, start=0, end=1 << 62):
    return request(request_id, QUERY, piece(1, selector) + signed(2, start) + signed(3, end))


def write(request_id, path, first_ns, values):
    """Points of one series, a microsecond apart."""
    deltas = b"".join(varint((first_ns if i == 0 else 1000) << 1) for i in range(len(values)))
    column = piece(1, struct.pack(f"<{len(values)}d", *values))
    return request(request_id, WRITE, piece(1, piece(1, path) + piece(3, deltas) + piece(4, column)))


def fields(body):
    """{field: last value}; numbers and bytes."""
    out, at = {}, 0

    def take():
        nonlocal at
        value = shift = 0
        while True:
            byte = body[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < len(body):
        key = take()
        if key & 7 == 0:
            out[key >> 3] = take()
        else:
            size = 8 if key & 7 == 1 else take()
            out[key >> 3] = body[at:at + size]
            at += size
    return out


class Peer:
    def __init__(self, server, greet=True, buffer_bytes=None):
        self.socket = socket.socket()
        if buffer_bytes:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer_bytes)
        self.socket.connect(("127.0.0.1", server.query_port))
        self.socket.settimeout(20)
        self.buffer = b""
        if greet:
            self.send(request(1, HELLO, number(1, 1) + piece(2, "raw")))
            assert 14 in self.read()

    def send(self, data):
        self.socket.sendall(data)

    def read(self):
        """The next response: {field: value}. EOFError: closed."""
        while len(self.buffer) < 4 or len(self.buffer) < 4 + struct.unpack("<I", self.buffer[:4])[0]:
            data = self.socket.recv(1 << 20)
            if not data:
                raise EOFError
            self.buffer += data
        size = 4 + struct.unpack("<I", self.buffer[:4])[0]
        body, self.buffer = self.buffer[4:size], self.buffer[size:]
        return fields(body)

    def error(self):
        """The code of the next error."""
        while True:
            answer = self.read()
            if 15 in answer:
                return fields(answer[15])[1]

    def end(self, request_id):
        """Read on until the request ends; its End."""
        while True:
            answer = self.read()
            if answer.get(1) == request_id:
                assert 15 not in answer, fields(answer[15])
                if 14 in answer:
                    return fields(answer[14])

    def is_closed(self):
        try:
            while self.socket.recv(1 << 20):
                pass
            return True
        except ConnectionResetError:
            return True
        except TimeoutError:
            return False

    def close(self):
        self.socket.close()
