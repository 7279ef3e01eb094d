"""Statements of the MQTT standards about subscriptions and shares, between whole clients: see test_conformance.py."""

import itertools
import struct
import time

import pytest

from harness import Server
from raw_mqtt import (NO_LOCAL, PUBCOMP, PUBREC, PUBREL, SESSION_EXPIRY, SUBACK, SUBSCRIPTION_ID, UNSUBACK, Client,
                      new_id, packet, resume, string, take_varint, u32, unsubscribe, varint)

both = pytest.mark.parametrize("version", [4, 5])


# SUBSCRIBE.


@both
def test_the_same_filter_again_replaces_the_subscription(shared_server, version):
    c, topic = Client(shared_server, new_id(), version), f"same/{version}"
    p = Client(shared_server, new_id(), version)
    assert c.subscribe((topic, 0), (topic, 2), (topic, 1)) == [0, 2, 1]
    p.publish(topic, "1", 2, 1)
    assert c.message(acknowledge=True)[1:3] == ("1", 1)
    c.hears_nothing()
    unsubscribe(c, topic)
    assert c.read()[0] == UNSUBACK
    p.publish(topic, "2", 2, 2)
    c.hears_nothing()


@both
def test_overlapping_subscriptions_give_one_copy(shared_server, version):
    c, p = Client(shared_server, new_id(), version), Client(shared_server, new_id(), version)
    c.subscribe((f"lap/{version}/#", 0), (f"lap/{version}/+", 2), (f"lap/{version}/x", 1))
    for qos in (2, 1, 0):
        p.publish(f"lap/{version}/x", str(qos), qos, qos)
        assert c.message()[1:3] == (str(qos), qos)
    c.hears_nothing()


@both
def test_subscribing_again_sends_retained_messages_and_loses_none(shared_server, version):
    c, topic = Client(shared_server, new_id(), version), f"flow/{version}"
    p = Client(shared_server, new_id(), version)
    p.publish(f"{topic}/kept", "kept", 1, 1, retain=1)
    c.subscribe((f"{topic}/#", 1))
    for i in range(60):
        p.publish(f"{topic}/live", str(i), 1, i + 2, wait=False)
        if i % 10 == 5:
            blank = b"\0" if version == 5 else b""
            c.send(packet(0x82, b"\0\1" + blank + string(f"{topic}/#") + b"\1"))
    live, kept, answers = [], 0, 0
    while len(live) < 60 or kept < 7 or answers < 6:
        kind, flags, body = c.read()
        if kind == SUBACK:
            answers += 1
            continue
        at = 2 + struct.unpack(">H", body[:2])[0]
        c.acknowledge(struct.unpack(">H", body[at:at + 2])[0])
        text = body[at + 2 + (version == 5):]
        kept += text == b"kept" and flags & 1
        live += [int(text)] if text != b"kept" else []
    assert live == list(range(60))
    c.hears_nothing()


@both
def test_unsubscribing_finishes_what_was_begun(shared_server, version):
    c, topic = Client(shared_server, new_id(), version), f"begun/{version}"
    c.subscribe((topic, 2))
    p = Client(shared_server, new_id(), version)
    p.publish(topic, "1", 2, 1)
    p.publish(topic, "2", 1, 2)
    first, second = c.message(), c.message()
    unsubscribe(c, topic)
    assert c.read()[0] == UNSUBACK
    p.publish(topic, "3", 2, 3)
    c.acknowledge(first.packet_id, PUBREC)
    assert c.answer(PUBREL, first.packet_id) == 0
    c.acknowledge(first.packet_id, PUBCOMP)
    c.acknowledge(second.packet_id)
    c.hears_nothing()


def test_every_matching_subscription_is_named(shared_server):
    """However many there are, one copy with all identifiers."""
    c, p = Client(shared_server, new_id()), Client(shared_server, new_id())
    levels = ["named", "a", "b", "c", "d", "e", "f", "g"]
    filters = ["/".join(f) for f in itertools.product(*([level, "+"] for level in levels))][:200]
    for i, text in enumerate(filters):
        assert c.subscribe((text, i % 2), properties=SUBSCRIPTION_ID + varint(1000 + i)) == [i % 2]
    p.publish("/".join(levels), "x", 1, 1)
    m, ids = c.message(acknowledge=True), []
    rest = m.properties
    while rest:
        assert rest[:1] == SUBSCRIPTION_ID
        number, size = take_varint(rest[1:])
        ids.append(number)
        rest = rest[1 + size:]
    assert m.qos == 1 and sorted(ids) == list(range(1000, 1200))
    c.hears_nothing()


