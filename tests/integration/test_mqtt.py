"""The rules of MQTT between clients and a real hejnald with two loops."""

import signal
import struct
import threading
import time

import pytest

from harness import Server
from raw_mqtt import PINGRESP, PUBACK, Client, new_id, packet, string, u16, u32

SESSION_EXPIRY, WILL_DELAY, MESSAGE_EXPIRY, SUBSCRIPTION_ID = 0x11, 0x18, 0x02, b"\x0b"
TOPIC_ALIAS, RECEIVE_MAXIMUM, MAXIMUM_PACKET_SIZE = 0x23, 0x21, 0x27
NO_LOCAL, RETAIN_AS_PUBLISHED, RETAIN_IF_NEW, RETAIN_NEVER = 4, 8, 0x10, 0x20

both = pytest.mark.parametrize("version", [4, 5])


def keep(version):
    return u32(SESSION_EXPIRY, 100) if version == 5 else b""


def test_refusals_of_connect(shared_server):
    s = shared_server
    assert Client(s, "", 4).code == 0
    assert Client(s, "", 4, clean=False).code == 2
    assert Client(s, new_id(), 4, will=("$SYS/x", "1", 0, 0, b"")).code == 5
    assert Client(s, new_id(), 5, properties=b"\x15" + string("SCRAM")).code == 0x8C


def test_the_first_packet_is_a_connect_of_a_known_version(shared_server):
    c = Client(shared_server, connect=False)
    c.send(b"\xc0\0")
    assert c.is_closed()
    c = Client(shared_server, connect=False)
    c.send(packet(0x10, string("MQTT") + b"\x07\x02\0\x3c\0\1x"))
    assert c.read() == (2, 0, b"\0\1")
    c = Client(shared_server, new_id())
    c.send(c.connect_packet("again"))
    assert c.disconnect_code() == 0x82


def test_a_second_connection_takes_over(shared_server):
    name = new_id()
    first, second = Client(shared_server, name), Client(shared_server, name)
    assert first.disconnect_code() == 0x8E and first.is_closed()
    assert second.subscribe(("x", 0)) == [0]
    first, second = Client(shared_server, name + "4", 4), Client(shared_server, name + "4", 4)
    assert first.is_closed()


@both
def test_a_resumed_session_gets_the_rest_in_order(shared_server, version):
    name, topic = new_id(), f"resume/{version}/x"
    c = Client(shared_server, name, version, clean=False, properties=keep(version))
    assert c.present == 0 and c.subscribe((f"resume/{version}/#", 1)) == [1]
    p = Client(shared_server, new_id(), version)
    for i in range(1, 6):
        assert p.publish(topic, str(i), 1, i) == 0
    got = [c.message() for _ in range(5)]
    assert [m.payload for m in got] == list("12345")
    c.acknowledge(got[0].packet_id)
    c.acknowledge(got[1].packet_id)
    time.sleep(0.2)
    c.vanish()
    time.sleep(0.2)
    p.publish(topic, "6", 1, 9)
    c = Client(shared_server, name, version, clean=False, properties=keep(version))
    assert c.present == 1
    again = [c.message() for _ in range(4)]
    assert [m.payload for m in again] == list("3456")
    assert [m.dup for m in again] == [1, 1, 1, 0]
    assert [m.packet_id for m in again[:3]] == [m.packet_id for m in got[2:]]
    c.hears_nothing()
    c.vanish()
    assert Client(shared_server, name, version, clean=True).present == 0


def test_wills(shared_server):
    watcher = Client(shared_server, new_id())
    watcher.subscribe(("will/#", 1))
    Client(shared_server, new_id(), will=("will/a", "gone", 1, 0, b"")).vanish()
    assert watcher.message().payload == "gone"
    Client(shared_server, new_id(), will=("will/b", "gone", 1, 0, b"")).disconnect()
    watcher.hears_nothing()
    Client(shared_server, new_id(), will=("will/c", "kept", 1, 1, b"")).disconnect(4)
    assert watcher.message()[:4] == ("will/c", "kept", 1, 0)
    late = Client(shared_server, new_id(), 4)
    late.subscribe(("will/c", 1))
    assert late.message()[:4] == ("will/c", "kept", 1, 1)


