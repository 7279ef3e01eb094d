"""QoS 2: exactly once, in both directions and across connections; not acknowledged before it is on disk."""

import json
import subprocess
import threading
import time

import paho.mqtt.client as paho
import pytest

import baddisk
from baddisk import META, BadDiskServer
from harness import ROOT, Server, wait_until
from raw_mqtt import PUBCOMP, PUBREC, PUBREL, Client, new_id, packet, u16, u32
from test_clients import Listener, mosquitto, node, version  # noqa: F401

both = pytest.mark.parametrize("level", [4, 5])
IMPLEMENTATION_ERROR, PACKET_ID_NOT_FOUND = 0x83, 0x92


def keep(level):
    return u32(0x11, 100) if level == 5 else b""


def resume(server, name, level):
    return Client(server, name, level, clean=False, properties=keep(level))


def receive(c, payload, packet_id=None, dup=0):
    m = c.message()
    assert (m.payload, m.qos, m.dup) == (payload, 2, dup)
    assert packet_id in (None, m.packet_id)
    return m.packet_id


@both
def test_both_halves_of_both_directions(shared_server, level):
    c, p = Client(shared_server, new_id(), level), Client(shared_server, new_id(), level)
    assert c.subscribe((f"q2/{level}", 2)) == [2]
    assert p.publish(f"q2/{level}", "1", 2, 7) == 0
    packet_id = receive(c, "1")
    c.acknowledge(packet_id, PUBREC)
    assert c.answer(PUBREL, packet_id) == 0
    c.acknowledge(packet_id, PUBCOMP)
    assert p.release(7) == 0
    assert p.release(7) == (PACKET_ID_NOT_FOUND if level == 5 else 0)
    c.hears_nothing()
    c.vanish()


@both
def test_what_was_received_is_not_forwarded_again_until_it_is_released(shared_server, level):
    name, topic = new_id(), f"once/{level}"
    c = Client(shared_server, new_id(), level)
    c.subscribe((topic, 2))
    p = resume(shared_server, name, level)
    assert p.publish(topic, "1", 2, 7) == 0
    assert p.publish(topic, "1", 2, 7, dup=1) == 0
    p.vanish()
    p = resume(shared_server, name, level)
    assert p.present == 1 and p.publish(topic, "1", 2, 7, dup=1) == 0
    receive(c, "1")
    c.hears_nothing()
    p.vanish()
    p = resume(shared_server, name, level)
    assert p.release(7) == 0
    assert p.publish(topic, "2", 2, 7) == 0 and p.release(7) == 0
    receive(c, "2")
    assert [value for _, value in shared_server.points(topic)[topic]] == ["1", "2"]


@both
def test_a_lost_pubrec_stores_and_forwards_once(level):
    with Server("--loops", "2") as server:
        name = new_id()
        c = Client(server, new_id(), level)
        c.subscribe(("lost", 2))
        for i in range(30):
            p = resume(server, name, level)
            p.publish("lost", str(i), 2, 100 + i, wait=False)
            if i % 2:
                time.sleep(0.001)
            p.vanish()
            p = resume(server, name, level)
            assert p.publish("lost", str(i), 2, 100 + i, dup=1) == 0
            assert p.release(100 + i) == 0
            p.vanish()
        heard = [c.message() for _ in range(30)]
        assert [m.payload for m in heard] == [str(i) for i in range(30)]
        c.hears_nothing()
        assert [value for _, value in server.points("lost")["lost"]] == [str(i) for i in range(30)]


def test_a_pubrec_is_a_promise():
    """Promise P1."""
    with Server("--loops", "2") as server:
        p = Client(server, "meter", 5)
        for i in range(50):
            assert p.publish(f"p1/{i}", str(i), 2, i + 1) == 0
        server.kill()
        server.start()
        assert len(server.points("p1/+")) == 50


