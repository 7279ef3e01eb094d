"""Statements of the MQTT standards that show only between whole clients: docs/CONFORMANCE.md names the test of each."""

import fnmatch
import itertools
import re
import string as alphabet
import struct
import time

import pytest

from harness import ROOT, Server
from raw_mqtt import (PINGRESP, PUBACK, PUBCOMP, PUBLISH, PUBREC, PUBREL, SESSION_EXPIRY, SUBACK, SUBSCRIPTION_ID,
                      UNSUBACK, Client, keep, new_id, packet, resume, string, u16, u32, unsubscribe, varint)

WILL_DELAY, MESSAGE_EXPIRY, RECEIVE_MAXIMUM = 0x18, 0x02, 0x21
TOPIC_ALIAS, TOPIC_ALIAS_MAXIMUM = 0x23, 0x22
both = pytest.mark.parametrize("version", [4, 5])


def publish_packet(version, topic, payload, first=0x30):
    return packet(first, string(topic) + (b"\0" if version == 5 else b"") + payload)


def rows():
    for line in (ROOT / "tests/conformance/packets.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            yield line.split()[2].split("[")[0]


def test_what_the_table_of_statements_names_exists():
    lines = [t for t in (ROOT / "docs/CONFORMANCE.md").read_text().splitlines() if t.startswith("| MQTT-")]
    named = re.findall(r"`([a-z0-9_]+\.(?:py|c|txt)):([^`]+)`", "".join(lines))
    assert len(named) > 300
    assert not [t for t in lines if "| holds" in t and "`" not in t]
    all_rows, texts = set(rows()), {}
    for file, name in sorted(set(named)):
        if file == "packets.txt":
            assert fnmatch.filter(all_rows, name), name
            continue
        path = ROOT / "tests" / ("integration" if file.endswith(".py") else "unit") / file
        text = texts.setdefault(path, path.read_text())
        assert f"def {name}(" in text or f"static void {name}(" in text, (file, name)


# CONNECT.


def test_every_client_id_of_23_letters_and_digits_is_taken(shared_server):
    letters = alphabet.digits + alphabet.ascii_letters
    for version, size in itertools.product((4, 5), (1, 22, 23)):
        for start in range(0, len(letters), size + 20):
            name = (letters * 2)[start:start + size]
            assert Client(shared_server, name, version).code == 0


def test_a_client_id_that_is_too_long_is_refused(shared_server):
    for version, code in ((4, 2), (5, 0x85)):
        assert Client(shared_server, "x" * 1024, version).code == 0
        c = Client(shared_server, "x" * 1025, version)
        assert (c.present, c.code) == (0, code) and c.is_closed()


def test_an_assigned_client_id_is_its_own(shared_server):
    names = set()
    for clean in (True, False, True, False):
        c = Client(shared_server, "", clean=clean, properties=keep(5))
        assert (c.present, c.code) == (0, 0)
        at = c.connack.index(b"\x12")
        size = struct.unpack(">H", c.connack[at + 1:at + 3])[0]
        names.add(c.connack[at + 3:at + 3 + size].decode())
        c.vanish()
    assert len(names) == 4 and "" not in names
    time.sleep(0.2)
    assert resume(shared_server, names.pop()).present == 1  # Known by it from now on.
    assert {Client(shared_server, "", 4).code for _ in range(3)} == {0}


@both
def test_after_a_refused_connect_nothing_is_done(shared_server, version):
    watcher, topic = Client(shared_server, new_id()), f"refused/{version}"
    watcher.subscribe((topic, 0))
    c = Client(shared_server, version=version, connect=False)
    will = ("$SYS/x", "1", 0, 0, b"")  # Not for clients.
    c.send(c.connect_packet(new_id(), will=will) + publish_packet(version, topic, b"1"))
    kind, _, body = c.read()
    assert kind == 2 and body[0] == 0 and body[1] == (0x87 if version == 5 else 5)
    assert c.is_closed()
    watcher.hears_nothing()


@both
def test_a_clean_start_forgets_all_but_retained_messages(shared_server, version):
    name, topic = new_id(), f"fresh/{version}"
    c = resume(shared_server, name, version)
    c.subscribe((topic, 1))
    p = Client(shared_server, new_id(), version)
    p.publish(topic, "kept", 1, 1, retain=1)
    c.message()  # Not acknowledged.
    c.vanish()
    time.sleep(0.2)
    c = Client(shared_server, name, version, clean=True)
    assert c.present == 0
    p.publish(topic, "unheard", 1, 2)
    c.hears_nothing()
    c.vanish()
    time.sleep(0.2)
    c = resume(shared_server, name, version)  # A clean session leaves nothing either.
    assert c.present == 0
    c.subscribe((topic, 1))
    assert c.message(acknowledge=True)[1:4] == ("kept", 1, 1)


def test_what_is_over_is_over_at_once(shared_server):
    """Sessions and delayed wills end when they should, not when somebody next looks."""
    watcher = Client(shared_server, new_id())
    watcher.subscribe(("over/#", 0))
    for i in range(4):
        name = new_id()
        Client(shared_server, name, properties=u32(SESSION_EXPIRY, 1)).vanish()
        other = new_id()
        Client(shared_server, other, properties=keep(5), will=(f"over/{i}", "x", 0, 0, u32(WILL_DELAY, 1))).vanish()
        time.sleep(1.12 + i / 20)
        assert resume(shared_server, name).present == 0
        assert resume(shared_server, other).present == 1
        assert watcher.message().topic == f"over/{i}"


@both
def test_wills_are_published_whatever_ended_the_connection(shared_server, version):
    watcher = Client(shared_server, new_id())
    watcher.subscribe((f"ended/{version}/#", 2))
    name = new_id()
    first = Client(shared_server, name, version, will=(f"ended/{version}/takeover", "x", 1, 0, b""))
    Client(shared_server, name, version)
    assert watcher.message(acknowledge=True).topic == f"ended/{version}/takeover"
    first.vanish()
    silent = Client(shared_server, new_id(), version, keep_alive=1, will=(f"ended/{version}/silence", "x", 0, 0, b""))
    assert watcher.message().topic == f"ended/{version}/silence"
    silent.vanish()
    bad = Client(shared_server, new_id(), version, will=(f"ended/{version}/error", "x", 0, 1, b""))
    bad.send(b"\x20\2\0\0")
    assert watcher.message().topic == f"ended/{version}/error"
    Client(shared_server, new_id(), version).vanish()  # No will, no message.
    watcher.hears_nothing()
    late = Client(shared_server, new_id())
    late.subscribe((f"ended/{version}/#", 0))
    assert late.message()[:4] == (f"ended/{version}/error", "x", 0, 1)  # Retained where the will said so only.
    late.hears_nothing()


def test_what_a_client_did_not_ask_for_is_not_said(shared_server):
    """No response information, no reason strings, no user properties but those of messages, no aliases."""
    c = Client(shared_server, new_id(), properties=b"\x19\0\x17\0")
    assert b"\x1a" not in c.connack[3:] and b"\x1f" not in c.connack[3:] and b"\x26" not in c.connack[3:]
    c.send(packet(0x82, b"\0\1\0" + string("said") + b"\2"))
    assert c.read() == (SUBACK, 0, b"\0\1\0\2")
    c.send(packet(0x32, string("$SYS/said") + b"\0\2\0x"))
    assert c.read() == (PUBACK, 0, b"\0\2\x87")
    user = b"\x26" + string("k") + string("v")
    for text in "12":
        c.publish("said", text, properties=user)
        m = c.message()
        assert (m.topic, m.properties) == ("said", user)
    unsubscribe(c, "nothing")
    assert c.read() == (UNSUBACK, 0, b"\0\7\0\x11")


def test_a_server_keep_alive_is_enforced():
    with Server("--keep-alive-max-s", "1") as server:
        begin = time.monotonic()
        c = Client(server, new_id(), keep_alive=0)
        assert u16(0x13, 1) in c.connack
        assert c.disconnect_code() == 0x8D and 1.5 <= time.monotonic() - begin < 3.5
        c = Client(server, new_id(), 4, keep_alive=0)  # Before v5 it cannot be told.
        c.hears_nothing(3)


# PUBLISH.


@both
def test_what_comes_after_a_goodbye_is_not_done(shared_server, version):
    watcher, topic = Client(shared_server, new_id()), f"goodbye/{version}"
    watcher.subscribe((topic, 0))
    c = Client(shared_server, new_id(), version)
    c.send(publish_packet(version, topic, b"before") + b"\xe0\0" + publish_packet(version, topic, b"after"))
    assert c.is_closed()
    assert watcher.message().payload == "before"
    watcher.hears_nothing()


def test_properties_of_a_message_travel_unaltered_and_in_order(shared_server):
    c, p = Client(shared_server, new_id()), Client(shared_server, new_id())
    c.subscribe(("travel", 1))
    pairs = [("b", "1"), ("a", "2"), ("b", "1"), ("", ""), ("é", "ü"), ("a", "3")]
    users = [b"\x26" + string(k) + string(v) for k, v in pairs]
    properties = (users[0] + b"\1\1" + users[1] + b"\3" + string("text/plain") + b"\x08" + string("answer/here") +
                  users[2] + b"\x09" + string(b"\0\xff\1") + b"".join(users[3:]))
    assert p.publish("travel", "1", 1, 1, properties=properties) == 0
    assert c.message(acknowledge=True).properties == properties
    late = Client(shared_server, new_id())
    p.publish("travel/kept", "1", 1, 2, retain=1, properties=properties)
    late.subscribe(("travel/kept", 0))
    assert late.message().properties == properties


@both
def test_retained_messages_follow_the_flag(shared_server, version):
    p, topic = Client(shared_server, new_id(), version), f"flag/{version}"

    def kept():
        c = Client(shared_server, new_id(), version)
        c.subscribe((topic, 2))
        c.send(b"\xc0\0")
        kind, flags, body = c.read()
        return (body[2 + len(topic):].lstrip(b"\0\1\2\3").decode(), flags & 7) if kind == PUBLISH else None

    live = Client(shared_server, new_id(), version)
    live.subscribe((topic, 0))
    assert kept() is None
    p.publish(topic, "first", 1, 1, retain=1)
    assert kept() == ("first", 3)
    p.publish(topic, "passing", 1, 1)  # Not retained: nothing is changed.
    assert kept() == ("first", 3)
    p.publish(topic, "second", 0, retain=1)
    p.publish(topic, "", 1, 1)
    assert kept() == ("second", 1)
    p.publish(topic, "", 1, 1, retain=1)
    assert kept() is None
    heard = [live.message() for _ in range(5)]
    assert [m.payload for m in heard] == ["first", "passing", "second", "", ""]
    assert {m.retain for m in heard} == {0}


def test_a_retained_message_counts_down_and_goes(shared_server):
    p = Client(shared_server, new_id())
    p.publish("passing/1", "x", 1, 1, retain=1, properties=u32(MESSAGE_EXPIRY, 2))
    p.publish("passing/2", "x", 1, 2, retain=1, properties=u32(MESSAGE_EXPIRY, 20))
    time.sleep(1.1)
    c = Client(shared_server, new_id())
    c.subscribe(("passing/#", 0))
    left = sorted(struct.unpack(">I", c.message().properties[1:])[0] for _ in range(2))
    assert left[0] == 1 and 17 <= left[1] <= 19
    time.sleep(1.1)
    c = Client(shared_server, new_id())
    c.subscribe(("passing/#", 0))
    assert c.message().topic == "passing/2"
    c.hears_nothing()


def test_topic_aliases_end_with_their_connection(shared_server):
    name = new_id()
    p = resume(shared_server, name)
    p.publish("ends/here", "1", 1, 1, properties=u16(TOPIC_ALIAS, 1))
    p.vanish()
    p = resume(shared_server, name)
    p.publish("", "2", properties=u16(TOPIC_ALIAS, 1))
    assert p.disconnect_code() == 0x82
    name, p = new_id(), Client(shared_server, new_id())
    shortened = {"properties": keep(5) + u16(TOPIC_ALIAS_MAXIMUM, 5)}
    c = Client(shared_server, name, clean=False, **shortened)
    c.subscribe(("ends/+", 1))
    p.publish("ends/there", "1", 1, 1)
    p.publish("ends/there", "2", 1, 2)
    assert [c.message().topic for _ in range(2)] == ["ends/there", ""]
    c.vanish()
    c = Client(shared_server, name, clean=False, **shortened)
    again = [c.message() for _ in range(2)]
    assert [(m.topic, m.payload, m.dup) for m in again] == [("ends/there", "1", 1), ("", "2", 1)]
    c.vanish()
    again = [resume(shared_server, name).message() for _ in range(1)]
    assert (again[0].topic, again[0].properties) == ("ends/there", b"")


def test_every_alias_up_to_the_maximum_is_taken(shared_server):
    c, p = Client(shared_server, new_id()), Client(shared_server, new_id())
    at = p.connack.index(u16(TOPIC_ALIAS_MAXIMUM, 0)[:1], 3)
    most = struct.unpack(">H", p.connack[at + 1:at + 3])[0]
    c.subscribe(("every/#", 0))
    for topic in ("every/{}", ""):
        for alias in range(1, most + 1):
            p.publish(topic.format(alias), "x", properties=u16(TOPIC_ALIAS, alias))
            assert c.message().topic == f"every/{alias}"
    p.publish("every/more", "x", properties=u16(TOPIC_ALIAS, most + 1))
    assert p.disconnect_code() == 0x94


def test_topics_are_taken_as_they_are(shared_server):
    """No code point is stripped, folded or composed, no level is left out."""
    c, p = Client(shared_server, new_id()), Client(shared_server, new_id())
    topics = ["asis/\ufeffa", "asis/a", "asis/A", "asis/e\u0301", "asis/\u00e9", "asis//a", "asis/a/", "asis/ a"]
    for i, topic in enumerate(topics):
        c.subscribe((topic, 0), properties=SUBSCRIPTION_ID + varint(i + 1))
    for i, topic in enumerate(topics):
        p.publish(topic, str(i))
        m = c.message()
        assert (m.topic, m.payload, m.properties) == (topic, str(i), SUBSCRIPTION_ID + varint(i + 1))
    c.hears_nothing()
    longest = "x" * 65535
    c.subscribe((longest, 0))
    p.publish(longest, "1")
    assert c.message().topic == longest


@both
def test_topics_of_the_server_are_not_for_clients(shared_server, version):
    watcher = Client(shared_server, new_id())
    watcher.subscribe(("$SYS/broker/odd/#", 2), ("$share/x/$SYS/broker/odd/#", 2))
    p = Client(shared_server, new_id(), version)
    p.publish("$SYS/broker/odd/0", "x")
    for qos in (1, 2):
        refused = 0x87 if version == 5 else 0
        assert p.publish(f"$SYS/broker/odd/{qos}", "x", qos, qos, retain=1) == refused
    watcher.hears_nothing()


# Acknowledgements.


@both
def test_a_refused_message_is_over(shared_server, version):
    name, topic = new_id(), f"no/{version}"
    c = resume(shared_server, name, version)
    c.subscribe((topic, 2))
    p = Client(shared_server, new_id(), version)
    for qos in (1, 2):
        p.publish(topic, str(qos), qos, qos)
    for kind in (PUBACK, PUBREC):
        c.acknowledge(c.message().packet_id, kind, 0x83 if version == 5 else None)
    if version == 4:
        assert c.read()[0] == PUBREL  # Nothing can be refused.
    c.hears_nothing()
    c.vanish()
    c = resume(shared_server, name, version)
    assert c.present == 1
    if version == 5:
        c.hears_nothing()


@both
def test_an_acknowledged_packet_id_is_a_new_message(shared_server, version):
    c, topic = Client(shared_server, new_id(), version), f"again/{version}"
    c.subscribe((topic, 0))
    p = Client(shared_server, new_id(), version)
    for text, dup in (("1", 0), ("2", 0), ("2", 1)):
        assert p.publish(topic, text, 1, 7, dup=dup) == 0
        m = c.message()
        assert (m.payload, m.dup) == (text, 0)
    for text in "34":
        assert p.publish(topic, text, 2, 7) == 0 and p.release(7) == 0
        assert c.message().payload == text
    if version == 5:
        assert p.publish("$SYS/x", "1", 2, 9) == 0x87
        assert p.publish(topic, "5", 2, 9) == 0
        assert c.message().payload == "5"


@both
def test_packet_ids_under_way_are_all_different(shared_server, version):
    c, topic = Client(shared_server, new_id(), version), f"ids/{version}"
    c.subscribe((topic, 2))
    p = Client(shared_server, new_id(), version)
    for i in range(1, 101):
        p.publish(topic, str(i), 1 + i % 2, i)
    heard = [c.message() for _ in range(100)]
    assert [m.payload for m in heard] == [str(i) for i in range(1, 101)]
    ids = {m.packet_id for m in heard}
    assert len(ids) == 100 and 0 not in ids and {m.dup for m in heard} == {0}


def test_a_full_window_holds_nothing_else_back(shared_server):
    c, p = Client(shared_server, new_id(), properties=u16(RECEIVE_MAXIMUM, 1)), Client(shared_server, new_id())
    c.subscribe(("full", 2))
    for i in range(3):
        p.publish("full", str(i), 2, i + 1)
    first = c.message()
    c.send(b"\xc0\0")
    assert c.read()[0] == PINGRESP
    assert c.publish("full/other", "x", 1, 1) == 0 and c.publish("full/other", "x", 2, 2) == 0 and c.release(2) == 0
    assert c.subscribe(("full/more", 0)) == [0]
    unsubscribe(c, "full/more")
    assert c.read()[0] == UNSUBACK
    c.acknowledge(first.packet_id, PUBREC)
    assert c.answer(PUBREL, first.packet_id) == 0
    c.hears_nothing()
    c.acknowledge(first.packet_id, PUBCOMP)
    assert c.message().payload == "1"


def test_a_resumed_session_keeps_to_the_new_limits(shared_server):
    name, p = new_id(), Client(shared_server, new_id())
    c = resume(shared_server, name)
    c.subscribe(("limits", 2))
    for i, text in enumerate(("1", "2" * 90, "3", "4")):
        p.publish("limits", text, 1, i + 1)
    ids = [c.message().packet_id for _ in range(4)]
    c.vanish()
    time.sleep(0.2)
    limits = keep(5) + u16(RECEIVE_MAXIMUM, 2) + u32(0x27, 60)
    c = Client(shared_server, name, clean=False, properties=limits)
    first, third = c.message(), c.message()
    assert [(m.payload, m.dup, m.packet_id) for m in (first, third)] == [("1", 1, ids[0]), ("3", 1, ids[2])]
    c.hears_nothing()
    c.acknowledge(third.packet_id)
    assert c.message()[1:6] == ("4", 1, 0, 1, ids[3])
    c.hears_nothing()


def test_the_exchange_of_an_expired_message_is_finished(shared_server):
    c, p = Client(shared_server, new_id()), Client(shared_server, new_id())
    c.subscribe(("expired", 2))
    p.publish("expired", "x", 2, 1, properties=u32(MESSAGE_EXPIRY, 1))
    packet_id = c.message().packet_id
    time.sleep(1.2)
    c.acknowledge(packet_id, PUBREC)
    assert c.answer(PUBREL, packet_id) == 0
    c.acknowledge(packet_id, PUBCOMP)
    assert p.release(1) == 0