def test_a_delayed_will_waits_and_is_cancelled_by_coming_back(shared_server):
    watcher = Client(shared_server, new_id())
    watcher.subscribe(("late/#", 1))
    name = new_id()
    c = Client(shared_server, name, properties=keep(5), will=("late/a", "1", 0, 0, u32(WILL_DELAY, 2)))
    c.vanish()
    watcher.hears_nothing(1.8)
    assert watcher.message().payload == "1"
    c = Client(shared_server, name, properties=keep(5), will=("late/b", "2", 0, 0, u32(WILL_DELAY, 1)))
    c.vanish()
    time.sleep(0.3)
    assert Client(shared_server, name, clean=False, properties=keep(5)).present == 1
    watcher.hears_nothing(2.2)


def test_keep_alive_is_enforced_and_never_early(shared_server):
    begin = time.monotonic()
    c = Client(shared_server, new_id(), keep_alive=1)
    assert c.disconnect_code() == 0x8D
    assert 1.5 <= time.monotonic() - begin < 3.5
    c = Client(shared_server, new_id(), 4, keep_alive=2)
    for _ in range(4):
        time.sleep(1)
        c.send(b"\xc0\0")
        assert c.read()[0] == PINGRESP


def test_topic_aliases(shared_server):
    reader, p = Client(shared_server, new_id()), Client(shared_server, new_id())
    reader.subscribe(("alias/#", 0))
    p.publish("alias/x", "1", properties=u16(TOPIC_ALIAS, 1))
    p.publish("", "2", properties=u16(TOPIC_ALIAS, 1))
    for text in "12":
        m = reader.message()
        assert (m.topic, m.payload, m.properties) == ("alias/x", text, b"")
    p.publish("", "3", properties=u16(TOPIC_ALIAS, 2))
    assert p.disconnect_code() == 0x82
    p = Client(shared_server, new_id())
    p.publish("alias/x", "1", properties=u16(TOPIC_ALIAS, 0x7F00))
    assert p.disconnect_code() == 0x94


def test_subscription_options_and_identifiers(shared_server):
    c, p = Client(shared_server, new_id()), Client(shared_server, new_id())
    assert c.subscribe(("o/#", 1 | NO_LOCAL), properties=SUBSCRIPTION_ID + b"\7") == [1]
    c.publish("o/own", "1", 1, 1)
    c.hears_nothing()
    user = b"\x26" + string("k") + string("v")
    p.publish("o/1", "2", 1, 1, properties=user + u32(MESSAGE_EXPIRY, 100))
    m = c.message()
    assert user in m.properties and SUBSCRIPTION_ID + b"\7" in m.properties
    assert c.subscribe(("o/+", 0), properties=SUBSCRIPTION_ID + b"\x09") == [0]
    p.publish("o/1", "3", 1, 2)
    m = c.message()  # One delivery, at the highest QoS, with both identifiers.
    assert m.qos == 1 and SUBSCRIPTION_ID + b"\7" in m.properties and SUBSCRIPTION_ID + b"\x09" in m.properties
    c.hears_nothing()


def test_retained_messages_by_the_options_of_the_subscription(shared_server):
    p, r = Client(shared_server, new_id()), Client(shared_server, new_id())
    r.subscribe(("ret/a", 1 | RETAIN_AS_PUBLISHED))
    p.publish("ret/a", "1", 1, 1, retain=1)
    assert r.message().retain == 1
    late = Client(shared_server, new_id())
    late.subscribe(("ret/+", 1))
    assert late.message().retain == 1
    p.publish("ret/a", "2", 1, 2, retain=1)
    assert late.message()[1:4] == ("2", 1, 0)
    late.subscribe(("ret/+", 1 | RETAIN_IF_NEW))
    late.subscribe(("ret/+", 1 | RETAIN_NEVER))
    late.hears_nothing()
    late.subscribe(("ret/+", 1))
    assert late.message().payload == "2"
    p.publish("ret/a", "", 1, 3, retain=1)
    assert Client(shared_server, new_id()).subscribe(("ret/#", 1)) == [1]


