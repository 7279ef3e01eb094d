#!/usr/bin/python3
"""Publish numbered values with texts beside them, delete some now and then, kill -9 hejnald at random moments, compare what
was acknowledged with what is stored: `tests/integration/crash.py --kills 100 [--seed N]`. 0 lost, 0 duplicates, nothing deleted
seen again, or exit 1."""

import argparse
import random
import socket
import struct
import sys
import threading
import time
from typing import NamedTuple

from harness import Server

CLIENTS = 4
WINDOW = 200


def connect_packet(client_id, clean):
    body = b"\x00\x04MQTT\x04" + bytes([2 if clean else 0]) + b"\x00\x3c" + struct.pack(">H", len(client_id)) + client_id
    return b"\x10" + bytes([len(body)]) + body


def publish_packet(topic, packet_id, payload, dup=False):
    body = struct.pack(">H", len(topic)) + topic + struct.pack(">H", packet_id) + payload
    assert len(body) < 128 * 128
    size = [len(body)] if len(body) < 128 else [len(body) % 128 + 128, len(body) // 128]
    return bytes([0x3A if dup else 0x32, *size]) + body


class Raw:
    """The smallest MQTT 3.1.1 client: what is on the wire is exactly what the test means."""

    def __init__(self, port, client_id, clean=False):
        self.socket = socket.create_connection(("127.0.0.1", port), 10)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.sendall(connect_packet(client_id, clean))
        self.buffer = b""
        assert self.packet()[0] == 0x20

    def packet(self):
        """One packet (all here are short) as (first byte, body)."""
        while len(self.buffer) < 2 or len(self.buffer) < 2 + self.buffer[1]:
            more = self.socket.recv(65536)
            if not more:
                raise ConnectionError("closed")
            self.buffer += more
        size = 2 + self.buffer[1]
        packet, self.buffer = self.buffer[:size], self.buffer[size:]
        return packet[0], packet[2:]

    def pubacks(self):
        """At least one packet id that was acknowledged; all that are here."""
        ids = []
        while not ids or (len(self.buffer) >= 4):
            kind, body = self.packet()
            if kind == 0x40:
                ids.append(struct.unpack(">H", body[:2])[0])
        return ids

    def close(self):
        self.socket.close()


class Publisher(threading.Thread):
    """Publishes 1, 2, 3 ... with a window, each with a text if wanted; resends what is not acknowledged after each crash."""

    def __init__(self, server, index, window=WINDOW, step_ms=10, pause=0, texts=False):
        super().__init__(daemon=True)
        self.texts = texts
        self.server, self.index = server, index
        self.window, self.step_ms, self.pause = window, step_ms, pause
        self.topic = f"crash/{index}".encode()
        self.next, self.acked, self.open, self.stopping = 1, set(), {}, False

    def time_ms(self, number):
        return 1_700_000_000_000 + number * self.step_ms

    @staticmethod
    def text(number):
        """A state that stays a while; new ones all the time."""
        return f"state {number // 7 % 3000}"

    def payload(self, number):
        text = b',"s":"%s"' % self.text(number).encode() if self.texts else b""
        return b'{"ts":%d,"v":%d%s}' % (self.time_ms(number), number, text)

    def series(self):
        """The paths of the numbers and, if there are any, of the texts."""
        topic = self.topic.decode()
        return (f"{topic}/v", f"{topic}/s") if self.texts else (topic, None)

    def run(self):
        while not self.stopping:
            try:
                self.session()
            except (OSError, ConnectionError, AssertionError):
                time.sleep(0.02)

    def session(self):
        raw = Raw(self.server.mqtt_port, b"crash-%d" % self.index)
        raw.socket.settimeout(5)
        for packet_id, number in self.open.items():
            raw.socket.sendall(publish_packet(self.topic, packet_id, self.payload(number), dup=True))
        while not (self.stopping and not self.open):
            batch = b""
            while len(self.open) < self.window and not self.stopping:
                packet_id = self.next % 60000 + 1
                self.open[packet_id] = self.next
                batch += publish_packet(self.topic, packet_id, self.payload(self.next))
                self.next += 1
            raw.socket.sendall(batch)
            for packet_id in raw.pubacks():
                self.acked.add(self.open.pop(packet_id))
            time.sleep(self.pause)
        raw.close()


class Deletes:
    """Deletes runs of numbers that are acknowledged, and so never sent again, in threads of their own."""

    def __init__(self, server, publishers, rng):
        self.server, self.publishers, self.rng = server, publishers, rng
        self.begun = {p: set() for p in publishers}  # Numbers that may be gone,
        self.done = {p: set() for p in publishers}  # and that are, for certain.
        self.count = 0

    def begin(self):
        p = self.rng.choice(self.publishers)
        end = min([p.next, *p.open.copy().values()])  # All below are acknowledged: looked at in this order.
        if end < 100:
            return
        first = self.rng.randint(1, end - 60)
        numbers = set(range(first, first + self.rng.randint(1, 50)))
        self.begun[p] |= numbers
        threading.Thread(target=self.run, args=(p, numbers), daemon=True).start()

    def run(self, p, numbers):
        window = ("--from", p.time_ms(min(numbers)), "--to", p.time_ms(max(numbers) + 1))
        done = self.server.run("delete", p.topic.decode() + "/#", *window, "--yes", check=False)
        if done.returncode == 0:
            self.done[p] |= numbers
            self.count += 1


class Verdict(NamedTuple):
    lost: int = 0
    duplicates: int = 0
    wrong: int = 0  # With another time, or without its text.
    risen: int = 0  # Deleted, and seen again.


def verify(server, publishers, deletes=None):
    acked = [p.acked.copy() for p in publishers]  # Before looking: they may still be at work.
    gone = {p: deletes.done[p].copy() for p in publishers} if deletes else {}
    found = server.points("crash/#")
    lost = duplicates = wrong = risen = 0
    for p, promised in zip(publishers, acked):
        of_numbers, of_texts = p.series()
        points = found.get(of_numbers, [])
        numbers = [int(v) for _, v in points]
        texts = dict(found.get(of_texts, []))
        kept = promised - (deletes.begun[p] if deletes else set())
        duplicates += len(numbers) - len(set(numbers))
        wrong += sum(t != p.time_ms(n) * 1_000_000 for (t, _), n in zip(points, numbers))
        numbers = set(numbers)
        lost += len(kept - numbers)
        risen += sum(n in numbers or p.time_ms(n) * 1_000_000 in texts for n in gone.get(p, ()))
        if p.texts:  # What came while this was read may be in one of the two series.
            wrong += sum(texts.get(p.time_ms(n) * 1_000_000) != p.text(n) for n in kept)
    return Verdict(lost, duplicates, wrong, risen)


def numbered(kills, seed, quiet=True, options=("--loops", "2", "--store-text", "on")):
    rng = random.Random(seed)
    server = Server(*options).start()
    publishers = [Publisher(server, i, texts=True) for i in range(CLIENTS)]
    deletes = Deletes(server, publishers, rng)
    for p in publishers:
        p.start()
    checkpoints = 0
    for kill in range(kills):
        time.sleep(rng.uniform(0.05, 0.6))
        if rng.random() < 0.4:  # Let some kills hit a checkpoint or a sealing.
            what = rng.choice(["checkpoint", "seal"])
            threading.Thread(target=lambda: server.run("admin", what, check=False), daemon=True).start()
            checkpoints += 1
            time.sleep(rng.uniform(0, 0.05))
        if rng.random() < 0.3:
            deletes.begin()
            time.sleep(rng.uniform(0, 0.15))
        server.kill()
        server.start()
        if not quiet and kill % 10 == 9:
            acked = sum(len(p.acked) for p in publishers)
            print(f"{kill + 1} kills, {acked} acknowledged", file=sys.stderr)
    for p in publishers:
        p.stopping = True
    for p in publishers:
        p.join(30)
    verdict = verify(server, publishers, deletes)
    acked = sum(len(p.acked) for p in publishers)
    server.restart()
    again = verify(server, publishers, deletes)
    server.__exit__(None, None, None)
    print(f"{kills} kills ({checkpoints} near a checkpoint or sealing), {acked} messages and {deletes.count} deletes "
          f"acknowledged: {verdict.lost} lost, {verdict.duplicates} duplicates, {verdict.wrong} with a wrong time or text, "
          f"{verdict.risen} deleted and seen again")
    assert acked > 0 and verdict == again == Verdict(), (verdict, again)


def redelivery():
    """A PUBLISH without a time, sent again after a crash, is the same point; a new one is not."""
    with Server() as server:
        raw = Raw(server.mqtt_port, b"forgetful")
        raw.socket.sendall(publish_packet(b"again/x", 7, b"4.5"))
        assert raw.pubacks() == [7]
        server.kill()
        server.start()
        raw = Raw(server.mqtt_port, b"forgetful")
        raw.socket.sendall(publish_packet(b"again/x", 7, b"4.5", dup=True))
        assert raw.pubacks() == [7]
        assert len(server.points("again/x")["again/x"]) == 1
        # A copy with DUP set that never came before is stored: the flag proves nothing.
        raw.socket.sendall(publish_packet(b"again/x", 8, b"4.5", dup=True))
        assert raw.pubacks() == [8]
        # The same reading under the same id, DUP clear, after its acknowledgement: a new reading.
        raw.socket.sendall(publish_packet(b"again/x", 7, b"4.5"))
        assert raw.pubacks() == [7]
        assert len(server.points("again/x")["again/x"]) == 3
        server.kill()
        server.start()
        assert len(server.points("again/x")["again/x"]) == 3


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    redelivery()
    numbered(arguments.kills, arguments.seed, quiet=False)
