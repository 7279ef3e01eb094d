"""Clients we did not write: mosquitto's tools, Paho (C through `hejnal`, Python), mqtt.js; 3.1.1 and 5."""

import json
import subprocess
import threading
import time

import paho.mqtt.client as paho
import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from harness import ROOT, wait_until

VERSIONS = {"3.1.1": (paho.MQTTv311, "311", 4), "5": (paho.MQTTv5, "5", 5)}


@pytest.fixture(params=list(VERSIONS))
def version(request):
    return VERSIONS[request.param]


class Listener:
    """A Paho client that keeps what it hears."""

    def __init__(self, port, version, *filters, client_id="", clean=True, qos=1, will=None, expiry=None):
        keywords = {} if version == paho.MQTTv5 else {"clean_session": clean}
        self.client = paho.Client(client_id=client_id, protocol=version, **keywords)
        self.heard, self.granted, self.connack = [], [], None
        self.ended = threading.Event()
        self.client.on_message = lambda c, u, m: self.heard.append(m)
        self.client.on_subscribe = lambda c, u, mid, codes, *p: self.granted.extend(codes)
        self.client.on_connect = lambda c, u, flags, code, *p: setattr(self, "connack", (flags, code))
        self.client.on_disconnect = lambda *a: self.ended.set()
        if will:
            self.client.will_set(*will)
        connect = {}
        if version == paho.MQTTv5:
            connect["clean_start"] = clean
            if expiry is not None:
                connect["properties"] = Properties(PacketTypes.CONNECT)
                connect["properties"].SessionExpiryInterval = expiry
        self.client.connect("127.0.0.1", port, keepalive=30, **connect)
        self.client.loop_start()
        wait_until(lambda: self.connack)
        for f in filters:
            self.client.subscribe(f, qos)
        wait_until(lambda: len(self.granted) == len(filters))

    def publish(self, topic, payload, qos=1, retain=False, **more):
        info = self.client.publish(topic, payload, qos, retain, **more)
        info.wait_for_publish(10)
        assert info.is_published()

    def texts(self):
        return [(m.topic, m.payload.decode()) for m in self.heard]

    def close(self):
        self.client.disconnect()
        self.client.loop_stop()

    def vanish(self):
        self.client.loop_stop()
        self.client._sock_close()


def mosquitto(tool, port, mqtt, *args, **more):
    return subprocess.run([tool, "-p", str(port), "-V", mqtt, *args], capture_output=True, text=True,
                          timeout=20, **more)


def test_mosquitto_publishes_and_subscribes(shared_server, version):
    port, mqtt = shared_server.mqtt_port, version[1]
    sub = subprocess.Popen(["mosquitto_sub", "-p", str(port), "-V", mqtt, "-t", "m/+/x", "-C", "2", "-v", "-q",
                            "1"], stdout=subprocess.PIPE, text=True)
    time.sleep(0.5)
    assert mosquitto("mosquitto_pub", port, mqtt, "-t", "m/a/x", "-m", "1.5", "-q", "1").returncode == 0
    assert mosquitto("mosquitto_pub", port, mqtt, "-t", "m/b/x", "-m", "2", "-q", "0").returncode == 0
    assert sub.communicate(timeout=10)[0].splitlines() == ["m/a/x 1.5", "m/b/x 2"]
    found = shared_server.points("m/+/x")
    assert found["m/a/x"][-1][1] == "1.5"


def test_retained_reaches_a_late_subscriber_and_can_be_cleared(shared_server, version):
    port, mqtt = shared_server.mqtt_port, version[1]
    topic = f"retained/{mqtt}/level"
    mosquitto("mosquitto_pub", port, mqtt, "-t", topic, "-m", "7.25", "-q", "1", "-r")
    late = mosquitto("mosquitto_sub", port, mqtt, "-t", f"retained/{mqtt}/#", "-C", "1", "-F", "%r %t %p", "-W", "5")
    assert late.stdout.strip() == f"1 {topic} 7.25"
    mosquitto("mosquitto_pub", port, mqtt, "-t", topic, "-n", "-q", "1", "-r")
    gone = mosquitto("mosquitto_sub", port, mqtt, "-t", f"retained/{mqtt}/#", "-C", "1", "-W", "1")
    assert gone.stdout == ""