@pytest.mark.skipif(not baddisk.SHIM.exists(), reason="built with sanitizers")
@both
def test_what_the_disk_refused_is_no_pubrec(level):
    """Promise P1. Version 5 is told, and may send it anew; before, the connection ends, and what comes again on
    the next is stored but not forwarded again."""
    with BadDiskServer("--loops", "1") as server:
        name = new_id()
        c, p = Client(server, new_id(), level), resume(server, name, level)
        c.subscribe(("bad", 2))
        server.on(META, "journal.mdb", left=1)
        p.publish("bad", "1", 2, 7, wait=False)
        if level == 5:
            assert p.answer(PUBREC, 7) == IMPLEMENTATION_ERROR
        else:
            assert p.is_closed()
            p = resume(server, name, level)
            assert p.present == 1
        server.off()
        assert p.publish("bad", "1", 2, 7, dup=level == 4) == 0 and p.release(7) == 0
        assert [c.message().payload for _ in range(1 + (level == 5))][-1] == "1"
        c.hears_nothing()
        server.kill()
        server.start()
        assert [value for _, value in server.points("bad")["bad"]] == ["1"]


@both
def test_each_message_goes_on_where_it_was(shared_server, level):
    name, topic = new_id(), f"on/{level}"
    c = resume(shared_server, name, level)
    assert c.subscribe((topic, 2)) == [2]
    p = Client(shared_server, new_id(), level)
    for i in range(1, 5):
        p.publish(topic, str(i), 2, i)
    ids = [receive(c, str(i)) for i in range(1, 5)]
    for i in (1, 2):
        c.acknowledge(ids[i], PUBREC)
        assert c.answer(PUBREL, ids[i]) == 0
    c.acknowledge(ids[1], PUBCOMP)
    time.sleep(0.2)
    c.vanish()
    c = resume(shared_server, name, level)
    receive(c, "1", ids[0], dup=1)
    assert c.answer(PUBREL, ids[2]) == 0
    receive(c, "4", ids[3], dup=1)
    for i in (0, 3):
        c.acknowledge(ids[i], PUBREC)
        assert c.answer(PUBREL, ids[i]) == 0
    for i in (0, 2, 3):
        c.acknowledge(ids[i], PUBCOMP)
    c.hears_nothing()
    c.vanish()
    c = resume(shared_server, name, level)
    c.hears_nothing()


def test_receive_maximum_counts_until_pubcomp(shared_server):
    c = Client(shared_server, new_id(), properties=u16(0x21, 2))
    c.subscribe(("win", 2))
    p = Client(shared_server, new_id())
    for i in range(4):
        p.publish("win", str(i), 2, i + 1)
    first, second = receive(c, "0"), receive(c, "1")
    c.acknowledge(first, PUBREC)
    assert c.answer(PUBREL, first) == 0
    c.hears_nothing()
    c.acknowledge(first, PUBCOMP)
    third = receive(c, "2")
    c.acknowledge(second, PUBREC, 0x97)  # Refused: it is over.
    fourth = receive(c, "3")
    for packet_id in (third, fourth):
        c.acknowledge(packet_id, PUBREC)
        assert c.answer(PUBREL, packet_id) == 0
    c.acknowledge(999, PUBREC)
    assert c.answer(PUBREL, 999) == PACKET_ID_NOT_FOUND


def test_a_client_beyond_its_receive_maximum_is_refused():
    with Server("--receive-maximum", "3") as server:
        p = Client(server, new_id())
        for i in range(1, 4):
            assert p.publish("max", str(i), 2, i) == 0
        assert p.release(1) == 0
        assert p.publish("max", "4", 2, 4) == 0
        p.publish("max", "5", 2, 5, wait=False)
        assert p.disconnect_code() == 0x93
        p = Client(server, new_id(), 4)  # Before v5 nobody told it, and it may not know to wait.
        for i in range(1, 11):
            p.publish("max4", str(i), 2, i, wait=False)
        assert [p.answer(PUBREC, i) for i in range(1, 11)] == [0] * 10
        assert [p.release(i) for i in range(1, 11)] == [0] * 10


@both
def test_acknowledgements_out_of_turn_are_protocol_errors(shared_server, level):
    for wrong in (4, PUBCOMP):
        c, p = Client(shared_server, new_id(), level), Client(shared_server, new_id(), level)
        c.subscribe((f"turn/{wrong}", 2))
        p.publish(f"turn/{wrong}", "x", 2, 1)
        c.acknowledge(receive(c, "x"), wrong)
        assert c.disconnect_code() == 0x82 if level == 5 else c.is_closed()