def test_what_is_retained_after_clearing_and_a_restart_stays():
    """The change that cleared had the highest stamp of all; those given after the restart are later."""
    with Server() as server:
        p = Client(server, new_id())
        for i in range(8):
            p.publish("ret/c", str(i), 1, i + 1, retain=1)
        p.publish("ret/c", "", 1, 9, retain=1)
        for word in ("again", "and again"):
            server.kill()
            server.start()
            Client(server, new_id()).publish("ret/c", word, 1, 1, retain=1)
            server.kill()
            server.start()
            late = Client(server, new_id())
            late.subscribe(("ret/c", 1))
            assert late.message().payload == word


@both
def test_many_retained_messages_by_wildcard(shared_server, version):
    p = Client(shared_server, new_id(), version)
    for i in range(1, 301):
        p.publish(f"many/{version}/{i}/v", str(i), 1, i, retain=1)
    for qos in (0, 1):
        c = Client(shared_server, new_id(), version)
        c.subscribe((f"many/{version}/+/v", qos))
        assert len({c.message(acknowledge=qos).topic for _ in range(300)}) == 300
        c.hears_nothing()


def test_messages_expire_and_count_down(shared_server):
    name = new_id()
    c = Client(shared_server, name, properties=keep(5))
    c.subscribe(("exp/#", 1))
    c.vanish()
    time.sleep(0.2)
    p = Client(shared_server, new_id())
    p.publish("exp/1", "short", 1, 1, properties=u32(MESSAGE_EXPIRY, 1))
    p.publish("exp/1", "long", 1, 2, properties=u32(MESSAGE_EXPIRY, 20))
    time.sleep(1.5)
    c = Client(shared_server, name, clean=False, properties=keep(5))
    m = c.message()
    assert m.payload == "long" and 15 <= struct.unpack(">I", m.properties[1:5])[0] <= 19
    c.hears_nothing()


def test_what_is_not_offered_is_refused_by_the_right_code(shared_server):
    c = Client(shared_server, new_id())
    assert c.publish("$SYS/x", "1", 1, 1) == 0x87
    c.send(b"\x30\xff\xff\xff\x7f")
    assert c.disconnect_code() == 0x95


def test_the_limits_of_a_client_are_kept(shared_server):
    limits = u32(MAXIMUM_PACKET_SIZE, 50) + u16(RECEIVE_MAXIMUM, 2)
    c, p = Client(shared_server, new_id(), properties=limits), Client(shared_server, new_id())
    c.subscribe(("lim/#", 1))
    p.publish("lim/1", "x" * 100, 1, 1)
    for i in range(4):
        p.publish("lim/1", str(i), 1, i + 2)
    first = c.message()
    assert first.payload == "0" and c.message().payload == "1"
    c.hears_nothing()
    c.acknowledge(first.packet_id)
    assert c.message().payload == "2"


def test_packets_in_one_piece_and_byte_by_byte(shared_server):
    c = Client(shared_server, version=4, connect=False)
    publishes = b"".join(packet(0x32, string("piece") + bytes([0, i]) + b"1") for i in (1, 2))
    c.send(c.connect_packet(new_id()) + publishes)
    assert [c.read()[0] for _ in range(3)] == [2, PUBACK, PUBACK]
    c = Client(shared_server, version=4, connect=False)
    for byte in c.connect_packet(new_id()) + publishes:
        c.send(bytes([byte]))
        time.sleep(0.001)
    assert [c.read()[2] for _ in range(3)] == [b"\0\0", b"\0\1", b"\0\2"]


def test_a_flood_beyond_the_window_is_slowed_down_or_refused(shared_server):
    def flood(c, count):
        blank = b"\0" if c.version == 5 else b""
        data = b"".join(packet(0x32, string("flood") + struct.pack(">H", i + 1) + blank + b"1") for i in range(count))
        thread = threading.Thread(target=lambda: c.send(data))
        thread.start()
        return thread

    c = Client(shared_server, new_id(), 4)
    thread = flood(c, 5000)
    assert [struct.unpack(">H", c.read()[2])[0] for _ in range(5000)] == list(range(1, 5001))
    thread.join()
    c = Client(shared_server, new_id(), 5)
    thread = flood(c, 5000)
    kind, _, body = c.read()
    while kind == PUBACK:
        kind, _, body = c.read()
    assert body[0] == 0x93
    thread.join()


