"""An MQTT client of a few lines that can also do what no proper client does."""

import socket
import struct
import time
from collections import namedtuple

Message = namedtuple("Message", "topic payload qos retain dup packet_id properties")

CONNACK, PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP, SUBACK, UNSUBACK = 2, 3, 4, 5, 6, 7, 9, 11
PINGRESP, DISCONNECT = 13, 14


def varint(n):
    out = b""
    while True:
        n, byte = n >> 7, n & 127
        out += bytes([byte | (128 if n else 0)])
        if not n:
            return out


def take_varint(raw):
    """The number, and how many bytes it took."""
    number = at = 0
    while True:
        number |= (raw[at] & 127) << 7 * at
        at += 1
        if raw[at - 1] < 128:
            return number, at


def string(text):
    raw = text.encode() if isinstance(text, str) else text
    return struct.pack(">H", len(raw)) + raw


def packet(first, body):
    return bytes([first]) + varint(len(body)) + body


def u32(identifier, value):
    return bytes([identifier]) + struct.pack(">I", value)


def u16(identifier, value):
    return bytes([identifier]) + struct.pack(">H", value)


def new_id(prefix="c"):
    return f"{prefix}-{time.time_ns()}"


class Client:
    def __init__(self, server, client_id="", version=5, clean=True, keep_alive=60, properties=b"", will=None,
                 connect=True):
        self.version = version
        self.buffer = b""
        self.socket = socket.create_connection(("127.0.0.1", server.mqtt_port))
        self.socket.settimeout(5)
        if connect:
            self.send(self.connect_packet(client_id, clean, keep_alive, properties, will))
            kind, _, body = self.read()
            assert kind == CONNACK
            self.present, self.code, self.connack = body[0], body[1], body

    def connect_packet(self, client_id, clean=True, keep_alive=60, properties=b"", will=None):
        """`will` is (topic, payload, qos, retain, properties)."""
        flags, payload = 2 * clean, string(client_id)
        if will:
            topic, text, qos, retain, will_properties = will
            flags |= 4 | qos << 3 | 32 * retain
            if self.version == 5:
                payload += varint(len(will_properties)) + will_properties
            payload += string(topic) + string(text)
        header = string("MQTT") + bytes([self.version, flags]) + struct.pack(">H", keep_alive)
        if self.version == 5:
            header += varint(len(properties)) + properties
        return packet(0x10, header + payload)

    def send(self, data):
        self.socket.sendall(data)

    def read(self):
        """The next packet: kind, flags, body. EOFError: closed."""
        while True:
            size, shift, at = 0, 0, 1
            while at < len(self.buffer):
                size |= (self.buffer[at] & 127) << shift
                shift, at = shift + 7, at + 1
                if self.buffer[at - 1] < 128:
                    if len(self.buffer) < at + size:
                        break
                    first, body = self.buffer[0], self.buffer[at:at + size]
                    self.buffer = self.buffer[at + size:]
                    return first >> 4, first & 15, body
            data = self.socket.recv(65536)
            if not data:
                raise EOFError
            self.buffer += data

    def hears_nothing(self, seconds=0.3):
        self.socket.settimeout(seconds)
        try:
            raise AssertionError(f"unexpected {self.read()}")
        except socket.timeout:
            pass
        self.socket.settimeout(5)

    def is_closed(self):
        try:
            raise AssertionError(f"unexpected {self.read()}")
        except (EOFError, ConnectionResetError):
            return True

    def disconnect_code(self):
        kind, _, body = self.read()
        assert kind == DISCONNECT
        return body[0]

    def publish(self, topic, payload, qos=0, packet_id=0, retain=0, dup=0, properties=b"", wait=True):
        """The reason code of the PUBACK or PUBREC."""
        body = string(topic) + (struct.pack(">H", packet_id) if qos else b"")
        if self.version == 5:
            body += varint(len(properties)) + properties
        raw = payload.encode() if isinstance(payload, str) else payload
        self.send(packet(0x30 | dup << 3 | qos << 1 | retain, body + raw))
        if qos and wait:
            return self.answer(PUBACK if qos == 1 else PUBREC, packet_id)
        return None

    def answer(self, kind, packet_id):
        """Reads that acknowledgement; its reason code."""
        got, _, body = self.read()
        assert got == kind and body[:2] == struct.pack(">H", packet_id), (got, body)
        return body[2] if len(body) > 2 else 0

    def release(self, packet_id):
        """The second half of a publish of QoS 2; the reason code of the PUBCOMP."""
        self.acknowledge(packet_id, PUBREL)
        return self.answer(PUBCOMP, packet_id)

    def subscribe(self, *filters, properties=b""):
        """`filters` are (filter, options); the codes of the SUBACK."""
        body = struct.pack(">H", 1)
        if self.version == 5:
            body += varint(len(properties)) + properties
        for text, options in filters:
            body += string(text) + bytes([options])
        self.send(packet(0x82, body))
        kind, _, body = self.read()
        assert kind == SUBACK and body[:2] == b"\0\1"
        return list(body[3:] if self.version == 5 else body[2:])

    def message(self, acknowledge=False):
        kind, flags, body = self.read()
        assert kind == PUBLISH, (kind, body)
        size = struct.unpack(">H", body[:2])[0]
        topic, body = body[2:2 + size].decode(), body[2 + size:]
        qos, packet_id, properties = flags >> 1 & 3, 0, b""
        if qos:
            packet_id, body = struct.unpack(">H", body[:2])[0], body[2:]
        if self.version == 5:
            size, at = take_varint(body)
            properties, body = body[at:at + size], body[at + size:]
        if acknowledge:
            self.acknowledge(packet_id)
        return Message(topic, body.decode(), qos, flags & 1, flags >> 3, packet_id, properties)

    def acknowledge(self, packet_id, kind=PUBACK, code=None):
        body = struct.pack(">H", packet_id) + (b"" if code is None else bytes([code]))
        self.send(packet(kind << 4 | 2 * (kind == PUBREL), body))

    def disconnect(self, code=None):
        self.send(b"\xe0\0" if code is None else bytes([0xE0, 1, code]))
        self.socket.close()

    def vanish(self):
        self.socket.close()


SESSION_EXPIRY, SUBSCRIPTION_ID, NO_LOCAL = 0x11, b"\x0b", 4


def keep(version):
    return u32(SESSION_EXPIRY, 100) if version == 5 else b""


def resume(server, name, version=5, **more):
    return Client(server, name, version, clean=False, properties=keep(version), **more)


def unsubscribe(c, *filters):
    blank = b"\0" if c.version == 5 else b""
    c.send(packet(0xA2, b"\0\7" + blank + b"".join(map(string, filters))))
