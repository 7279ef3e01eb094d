"""Sessions outlive the broker: kill -9, restart, and everything of a persistent client is there."""

import time

import pytest

from harness import Server, wait_until
from raw_mqtt import Client, new_id, packet, string, u32

SESSION_EXPIRY, SUBSCRIPTION_ID = 0x11, b"\x0b"
NO_LOCAL, RETAIN_AS_PUBLISHED = 4, 8

both = pytest.mark.parametrize("version", [4, 5])


def connect(server, name, version=5, expiry=1000, clean=False, **more):
    properties = u32(SESSION_EXPIRY, expiry) if version == 5 else b""
    return Client(server, name, version, clean=clean, properties=properties, **more)


def crash(server):
    server.kill()
    server.start()


def unsubscribe(client, *filters):
    body = b"\0\1" + (b"\0" if client.version == 5 else b"") + b"".join(map(string, filters))
    client.send(packet(0xA2, body))
    assert client.read()[0] == 11


def say(server, topic, text, qos=0):
    """From a client of its own, at QoS 1 at least so that it was taken when this returns."""
    c = Client(server, new_id("say"))
    assert c.publish(topic, text, max(qos, 1), 1) in (0, 0x10)
    c.disconnect()


@both
def test_sessions_and_subscriptions_survive_a_kill(version):
    with Server("--loops", "3") as s:
        names = [f"keep-{version}-{i}" for i in range(12)]
        for i, name in enumerate(names):
            c = connect(s, name, version)
            assert c.present == 0 and c.subscribe((f"to/{i}/+", 1), ("gone", 0), ("to/all", 1)) == [1, 0, 1]
            unsubscribe(c, "gone")
        crash(s)
        held = [connect(s, name, version) for name in names]
        assert all(c.present == 1 for c in held)
        say(s, "gone", "1")
        say(s, "to/all", "2")
        for i, c in enumerate(held):
            say(s, f"to/{i}/x", str(i))
            assert [c.message(True).payload for _ in range(2)] == ["2", str(i)]
        s.check()


def test_the_number_of_loops_may_change():
    with Server("--loops", "4") as s:
        for i in range(20):
            assert connect(s, f"moves-{i}").subscribe(("moves", 1)) == [1]
        s.kill()
        s.options = ["--loops", "1"]
        s.start()
        held = [connect(s, f"moves-{i}") for i in range(20)]
        s.kill()
        s.options = ["--loops", "3"]
        s.start()
        held = [connect(s, f"moves-{i}") for i in range(20)]
        assert all(c.present for c in held)
        say(s, "moves", "on")
        assert all(c.message().payload == "on" for c in held)


def test_options_of_subscriptions_survive():
    with Server("--loops", "2") as s:
        c = connect(s, "options")
        assert c.subscribe(("o/#", 1 | NO_LOCAL | RETAIN_AS_PUBLISHED), properties=SUBSCRIPTION_ID + b"\x07") == [1]
        assert c.subscribe(("$share/g/shared", 0)) == [0]
        crash(s)
        c = connect(s, "options")
        c.publish("o/own", "never")
        p = Client(s, new_id())
        assert p.publish("o/x", "1", 1, 1, retain=1) == 0
        m = c.message(True)
        assert (m.topic, m.retain, m.qos, m.properties) == ("o/x", 1, 1, SUBSCRIPTION_ID + b"\x07")
        say(s, "shared", "2")
        assert c.message().payload == "2"


@both
def test_a_clean_start_ends_a_session_for_good(version):
    with Server("--loops", "2") as s:
        assert connect(s, "clean", version).subscribe(("c", 1)) == [1]
        connect(s, "clean", version, clean=True, expiry=0).vanish()
        crash(s)
        c = connect(s, "clean", version)
        assert c.present == 0
        say(s, "c", "1")
        c.hears_nothing()
        s.check()


def test_sessions_expire_over_restarts():
    with Server("--loops", "2") as s:
        for name, expiry in (("soon", 2), ("late", 1000), ("both", 3)):
            assert connect(s, name, expiry=expiry).subscribe(("e", 1)) == [1]
        connect(s, "left", expiry=2).disconnect()
        time.sleep(1)
        crash(s)  # From here on the time of those that were connected runs.
        assert s.stats()["mqtt.sessions"] == 4
        crash(s)
        time.sleep(1.5)
        crash(s)
        wait_until(lambda: s.stats()["mqtt.sessions"] == 1, timeout=5)
        assert [connect(s, n).present for n in ("soon", "both", "left", "late")] == [0, 0, 0, 1]
        s.check()


def test_a_session_that_ends_with_its_connection_leaves_nothing():
    with Server("--loops", "2") as s:
        c = Client(s, "passing")
        assert c.subscribe(("p", 1)) == [1]
        crash(s)
        assert s.stats()["mqtt.sessions"] == 0
        connect(s, "changed").disconnect()
        c = connect(s, "changed", expiry=0)
        assert c.present == 1
        c.disconnect()
        crash(s)
        assert connect(s, "changed").present == 0
