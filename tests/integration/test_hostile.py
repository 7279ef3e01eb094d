"""Peers that mean harm: memory stays bounded, others are served, everything dropped is counted."""

import socket
import struct
import threading
import time

import pytest

from harness import Server, wait_until
from hostile_query import (CANCEL, CANCELLED, HELLO, LIMIT, MALFORMED, TAIL, UNAVAILABLE, Peer, fields, frame, number,
                           piece, query, request, write)
from raw_mqtt import CONNACK, Client, new_id, packet, string

MIB = 1 << 20
START_NS = 1_750_000_000_000_000_000


@pytest.fixture(scope="module")
def server():
    with Server("--loops", "1", "--query-timeout-s", "2", "--connect-timeout-s", "2", "--series-max", "500",
                "--output-bytes-max", "65536") as s:
        with_points(s)
        yield s


def with_points(server, series=20, points=20000):
    p = Peer(server)
    for k in range(series):
        p.send(write(100 + k, f"bulk/{k}", START_NS, [float(i) for i in range(points)]))
    for k in range(series):
        p.end(100 + k)
    p.socket.close()


def resident_mib(server):
    status = open(f"/proc/{server.process.pid}/status").read()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


def publish(topic, payload, version=5):
    return packet(0x30, string(topic) + (b"\0" if version == 5 else b"") + payload)


def is_served(server, within_s=5):
    """A well-behaved person publishes a value and finds it."""
    began = time.monotonic()
    server.run("pub", "probe/x", "1")
    assert "probe/x" in server.run("last", "probe/x", "--format", "csv").stdout
    return time.monotonic() - began < within_s


def discard(peer):
    """Take bytes, and never say a word."""
    def run():
        try:
            while peer.socket.recv(MIB):
                pass
        except OSError:
            pass
    threading.Thread(target=run, daemon=True).start()


def test_requests_that_never_become_whole_are_bounded(server):
    before = server.stats()["query.connections.dropped"]
    peers = [Peer(server) for _ in range(60)]
    half = struct.pack("<I", 4 * MIB) + bytes(4 * MIB - 100)
    for p in peers:
        p.send(half)
    assert is_served(server)
    assert resident_mib(server) < 500
    assert sum(p.is_closed() for p in peers) == len(peers)
    assert server.stats()["query.connections.dropped"] - before == len(peers)


def test_a_request_a_byte_at_a_time_is_answered(server):
    p = Peer(server)
    for byte in query(7, "bulk/0", START_NS, START_NS + 10_000):
        p.send(bytes([byte]))
    assert p.end(7)[1] == 10  # Rows.


def test_frames_of_absurd_lengths_are_refused(server):
    for length in (4 * MIB + 1, 1 << 31, 0xFFFFFFFF):
        p = Peer(server)
        p.send(struct.pack("<I", length))
        assert p.error() == MALFORMED and p.is_closed()
    p = Peer(server, greet=False)
    p.send(frame(b"\xff" * 100))
    assert p.error() == MALFORMED and p.is_closed()
    p = Peer(server, greet=False)  # Two-byte sections that would unpack to a hundred each.
    p.send(request(1, HELLO, number(1, 1)) + request(2, 3, piece(1, b"") * (2 * MIB - 100)))
    assert p.read()[14] == b"" and p.error() == MALFORMED and p.is_closed()


def test_answers_without_credit_make_room_for_others(server):
    before = server.stats()["query.requests"]
    peers = [Peer(server) for _ in range(17)]
    for p in peers[:16]:
        p.send(b"".join(query(2 + j, "#") for j in range(64)))
        discard(p)
    wait_until(lambda: server.stats()["query.requests"] >= before + 16 * 65)
    last = peers[16]
    last.send(query(2, "bulk/0", START_NS, START_NS + 10_000))
    assert last.error() == UNAVAILABLE
    codes = set()
    end = time.monotonic() + 15
    while time.monotonic() < end:
        last.send(query(2, "bulk/0", START_NS, START_NS + 10_000))
        answer = last.read()
        while 14 not in answer and 15 not in answer:
            answer = last.read()
        if 14 in answer:
            break
        codes.add(fields(answer[15])[1])
        time.sleep(0.2)
    assert 14 in answer and codes <= {UNAVAILABLE}
    assert resident_mib(server) < 1500
    for p in peers:
        p.socket.close()
    assert is_served(server)


def test_too_many_requests_on_one_connection_are_refused_one_by_one(server):
    p = Peer(server)
    p.send(b"".join(query(2 + j, "#") for j in range(80)))
    assert p.error() == LIMIT
    p.socket.close()


def test_a_storm_of_cancels_leaves_nothing_behind(server):
    p = Peer(server)
    codes = []

    def read():
        while len(codes) < 2000:
            codes.append(p.error())
    reader = threading.Thread(target=read)
    reader.start()
    for i in range(2000):
        p.send(query(i + 2, "#") + request(0, CANCEL, number(1, i + 2)))
    reader.join(20)
    assert len(codes) == 2000 and set(codes) <= {CANCELLED, LIMIT}
    p.send(query(9999, "bulk/0", START_NS, START_NS + 10_000))
    assert p.end(9999)[1] == 10