def test_a_large_message_goes_through_whole(shared_server):
    r, p = Client(shared_server, new_id()), Client(shared_server, new_id())
    r.subscribe(("large", 0))
    assert p.publish("large", "7" * 700000, 1, 1) == 0
    assert r.read()[2].endswith(b"7" * 700000)


def test_a_redelivery_keeps_its_first_time_across_a_crash():
    """Promise P3."""
    with Server("--loops", "2") as server:
        c = Client(server, "meter", 4, clean=False)
        c.publish("p3/a", "1", 1, 1)
        c.publish("p3/a", "2", 1, 2)
        before = server.points("p3/a")
        server.kill()
        server.start()
        c = Client(server, "meter", 4, clean=False)
        c.publish("p3/a", "2", 1, 2, dup=1)
        assert server.points("p3/a") == before
        c.publish("p3/a", "2", 1, 2)  # Acknowledged before: another message.
        assert len(server.points("p3/a")["p3/a"]) == 3


def test_an_unacknowledged_publish_needs_no_dup_flag():
    """Promise P3: the DUP flag is not trusted. The broker is halted while the client sends and vanishes, so that
    it finds the connection closed before the message is on disk and writes no PUBACK: what comes again is the
    same reading. Where the disk was quicker the PUBACK was written, and DUP clear makes it a new one; where the
    new connection was, the first copy was never read."""
    with Server("--loops", "2") as server:
        c = Client(server, "meter", 4, clean=False)
        for i in range(30):
            server.process.send_signal(signal.SIGSTOP)
            c.publish("p3/b", str(i), 1, 100 + i, wait=False)
            c.vanish()
            server.process.send_signal(signal.SIGCONT)
            c = Client(server, "meter", 4, clean=False)
            c.publish("p3/b", str(i), 1, 100 + i)
        values = [int(value) for _, value in server.points("p3/b")["p3/b"]]
        recognised = server.stats()["ingest.redelivered"]
        assert sorted(set(values)) == list(range(30))
        assert 30 <= len(values) <= 60 - recognised and recognised >= 10


def test_acknowledged_retained_messages_survive_a_crash():
    """Promise P1, for the broker's state."""
    with Server("--loops", "2") as server:
        p = Client(server, "meter", 5)
        user = b"\x26" + string("k") + string("v")
        p.publish("keep/a", "21.5", 1, 1, retain=1, properties=user)
        p.publish("keep/b", "text", 1, 2, retain=1)
        p.publish("keep/c", "1", 1, 3, retain=1)
        p.publish("keep/c", "", 1, 4, retain=1)
        server.kill()
        server.start()
        c = Client(server, new_id())
        c.subscribe(("keep/#", 1))
        got = sorted(c.message(acknowledge=True)[:2] for _ in range(2))
        assert got == [("keep/a", "21.5"), ("keep/b", "text")]
        c.hears_nothing()


@both
def test_members_of_a_share_get_each_message_once_between_them(shared_server, version):
    members = [Client(shared_server, new_id(), version) for _ in range(6)]
    whole = Client(shared_server, new_id(), version)
    for member in members:
        assert member.subscribe((f"$share/workers/job/{version}/+", 1)) == [1]
    whole.subscribe((f"job/{version}/#", 0))
    p = Client(shared_server, new_id(), version)
    for i in range(120):
        p.publish(f"job/{version}/x", str(i), 1, i + 1)
    assert [whole.message().payload for _ in range(120)] == [str(i) for i in range(120)]
    got = []
    for member in members:  # Each its fair part.
        got += [member.message(acknowledge=True).payload for _ in range(20)]
        member.hears_nothing(0.1)
    assert sorted(got, key=int) == [str(i) for i in range(120)]
    members[0].vanish()
    time.sleep(0.5)
    for i in range(30):
        p.publish(f"job/{version}/x", str(i), 1, i + 1)
    for member in members[1:]:
        for _ in range(6):
            member.message(acknowledge=True)
    if version == 5:
        members[1].send(packet(0x82, b"\0\1\0" + string("$share/g") + b"\0"))
        assert members[1].disconnect_code() in (0x81, 0x82, 0x8F)
    else:
        assert members[1].subscribe(("$share/g", 0)) == [0x80]


def test_a_stopping_server_says_so():
    with Server() as server:
        c = Client(server, new_id())
        server.stop()
        assert c.disconnect_code() == 0x8B