@both
def test_the_quality_is_the_lower_of_both(shared_server, level):
    c, p = Client(shared_server, new_id(), level), Client(shared_server, new_id(), level)
    assert c.subscribe(("low/0", 0), ("low/1", 1), ("low/2", 2)) == [0, 1, 2]
    for granted in range(3):
        for qos in range(3):
            p.publish(f"low/{granted}", "x", qos, 10 * granted + qos + 1)
            assert c.message().qos == min(granted, qos)


def test_wills_and_retained_messages_of_qos_2_survive_a_crash():
    with Server() as server:
        watcher = Client(server, new_id())
        watcher.subscribe(("will", 2))
        Client(server, new_id(), will=("will", "gone", 2, 1, b"")).vanish()
        receive(watcher, "gone")
        p = Client(server, new_id())
        assert p.publish("will", "kept", 2, 1, retain=1) == 0 and p.release(1) == 0
        server.kill()
        server.start()
        late = Client(server, new_id())
        late.subscribe(("will", 2))
        assert late.message()[:4] == ("will", "kept", 2, 1)


def test_a_peer_that_only_writes_is_not_read_for_ever():
    """Promise P5: what it does not read does not pile up; what it sent is answered all the same."""
    with Server("--output-bytes-max", "65536") as server:
        c = Client(server, new_id())
        releases = b"".join(packet(0x62, i.to_bytes(2, "big")) for i in range(1, 60001))
        done = threading.Event()

        def pour():
            for _ in range(40):
                c.send(releases)
            done.set()

        c.socket.settimeout(60)
        threading.Thread(target=pour, daemon=True).start()
        assert not done.wait(2)
        other = Client(server, new_id())
        assert other.publish("free", "1", 2, 1) == 0
        for _ in range(40 * 60000):
            kind, _, body = c.read()
            assert kind == PUBCOMP and body[2] == PACKET_ID_NOT_FOUND
        assert done.wait(5)


def test_mosquitto(shared_server, version):  # noqa: F811
    port, mqtt = shared_server.mqtt_port, version[1]
    sub = subprocess.Popen(["mosquitto_sub", "-p", str(port), "-V", mqtt, "-t", f"m2/{mqtt}", "-C", "500", "-F", "%q %p",
                            "-q", "2"], stdout=subprocess.PIPE, text=True)
    time.sleep(0.5)
    lines = "".join(f"{i}\n" for i in range(500))
    assert mosquitto("mosquitto_pub", port, mqtt, "-t", f"m2/{mqtt}", "-l", "-q", "2", input=lines).returncode == 0
    assert sub.communicate(timeout=20)[0].splitlines() == [f"2 {i}" for i in range(500)]
    assert len(shared_server.points(f"m2/{mqtt}")[f"m2/{mqtt}"]) == 500


def test_paho(shared_server, version):  # noqa: F811
    topic = f"paho2/{version[1]}"
    expiry = 60 if version[0] == paho.MQTTv5 else None
    name = new_id()
    more = {"client_id": name, "clean": False, "expiry": expiry}
    a = Listener(shared_server.mqtt_port, version[0], topic, qos=2, **more)
    b = Listener(shared_server.mqtt_port, version[0])
    for i in range(100):
        b.publish(topic, str(i), qos=2)
        if i == 50:
            a.vanish()
            again = Listener(shared_server.mqtt_port, version[0], **more)
    wait_until(lambda: len(a.heard) + len(again.heard) >= 100)
    time.sleep(0.3)
    texts = a.texts() + again.texts()
    assert sorted(set(texts), key=lambda t: int(t[1])) == [(topic, str(i)) for i in range(100)]
    assert {m.qos for m in a.heard + again.heard} == {2}
    again.close()
    b.close()


def test_mqtt_js(shared_server, version):  # noqa: F811
    port, level = shared_server.mqtt_port, version[2]
    sub = subprocess.Popen(["node", "client.js", str(port), str(level), "sub", f"js2/{level}", "1", "2"],
                           cwd=ROOT / "tests/integration/js", stdout=subprocess.PIPE, text=True)
    assert json.loads(sub.stdout.readline())["code"] == 0
    assert json.loads(sub.stdout.readline()) == {"subscribed": [2]}
    events, code = node(port, level, "pub", f"js2/{level}", "4.5", "2", "false")
    assert code == 0 and events[-1] == {"published": True}
    got = json.loads(sub.communicate(timeout=10)[0])
    assert (got["payload"], got["qos"]) == ("4.5", 2)