def test_paho_wildcards_and_order(shared_server, version):
    a = Listener(shared_server.mqtt_port, version[0], f"w{version[1]}/+/pm25", f"w{version[1]}/9/#")
    b = Listener(shared_server.mqtt_port, version[0])
    for i in range(200):
        b.publish(f"w{version[1]}/{i % 2}/pm25", str(i), qos=i % 2)
    b.publish(f"w{version[1]}/9/deep/er", "x")
    b.publish(f"w{version[1]}/9", "y")
    b.publish(f"w{version[1]}/0/pm10", "no")
    wait_until(lambda: len(a.heard) >= 202)
    for i in range(2):
        got = [int(p) for t, p in a.texts() if t == f"w{version[1]}/{i}/pm25"]
        assert got == list(range(i, 200, 2))
    assert a.texts()[-2:] == [(f"w{version[1]}/9/deep/er", "x"), (f"w{version[1]}/9", "y")]
    a.close()
    b.close()


def test_unsubscribe_ends_delivery(shared_server, version):
    a = Listener(shared_server.mqtt_port, version[0], "u/1", "u/2")
    done = threading.Event()
    a.client.on_unsubscribe = lambda *x: done.set()
    a.client.unsubscribe("u/1")
    assert done.wait(5)
    a.publish("u/1", "1")
    a.publish("u/2", "2")
    wait_until(lambda: a.heard)
    assert a.texts() == [("u/2", "2")]
    a.close()


def test_will_is_sent_when_a_client_vanishes_and_not_when_it_leaves(shared_server, version):
    a = Listener(shared_server.mqtt_port, version[0], "will/#")
    leaver = Listener(shared_server.mqtt_port, version[0], will=("will/left", "no", 1))
    leaver.close()
    lost = Listener(shared_server.mqtt_port, version[0], will=("will/lost", "3", 1))
    lost.vanish()
    wait_until(lambda: a.heard)
    time.sleep(0.3)
    assert a.texts() == [("will/lost", "3")]
    a.close()


def test_session_keeps_subscriptions_and_messages(shared_server, version):
    name = f"keeper-{version[1]}"
    expiry = 60 if version[0] == paho.MQTTv5 else None
    first = Listener(shared_server.mqtt_port, version[0], "keep/#", client_id=name, clean=False, expiry=expiry)
    first.close()
    other = Listener(shared_server.mqtt_port, version[0])
    for i in range(50):
        other.publish("keep/x", str(i))
    again = Listener(shared_server.mqtt_port, version[0], client_id=name, clean=False, expiry=expiry)
    flags = again.connack[0]
    assert flags["session present"] == 1
    wait_until(lambda: len(again.heard) == 50)
    assert [p for _, p in again.texts()] == [str(i) for i in range(50)]
    again.close()
    fresh = Listener(shared_server.mqtt_port, version[0], client_id=name, clean=True)
    assert fresh.connack[0]["session present"] == 0
    other.publish("keep/x", "lost")
    time.sleep(0.3)
    assert fresh.heard == []
    fresh.close()
    other.close()


def test_takeover_closes_the_older_connection(shared_server, version):
    old = Listener(shared_server.mqtt_port, version[0], client_id="twin")
    new = Listener(shared_server.mqtt_port, version[0], "twin/x", client_id="twin")
    assert old.ended.wait(5)
    old.client.loop_stop()
    new.publish("twin/x", "1")
    wait_until(lambda: new.heard)
    new.close()


def test_large_messages_pass_and_larger_ones_are_refused(shared_server, version):
    a = Listener(shared_server.mqtt_port, version[0], "large/#")
    b = Listener(shared_server.mqtt_port, version[0])
    payload = "x" * 900_000
    b.publish("large/x", payload)
    wait_until(lambda: a.heard)
    assert a.heard[0].payload.decode() == payload
    b.client.publish("large/x", "x" * 5_000_000, 1)
    assert b.ended.wait(10)
    b.client.loop_stop()
    a.publish("large/y", "fine")
    wait_until(lambda: len(a.heard) == 2)
    a.close()


