"""What a broken or hostile client sends, and what of the standard only shows on a wire."""

import socket
import struct
import time

import pytest

from harness import Server
from raw_mqtt import (CONNACK, PINGRESP, PUBACK, PUBLISH, PUBREC, SUBACK, UNSUBACK, Client, new_id, packet, string, u16,
                      u32, varint)

MALFORMED, PROTOCOL_ERROR = 0x81, 0x82
SESSION_EXPIRY, WILL_DELAY, MESSAGE_EXPIRY, MAXIMUM_PACKET_SIZE = 0x11, 0x18, 0x02, 0x27
both = pytest.mark.parametrize("version", [4, 5])


# After a good CONNECT. The bytes of 3.1.1 and of 5, and the code 5 is closed with; None: not of that version.
BAD = {
    "type 0": (b"\0\0", b"\0\0", MALFORMED),
    "a second CONNECT": (packet(0x10, string("MQTT") + b"\4\2\0\x3c\0\1x"),
                         packet(0x10, string("MQTT") + b"\5\2\0\x3c\0\0\1x"), PROTOCOL_ERROR),
    "a CONNACK": (b"\x20\2\0\0", b"\x20\3\0\0\0", PROTOCOL_ERROR),
    "a SUBACK": (b"\x90\3\0\1\0", b"\x90\4\0\1\0\0", PROTOCOL_ERROR),
    "a PINGRESP": (b"\xd0\0", b"\xd0\0", PROTOCOL_ERROR),
    "AUTH without a method": (None, b"\xf0\0", PROTOCOL_ERROR),
    "a length of five bytes": (b"\x30\xff\xff\xff\xff\1", b"\x30\xff\xff\xff\xff\1", MALFORMED),
    "flags of SUBSCRIBE": (packet(0x80, b"\0\1" + string("a") + b"\0"), packet(0x80, b"\0\1\0" + string("a") + b"\0"),
                           MALFORMED),
    "flags of PUBREL": (b"\x60\2\0\1", b"\x60\2\0\1", MALFORMED),
    "flags of PINGREQ": (b"\xc1\0", b"\xc1\0", MALFORMED),
    "a body in PINGREQ": (b"\xc0\1x", b"\xc0\1x", MALFORMED),
    "QoS 3": (packet(0x36, string("a") + b"\0\1x"), packet(0x36, string("a") + b"\0\1\0x"), MALFORMED),
    "DUP at QoS 0": (packet(0x38, string("a") + b"x"), packet(0x38, string("a") + b"\0x"), MALFORMED),
    "packet id 0": (packet(0x32, string("a") + b"\0\0x"), packet(0x32, string("a") + b"\0\0\0x"), PROTOCOL_ERROR),
    "PUBLISH that ends early": (b"\x30\3\0\5a", b"\x30\3\0\5a", MALFORMED),
    "wildcard in a topic": (packet(0x30, string("a/#") + b"x"), packet(0x30, string("a/+") + b"\0x"), 0x90),
    "no topic": (packet(0x30, string("") + b"x"), packet(0x30, string("") + b"\0x"), PROTOCOL_ERROR),
    "overlong UTF-8": (packet(0x30, string(b"a\xc0\x80") + b"x"), packet(0x30, string(b"a\xc0\x80") + b"\0x"), MALFORMED),
    "a surrogate": (packet(0x30, string(b"\xed\xa0\x80") + b"x"), packet(0x30, string(b"\xed\xa0\x80") + b"\0x"),
                    MALFORMED),
    "U+0000": (packet(0x82, b"\0\1" + string(b"a\0") + b"\0"), packet(0x82, b"\0\1\0" + string(b"a\0") + b"\0"), MALFORMED),
    "SUBSCRIBE to nothing": (packet(0x82, b"\0\1"), packet(0x82, b"\0\1\0"), PROTOCOL_ERROR),
    "UNSUBSCRIBE from nothing": (packet(0xA2, b"\0\1"), packet(0xA2, b"\0\1\0"), PROTOCOL_ERROR),
    "reserved options": (packet(0x82, b"\0\1" + string("a") + b"\4"), packet(0x82, b"\0\1\0" + string("a") + b"\x40"),
                         MALFORMED),
    "a bad filter": (packet(0x82, b"\0\1" + string("a/#/b") + b"\0"), packet(0x82, b"\0\1\0" + string("a+") + b"\0"), 0x8F),
    "a property twice": (None, packet(0x30, string("a") + b"\x0a" + u32(MESSAGE_EXPIRY, 1) * 2 + b"x"), PROTOCOL_ERROR),
    "a property of another packet": (None, packet(0x30, string("a") + b"\5" + u32(SESSION_EXPIRY, 1) + b"x"), MALFORMED),
    "an unknown property": (None, packet(0x30, string("a") + b"\2\x7f\0x"), MALFORMED),
    "properties beyond the end": (None, packet(0x30, string("a") + b"\x20x"), MALFORMED),
    "a subscription id": (None, packet(0x30, string("a") + b"\2\x0b\1x"), PROTOCOL_ERROR),
    "payload said to be text": (None, packet(0x30, string("a") + b"\2\1\1\xff"), 0x99),
    "subscription id 0": (None, packet(0x82, b"\0\1\2\x0b\0" + string("a") + b"\0"), PROTOCOL_ERROR),
    "no local, shared": (None, packet(0x82, b"\0\1\0" + string("$share/g/a") + b"\4"), PROTOCOL_ERROR),
    "topic alias 0": (None, packet(0x30, string("a") + b"\3\x23\0\0x"), 0x94),
    "an odd reason in PUBACK": (None, b"\x40\3\0\1\x01", PROTOCOL_ERROR),
    "expiry given at last": (None, b"\xe0\7\0\5" + u32(SESSION_EXPIRY, 5), PROTOCOL_ERROR),
    "an odd reason in DISCONNECT": (None, b"\xe0\1\x8b", PROTOCOL_ERROR),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_packet_ends_the_connection_with_its_code(shared_server, name):
    old, new, code = BAD[name]
    if old is not None:
        c = Client(shared_server, new_id(), 4)
        c.send(old)
        assert c.is_closed()
    c = Client(shared_server, new_id())
    c.send(new)
    assert c.disconnect_code() == code and c.is_closed()


# CONNECT itself, and the code of the CONNACK; None: closed without a word.
BAD_CONNECT = {
    "reserved flag": (packet(0x10, string("MQTT") + b"\5\3\0\x3c\0\0\1x"), MALFORMED),
    "will QoS 3": (packet(0x10, string("MQTT") + b"\5\x1e\0\x3c\0\0\1x\0\0\1w\0\1w"), MALFORMED),
    "will QoS without will": (packet(0x10, string("MQTT") + b"\5\x0a\0\x3c\0\0\1x"), MALFORMED),
    "a will on a wildcard": (packet(0x10, string("MQTT") + b"\5\6\0\x3c\0\0\1x\0\0\1#\0\1w"), 0x90),
    "bytes left over": (packet(0x10, string("MQTT") + b"\5\2\0\x3c\0\0\1xyz"), MALFORMED),
    "an id of bad UTF-8": (packet(0x10, string("MQTT") + b"\5\2\0\x3c\0\0\2\xff\xff"), MALFORMED),
    "receive maximum 0": (packet(0x10, string("MQTT") + b"\5\2\0\x3c\3" + u16(0x21, 0) + b"\0\1x"), PROTOCOL_ERROR),
    "maximum packet size 0": (packet(0x10, string("MQTT") + b"\5\2\0\x3c\5" + u32(0x27, 0) + b"\0\1x"), PROTOCOL_ERROR),
    "authentication data alone": (packet(0x10, string("MQTT") + b"\5\2\0\x3c\4\x16\0\1z\0\1x"), PROTOCOL_ERROR),
    "another level": (packet(0x10, string("MQTT") + b"\6\2\0\x3c\0\0\1x"), 1),
    "the level of another name": (packet(0x10, string("MQIsdp") + b"\4\2\0\x3c\0\1x"), 1),
    "another protocol": (packet(0x10, string("MQTX") + b"\5\2\0\x3c\0\0\1x"), None),
    "another case": (packet(0x10, string("mqtt") + b"\4\2\0\x3c\0\1x"), None),
    "an HTTP request": (b"GET / HTTP/1.1\r\n\r\n", None),
    "a TLS hello": (b"\x16\3\1\2\0\1\0\1\xfc\3\3", None),
}


@pytest.mark.parametrize("name", BAD_CONNECT)
def test_a_bad_connect_is_refused(shared_server, name):
    raw, code = BAD_CONNECT[name]
    c = Client(shared_server, connect=False)
    c.send(raw)
    try:
        kind, _, answer = c.read()
        assert kind == CONNACK and answer[0] == 0 and code == answer[1]
        assert c.is_closed()
    except (EOFError, ConnectionResetError):
        assert code is None
    assert Client(shared_server, new_id()).code == 0


def test_nothing_is_said_beyond_the_packet_size_of_the_client(shared_server):
    c = Client(shared_server, connect=False)
    c.send(c.connect_packet(new_id(), properties=u32(MAXIMUM_PACKET_SIZE, 4)))
    assert c.is_closed()
    c = Client(shared_server, new_id(), properties=u32(MAXIMUM_PACKET_SIZE, 40))
    filters = b"".join(string(f"f/{i}") + b"\0" for i in range(60))
    c.send(packet(0x82, b"\0\1\0" + filters))
    assert c.disconnect_code() == 0x95


def test_a_will_keeps_its_properties_but_not_its_delay(shared_server):
    watcher = Client(shared_server, new_id())
    watcher.subscribe(("wp", 0))
    user = b"\x26" + string("k") + string("v")
    properties = u32(WILL_DELAY, 1) + user + u32(MESSAGE_EXPIRY, 60)
    c = Client(shared_server, new_id(), will=("wp", "1", 0, 0, properties), properties=u32(SESSION_EXPIRY, 60))
    c.vanish()
    m = watcher.message()
    assert user in m.properties and len(m.properties) == len(user) + 5
    assert m.properties.startswith(user) or m.properties.endswith(user)


def test_a_will_comes_when_its_session_ends(shared_server):
    """Whichever is first: the delay, or the end of the session, also by a clean start."""
    watcher = Client(shared_server, new_id())
    watcher.subscribe(("we/#", 0))
    Client(shared_server, new_id(), will=("we/0", "1", 0, 0, u32(WILL_DELAY, 30))).vanish()
    assert watcher.message().topic == "we/0"
    name = new_id()
    expires = {"properties": u32(SESSION_EXPIRY, 30), "will": ("we/1", "1", 0, 0, u32(WILL_DELAY, 30))}
    Client(shared_server, name, **expires).vanish()
    time.sleep(0.2)
    Client(shared_server, name, clean=True)
    assert watcher.message().topic == "we/1"


def test_a_session_ends_when_it_expires(shared_server):
    name = new_id()
    c = Client(shared_server, name, properties=u32(SESSION_EXPIRY, 1))
    c.subscribe(("se", 1))
    c.vanish()
    time.sleep(0.3)
    assert Client(shared_server, name, clean=False, properties=u32(SESSION_EXPIRY, 1)).present == 1
    time.sleep(0.1)
    c = Client(shared_server, name, clean=False, properties=u32(SESSION_EXPIRY, 100))
    c.send(b"\xe0\7\0\5" + u32(SESSION_EXPIRY, 0))
    assert c.is_closed()
    assert Client(shared_server, name, clean=False).present == 0
    name = new_id()
    Client(shared_server, name, clean=False).vanish()  # No expiry: ends with the connection.
    time.sleep(0.2)
    assert Client(shared_server, name, clean=False).present == 0
    name = new_id()
    Client(shared_server, name, properties=u32(SESSION_EXPIRY, 1)).vanish()
    time.sleep(2.3)
    assert Client(shared_server, name, clean=False).present == 0


def test_what_was_sent_once_does_not_expire(shared_server):
    name = new_id()
    c = Client(shared_server, name, properties=u32(SESSION_EXPIRY, 60))
    c.subscribe(("sent", 2))
    p = Client(shared_server, new_id())
    p.publish("sent", "1", 2, 1, properties=u32(MESSAGE_EXPIRY, 1))
    assert c.message().dup == 0
    time.sleep(1.2)
    c.vanish()
    c = Client(shared_server, name, clean=False, properties=u32(SESSION_EXPIRY, 60))
    m = c.message()
    assert (m.payload, m.dup, m.properties) == ("1", 1, u32(MESSAGE_EXPIRY, 0))


def test_topics_are_shortened_for_a_client_that_takes_aliases(shared_server):
    c, p = Client(shared_server, new_id(), properties=u16(0x22, 1)), Client(shared_server, new_id())
    c.subscribe(("al/#", 1))
    for text, topic in (("1", "al/1"), ("2", "al/1"), ("3", "al/2"), ("4", "al/1")):
        p.publish(topic, text, 1, int(text))
    heard = [c.message() for _ in range(4)]
    alias = u16(0x23, 1)
    assert [(m.topic, m.properties) for m in heard] == [("al/1", alias), ("", alias), ("al/2", b""), ("", alias)]


@both
def test_unsubscribe_answers_each_filter(shared_server, version):
    c = Client(shared_server, new_id(), version)
    c.subscribe(("un/a", 0), ("un/b", 0))
    blank = b"\0" if version == 5 else b""
    c.send(packet(0xA2, b"\0\7" + blank + string("un/a") + string("un/c")))
    assert c.read() == (UNSUBACK, 0, b"\0\7\0\0\x11" if version == 5 else b"\0\7")
    c.publish("un/a", "1")
    c.publish("un/b", "2")
    assert c.message().payload == "2"


@both
def test_filters_match_as_they_must(shared_server, version):
    def hears(text, topic):
        c = Client(shared_server, new_id(), version)
        c.subscribe((text, 0))
        c.publish(topic, "1")
        c.send(b"\xc0\0")
        return c.read()[0] == PUBLISH

    for text, topic in (("fm/#", "fm"), ("fm/+", "fm/"), ("+/+", "/fm"), ("/+", "/fm"), ("#", "fm/x"), ("fm/+/x", "fm//x")):
        assert hears(text, topic), (text, topic)
    for text, topic in (("fm/+", "fm"), ("+", "/fm"), ("#", "$fm"), ("+/x", "$fm/x"), ("fm/x", "fm/X"), ("fm", "fm/")):
        assert not hears(text, topic), (text, topic)


def test_goodbye_codes_decide_over_the_will(shared_server):
    watcher = Client(shared_server, new_id())
    watcher.subscribe(("bye/#", 0))
    for code in (0x04, 0x80, 0x97):
        Client(shared_server, new_id(), will=(f"bye/{code}", "x", 0, 0, b"")).disconnect(code)
        assert watcher.message().topic == f"bye/{code}"
    for code in (None, 0x00):
        Client(shared_server, new_id(), will=("bye/none", "x", 0, 0, b"")).disconnect(code)
    c = Client(shared_server, new_id(), will=("bye/bad", "x", 0, 0, b""))
    c.send(b"\x30\3\0\5a")
    assert c.disconnect_code() == MALFORMED
    assert watcher.message().topic == "bye/bad"
    watcher.hears_nothing()


def test_the_connack_names_the_limits():
    limits = ["--receive-maximum", "7", "--packet-bytes-max", "4096", "--topic-alias-max", "3", "--keep-alive-max-s", "9"]
    with Server(*limits) as server:
        c = Client(server, "", properties=u32(SESSION_EXPIRY, 0xFFFFFFFF))
        assert u16(0x21, 7) in c.connack and u32(0x27, 4096) in c.connack
        assert u16(0x22, 3) in c.connack and u16(0x13, 9) in c.connack
        assert u32(SESSION_EXPIRY, 604800) in c.connack and b"\x12\0" in c.connack
        assert b"\x24" not in c.connack[3:6]  # No Maximum QoS: all of them.
        c.send(b"\x30" + varint(4097) + b"\0\1a")
        assert c.disconnect_code() == 0x95


def test_a_connection_that_never_speaks_is_closed():
    with Server("--connect-timeout-s", "1") as server:
        with socket.create_connection(("127.0.0.1", server.mqtt_port)) as quiet, \
                socket.create_connection(("127.0.0.1", server.mqtt_port)) as slow:
            begin = time.monotonic()
            slow.sendall(b"\x10\x20\0\4MQ")
            for s in (quiet, slow):
                s.settimeout(5)
                assert s.recv(1) == b""
            assert 1 <= time.monotonic() - begin < 4


def test_packets_of_all_kinds_cut_anywhere(shared_server):
    name = new_id()
    stream = (packet(0x82, b"\0\1\0" + string(name) + b"\2") + packet(0x32, string(name) + b"\0\2\0x") +
              packet(0x34, string(name) + b"\0\3\0y") + b"\xc0\0")
    for step in (1, 3, 7, len(stream)):
        c = Client(shared_server, new_id())
        for i in range(0, len(stream), step):
            c.send(stream[i:i + step])
            time.sleep(0.001)
        kinds = {}
        for _ in range(6):
            kind, _, answer = c.read()
            kinds.setdefault(kind, []).append(answer)
        assert sorted(kinds) == [PUBLISH, PUBACK, PUBREC, SUBACK, PINGRESP]
        assert len(kinds[PUBLISH]) == 2 and struct.unpack(">H", kinds[PUBREC][0])[0] == 3
        c.disconnect()