def test_a_tail_that_is_not_read_loses_points_and_hurts_nobody(server):
    before = server.stats()["query.tail.dropped"]
    deaf = [Peer(server, buffer_bytes=4096) for _ in range(3)]
    for p in deaf:
        p.send(request(5, TAIL, piece(1, "#")))
        assert 3 in p.read()  # The estimate: it follows.
    for _ in range(3):
        with_points(server)
    assert is_served(server)
    assert server.stats()["query.tail.dropped"] > before
    assert resident_mib(server) < 1500
    for p in deaf:
        p.socket.close()


def test_a_subscriber_that_is_not_read_loses_messages_and_hurts_nobody(server):
    before = server.stats()
    deaf = [Client(server, new_id(f"deaf{i}")) for i in range(6)]
    for i, c in enumerate(deaf):
        c.send(packet(0x82, b"\0\1\0" + string("flood/#") + bytes([i % 3])))
    wait_until(lambda: server.stats()["mqtt.subscriptions"] >= before["mqtt.subscriptions"] + 6)
    loud = Client(server, new_id())
    for _ in range(40):
        loud.send(publish("flood/x", b"1" + b" " * 2000) * 500)
    wait_until(lambda: server.stats()["mqtt.messages.in"] >= before["mqtt.messages.in"] + 20000)
    assert is_served(server)
    after = server.stats()
    assert after["mqtt.dropped.qos0"] > before["mqtt.dropped.qos0"]
    assert resident_mib(server) < 1500
    for c in [*deaf, loud]:
        c.socket.close()


def test_clients_that_never_finish_their_connect_are_closed(server):
    slow = [socket.create_connection(("127.0.0.1", server.mqtt_port)) for _ in range(300)]
    for s in slow:
        s.send(b"\x10")
        s.settimeout(10)
    assert is_served(server)
    for s in slow:
        assert s.recv(1) == b""


def test_series_beyond_the_limit_are_counted_and_forwarded(server):
    before = server.stats()
    c = Client(server, new_id())
    c.send(b"".join(publish(f"many/{i}", b"1") for i in range(3000)))
    c.send(b"".join(publish("many" + "/x" * 100 + f"/{i}", b"1") for i in range(1000)))
    wait_until(lambda: server.stats()["mqtt.messages.in"] >= before["mqtt.messages.in"] + 4000)
    after = server.stats()
    assert after["store.series"] <= 500
    assert after["ingest.refused.series"] - before["ingest.refused.series"] >= 3500
    assert is_served(server)


def test_payloads_made_to_hurt_the_parser_are_rejected(server):
    before = server.stats()
    c = Client(server, new_id())
    for payload in (b"[" * 100000, b'{"a":' * 20000 + b"1" + b"}" * 20000, b"1" * 100000, b'"' + b"\\" * 50000,
                    b"\xff" * 1000, b"1e" + b"9" * 1000, b""):
        c.send(publish("hurt", payload))
    wait_until(lambda: server.stats()["mqtt.messages.in"] >= before["mqtt.messages.in"] + 7)
    assert server.stats()["ingest.rejects"] - before["ingest.rejects"] == 7
    assert server.run("rejects").stdout.count("hurt: ") == 7


def test_connections_that_come_and_go_leave_nothing_behind(server):
    time.sleep(0.5)
    before = server.stats()["query.connections"]
    for i in range(1500):
        q = socket.create_connection(("127.0.0.1", server.query_port))
        q.send((b"\0", request(1, HELLO, number(1, 1)) + query(2, "#"), b"")[i % 3])
        q.close()
        c = socket.create_connection(("127.0.0.1", server.mqtt_port))
        c.send((b"\x10\x20\0\4MQTT", b"\x00", b"")[i % 3])
        c.close()
    assert is_served(server)
    wait_until(lambda: server.stats()["query.connections"] == before)


def test_a_shortage_of_files_passes():
    with Server("--loops", "1", wrapper=["prlimit", "--nofile=64"]) as s:
        greedy = [socket.create_connection(("127.0.0.1", s.mqtt_port)) for _ in range(200)]
        time.sleep(0.5)
        assert s.alive()
        for g in greedy:
            g.close()
        c = Client(s, connect=False)
        c.send(c.connect_packet(new_id()))
        assert c.read()[0] == CONNACK
        assert is_served(s)


def test_names_of_strangers_do_not_rule_a_terminal(server):
    c = Client(server, new_id())
    c.send(publish("evil/\033[2J", b"\033]0;owned\007"))
    wait_until(lambda: "evil" in server.run("rejects").stdout)
    assert "\033" not in server.run("rejects").stdout