def test_v5_properties_travel(shared_server):
    a = Listener(shared_server.mqtt_port, paho.MQTTv5, "p/#")
    properties = Properties(PacketTypes.PUBLISH)
    properties.ContentType = "text/plain"
    properties.ResponseTopic = "answers/1"
    properties.CorrelationData = b"\x01\x02"
    properties.UserProperty = [("b", "2"), ("a", "1"), ("b", "3")]
    properties.MessageExpiryInterval = 100
    a.publish("p/x", "1", properties=properties)
    wait_until(lambda: a.heard)
    got = a.heard[0].properties
    assert got.ContentType == "text/plain" and got.ResponseTopic == "answers/1"
    assert got.CorrelationData == b"\x01\x02"
    assert got.UserProperty == [("b", "2"), ("a", "1"), ("b", "3")]
    assert 98 <= got.MessageExpiryInterval <= 100
    a.close()


def test_v5_no_local_and_retain_handling(shared_server):
    a = Listener(shared_server.mqtt_port, paho.MQTTv5)
    a.publish("nl/r", "kept", retain=True)
    from paho.mqtt.subscribeoptions import SubscribeOptions
    a.client.subscribe("nl/#", options=SubscribeOptions(qos=1, noLocal=True, retainHandling=2))
    wait_until(lambda: a.granted)
    a.publish("nl/x", "mine")
    b = Listener(shared_server.mqtt_port, paho.MQTTv5)
    b.publish("nl/x", "theirs")
    wait_until(lambda: a.heard)
    time.sleep(0.2)
    assert a.texts() == [("nl/x", "theirs")]
    a.close()
    b.close()


def node(port, level, *args):
    done = subprocess.run(["node", "client.js", str(port), str(level), *args],
                          cwd=ROOT / "tests/integration/js", capture_output=True, text=True, timeout=30)
    return [json.loads(line) for line in done.stdout.splitlines()], done.returncode


def test_mqtt_js(shared_server, version):
    port, level = shared_server.mqtt_port, version[2]
    sub = subprocess.Popen(["node", "client.js", str(port), str(level), "sub", f"js{level}/+", "2"],
                           cwd=ROOT / "tests/integration/js", stdout=subprocess.PIPE, text=True)
    assert json.loads(sub.stdout.readline())["code"] == 0
    assert json.loads(sub.stdout.readline()) == {"subscribed": [1]}
    events, code = node(port, level, "pub", f"js{level}/a", '{"v":4.5}', "1", "false")
    assert code == 0 and events[-1] == {"published": True}
    events, code = node(port, level, "will", f"js{level}/will", "2")
    lines = [json.loads(line) for line in sub.communicate(timeout=10)[0].splitlines()]
    assert [(m["topic"], m["payload"]) for m in lines] == [(f"js{level}/a", '{"v":4.5}'), (f"js{level}/will", "2")]
    assert shared_server.points(f"js{level}/a")[f"js{level}/a"][-1][1] == "4.5"


def test_the_command_line_is_a_paho_c_client(shared_server):
    server = shared_server
    import harness
    before = server.stats()["mqtt.subscriptions"]
    sub = subprocess.Popen([str(harness.HEJNAL), "sub", "cli/#", "--count", "2", "--mqtt",
                            f"127.0.0.1:{server.mqtt_port}"], stdout=subprocess.PIPE, text=True)
    wait_until(lambda: server.stats()["mqtt.subscriptions"] > before)
    server.run("pub", "cli/a", "1.5", "--qos", "1")
    server.run("pub", "cli/b", "2.5", "--at", "2026-01-01T00:00:00Z")
    out = sub.communicate(timeout=10)[0].splitlines()
    assert out[0] == "cli/a 1.5"
    assert server.points("cli/b") == {"cli/b": [(1767225600 * 10**9, "2.5")]}


def test_sys_topics_are_there_and_not_stored(shared_server):
    out = mosquitto("mosquitto_sub", shared_server.mqtt_port, "311", "-t", "$SYS/broker/version", "-C", "1", "-W", "15")
    assert "hejnal" in out.stdout.lower()
    assert shared_server.run("series", "$SYS/#").stdout == ""
