"""What a message becomes: series, times and values, rejects; without any configuration."""

import math
import struct
import time

import pytest

from harness import Server, wait_until

S = 10**9
T0 = 1767225600  # 2026-01-01T00:00:00Z


def publish(server, topic, payload, *options):
    server.run("pub", topic, payload, "--qos", "1", *options)


CASES = [
    ("n/int", "42", {"n/int": ("42", None)}),
    ("n/negative", "-3.25", {"n/negative": ("-3.25", None)}),
    ("n/exponent", " 1e-3 ", {"n/exponent": ("0.001", None)}),
    ("n/true", "true", {"n/true": ("1", None)}),
    ("j/flat", f'{{"time":{T0},"pm25":31.5,"pm10":40}}', {"j/flat/pm25": ("31.5", T0 * S), "j/flat/pm10": ("40", T0 * S)}),
    ("j/ms", f'{{"timestamp":{T0}123,"v":1}}', {"j/ms": ("1", T0 * S + 123 * 10**6)}),
    ("j/us", f'{{"ts":{T0}123456,"value":2}}', {"j/us": ("2", T0 * S + 123456 * 1000)}),
    ("j/ns", f'{{"t":{T0}123456789,"value":3}}', {"j/ns": ("3", T0 * S + 123456789)}),
    ("j/rfc", '{"time":"2026-01-01T01:00:00.5+01:00","v":4}', {"j/rfc": ("4", T0 * S + S // 2)}),
    ("j/t-is-a-temperature", f'{{"t":21.5,"time":{T0}}}', {"j/t-is-a-temperature/t": ("21.5", T0 * S)}),
    ("j/deep", f'{{"ts":{T0},"wind":{{"dir":270,"gust":{{"max":9.5}}}},"on":false,"name":"x","none":null}}',
     {"j/deep/wind/dir": ("270", T0 * S), "j/deep/wind/gust/max": ("9.5", T0 * S), "j/deep/on": ("0", T0 * S)}),
    ("j/array", f'{{"ts":{T0},"phase":[230.1,231.2]}}', {"j/array/phase/0": ("230.1", T0 * S), "j/array/phase/1": ("231.2", T0 * S)}),
    ("j/odd", f'{{"ts":{T0},"a/b":1,"c+#%":2}}', {"j/odd/a%2Fb": ("1", T0 * S), "j/odd/c%2B%23%25": ("2", T0 * S)}),
]


@pytest.mark.parametrize("topic,payload,expected", CASES, ids=[c[0] for c in CASES])
def test_a_message_becomes_series(shared_server, topic, payload, expected):
    before = time.time_ns()
    publish(shared_server, topic, payload)
    found = {**shared_server.points(topic + "/#")}
    assert set(found) == set(expected)
    for path, (value, stamp) in expected.items():
        ((got_time, got_value),) = found[path]
        assert got_value == value
        if stamp is None:
            assert before - S <= got_time <= time.time_ns()
        else:
            assert got_time == stamp


@pytest.mark.parametrize("payload", ["ON", "{", '{"a":"text"}', "nan", "", '{"time":"noon","a":1}', "1 2", "\x01"])
def test_what_cannot_be_stored_is_forwarded_counted_and_kept(shared_server, payload):
    topic = "bad/" + payload.encode().hex()
    before = shared_server.stats()["ingest.rejects"]
    if payload:
        publish(shared_server, topic, payload)
    else:
        import subprocess
        subprocess.run(["mosquitto_pub", "-p", str(shared_server.mqtt_port), "-t", topic, "-n", "-q", "1"], check=True)
    assert shared_server.run("series", topic + "/#").stdout == ""
    assert shared_server.stats()["ingest.rejects"] == before + 1
    rejects = shared_server.run("rejects").stdout
    assert topic in rejects


def test_the_same_path_from_two_topics_is_one_series(shared_server):
    publish(shared_server, "one/air", f'{{"ts":{T0},"pm25":1}}')
    publish(shared_server, "one/air/pm25", f'{{"ts":{T0 + 60},"value":2}}')
    assert shared_server.points("one/#") == {"one/air/pm25": [(T0 * S, "1"), ((T0 + 60) * S, "2")]}


def test_same_time_again_is_one_point_and_the_last_value_wins(shared_server):
    for value in (1, 1, 2):
        publish(shared_server, "again/x", f'{{"ts":{T0},"v":{value}}}')
    assert shared_server.points("again/x") == {"again/x": [(T0 * S, "2")]}


def test_last_is_by_event_time_and_any_order_is_kept(shared_server):
    for second in (30, 10, 20, 5):
        publish(shared_server, "late/x", f'{{"ts":{T0 + second},"v":{second}}}')
    assert [v for _, v in shared_server.points("late/x")["late/x"]] == ["5", "10", "20", "30"]
    assert "30" in shared_server.run("last", "late/x").stdout


def test_bursts_without_a_time_lose_nothing(shared_server):
    values = "\n".join(str(i) for i in range(500)) + "\n"
    shared_server.run("pub", "burst/x", "-", "--qos", "1", stdin=values)
    assert [v for _, v in shared_server.points("burst/x")["burst/x"]] == [str(i) for i in range(500)]


def test_every_double_comes_back_bit_for_bit(tmp_path):
    import random
    rng = random.Random(7)
    doubles = [0.0, -0.0, 5e-324, 1.7976931348623157e308, 0.1, 1 / 3, 2**53, 2**53 + 2, 1e22, 1e-7, 123456.789]
    doubles += [struct.unpack("<d", rng.randbytes(8))[0] for _ in range(3000)]
    doubles = [d for d in doubles if math.isfinite(d)]
    lines = ["series,time,value"] + [f"bits/x,{T0 + i},{d!r}" for i, d in enumerate(doubles)]
    file = tmp_path / "bits.csv"
    file.write_text("\n".join(lines) + "\n")
    with Server() as server:
        server.run("import", file)
        for _ in range(3):  # From the head, from a partition, after a restart.
            got = [float(v) for _, v in server.points("bits/x")["bits/x"]]
            assert [struct.pack("<d", d) for d in got] == [struct.pack("<d", d) for d in doubles]
            server.run("admin", "checkpoint")
            server.restart()


def test_aggregates_agree_with_python(tmp_path):
    import random
    import statistics
    rng = random.Random(3)
    points = sorted({T0 + rng.randrange(86400 * 3): round(rng.uniform(-50, 50), 2) for _ in range(5000)}.items())
    shuffled = points[:]
    rng.shuffle(shuffled)
    file = tmp_path / "agg.csv"
    file.write_text("series,time,value\n" + "".join(f"agg/x,{t},{v}\n" for t, v in shuffled))
    with Server() as server:
        server.run("import", file)
        for _ in range(2):
            out = server.run("query", "agg/x", "--from", T0, "--to", T0 + 86400 * 3, "--every", "1h", "--agg",
                             "count,sum,mean,min,max,first,last,stddev", "--format", "csv", "--time-format", "s").stdout
            rows = [line.split(",") for line in out.splitlines()]
            assert rows[0] == "series,time,count,sum,mean,min,max,first,last,stddev".split(",")
            hours = {}
            for t, v in points:
                hours.setdefault(t // 3600 * 3600, []).append(v)
            assert [int(r[1]) for r in rows[1:]] == sorted(hours)
            for r in rows[1:]:
                v = hours[int(r[1])]
                expected = [len(v), math.fsum(v), math.fsum(v) / len(v), min(v), max(v), v[0], v[-1],
                            statistics.stdev(v) if len(v) > 1 else 0]
                for got, want in zip(map(float, r[2:]), expected):
                    assert got == pytest.approx(want, rel=1e-9, abs=1e-9)
            server.run("admin", "checkpoint")


def test_errors_of_a_person_are_one_line(shared_server):
    for args, words in [(("query", "a/#/b", "--from", "-1h"), "filter, character 3"), (("query", "a", "--from", "yesterday"), "yesterday"),
                        (("query", "a", "--from", "-1h", "--agg", "mode", "--every", "1h"), "mode")]:
        done = shared_server.run(*args, check=False)
        assert done.returncode in (1, 2)
        assert done.stdout == "" and len(done.stderr.strip().splitlines()) == 1, done.stderr
        assert words in done.stderr