def test_no_local_holds_for_retained_messages(shared_server):
    c, other = Client(shared_server, new_id()), Client(shared_server, new_id())
    c.publish("own/1", "1", 1, 1, retain=1)
    other.publish("own/2", "2", 1, 1, retain=1)
    c.subscribe(("own/#", NO_LOCAL | 1))
    other.subscribe(("own/#", NO_LOCAL | 1))
    assert c.message().topic == "own/2" and other.message().topic == "own/1"
    c.hears_nothing()
    other.hears_nothing()


def test_no_local_is_known_after_a_restart():
    with Server("--loops", "2") as server:
        mine = new_id()
        c = Client(server, mine)
        c.publish("own/1", "1", 2, 1, retain=1)
        server.kill()
        server.start()
        c, other = Client(server, mine), Client(server, new_id())
        c.subscribe(("own/#", NO_LOCAL))
        other.subscribe(("own/#", NO_LOCAL | 2))
        assert other.message()[:4] == ("own/1", "1", 2, 1)
        c.hears_nothing()


# Shared subscriptions.


def test_a_share_keeps_to_its_member(shared_server):
    """The granted QoS is its own; what one was sent is never sent to another, whatever becomes of it."""
    text, name = "$share/g/mine", new_id()
    first = resume(shared_server, name)
    first.subscribe((text, 2))
    p = Client(shared_server, new_id())
    p.publish("mine", "1", 2, 1)
    p.publish("mine", "2", 2, 2)
    one, two = first.message(), first.message()
    assert (one.qos, two.qos) == (2, 2)
    first.acknowledge(one.packet_id, PUBREC)
    assert first.answer(PUBREL, one.packet_id) == 0
    second = Client(shared_server, new_id())
    second.subscribe((text, 0))
    p.publish("mine", "x", 2, 3)
    p.publish("mine", "x", 2, 4)
    three = first.message()
    assert three.qos == 2 and second.message().qos == 0
    first.vanish()
    time.sleep(0.3)
    second.hears_nothing()
    first = resume(shared_server, name)
    assert first.answer(PUBREL, one.packet_id) == 0
    again = [first.message() for _ in range(2)]
    assert [(m.payload, m.dup, m.packet_id) for m in again] == [("2", 1, two.packet_id), ("x", 1, three.packet_id)]
    first.acknowledge(two.packet_id, PUBREC, 0x83)  # Refused: nobody else gets it.
    second.hears_nothing()
    first.send(b"\xe0\7\0\5" + u32(SESSION_EXPIRY, 0))  # Its session ends with a PUBCOMP still owed.
    assert first.is_closed()
    second.hears_nothing()


@both
def test_a_share_prefers_members_that_are_connected(shared_server, version):
    text, names = f"$share/g/prefer/{version}", [new_id() + str(i) for i in range(8)]
    members = [resume(shared_server, name, version) for name in names]
    for member in members:
        assert member.subscribe((text, 1)) == [1]
    for member in members[1:]:
        member.vanish()
    time.sleep(0.3)
    p = Client(shared_server, new_id(), version)
    for i in range(20):
        p.publish(f"prefer/{version}", str(i), 1, i + 1)
    assert [members[0].message(acknowledge=True).payload for _ in range(20)] == [str(i) for i in range(20)]
    members[0].vanish()
    time.sleep(0.3)
    for i in range(16):  # With nobody there all take their turns.
        p.publish(f"prefer/{version}", "x", 1, i + 1)
    members = [resume(shared_server, name, version) for name in names]
    assert [[m.message(acknowledge=True).payload for _ in range(2)] for m in members] == [["x", "x"]] * 8


def test_a_share_and_a_subscription_are_two(shared_server):
    c, p = Client(shared_server, new_id()), Client(shared_server, new_id())
    c.subscribe(("$share/g/two", 1), properties=SUBSCRIPTION_ID + b"\1")
    c.subscribe(("two", 1), properties=SUBSCRIPTION_ID + b"\2")
    p.publish("two", "x", 1, 1, retain=1)
    assert {c.message(acknowledge=True).properties for _ in range(2)} == {SUBSCRIPTION_ID + b"\1", SUBSCRIPTION_ID + b"\2"}
    c.hears_nothing()
    assert c.subscribe(("$share/g/two", 1)) == [1]  # A share gets no retained messages.
    c.hears_nothing()
    unsubscribe(c, "$share/g/two")
    assert c.read() == (UNSUBACK, 0, b"\0\7\0\0")
    p.publish("two", "y", 1, 2)
    assert c.message(acknowledge=True).properties == SUBSCRIPTION_ID + b"\2"
    c.hears_nothing()
