"""Texts as values, end to end: written over the wire, killed, checkpointed, exported, imported, read at rest; nothing changes."""

import collections
import json
import random
import struct
import subprocess
import sys

import pytest

from harness import HEJNAL, ROOT, Server
from raw_query import QueryWire, field, section, varint

sys.path.insert(0, str(ROOT / "tests" / "format"))

from read_chunk import bits_of, double_of, is_nan  # noqa: E402
from read_store import Store  # noqa: E402

S = 10**9
T0 = 1767225600 * S  # 2026-01-01T00:00:00Z
ODD = ["", " ", "OPEN", "31.5", "'31.5", "''", "NaN", "-Infinity", "null", 'say "hi"', "a,b", "two\nlines", "cr\r\nlf", "tab\t", "\x01\x7f",
       "Błąd 17", "🚰 leak", "x" * 1024, '{"a":1}', "1e999"]


def value_of(rng, kind):
    """Bits of a number, or a text."""
    if kind == "odd":
        return rng.choice(ODD)
    if kind == "mixed":
        return rng.choice(["unavailable", "unknown"]) if rng.random() < 0.1 else bits_of(rng.randrange(1000) / 10)
    if kind == "many":
        return f"state {rng.randrange(500)}"
    if kind == "nan":
        return rng.choice(["NaN", 0x7FF8000000000000, 0x7FF0000000000000, 0x8000000000000000])
    return {"constant": "OPEN", "two": rng.choice(["OPEN", "CLOSED"])}[kind]


KINDS = ["odd", "mixed", "many", "nan", "constant", "two"]


def write_phase(wire, rng, points, start, rows):
    words, cells = [], []
    for i in range(rows):
        row = {c: value_of(rng, kind) for c, kind in enumerate(KINDS) if rng.random() < 0.9}
        row.setdefault(4, "OPEN")
        cells.append((start + i * S, row))
        for c, value in row.items():
            points[f"krakow/gate/1/{KINDS[c]}"][start + i * S] = value
    wire.write(section("krakow/gate/1", KINDS, cells, words), words=words)


def check_export(server, points):
    export = server.points("#")
    assert set(export) == set(points)
    for path, rows in export.items():
        assert [t for t, _ in rows] == sorted(points[path]), path
        for time, cell in rows:
            check_cell(points[path][time], cell)


def check_cell(value, cell):
    """What csv.reader makes of a cell of an export: an apostrophe marks what would else be a number."""
    if isinstance(value, str):
        is_marked = cell.startswith("'")
        assert cell[is_marked:] == value
    elif is_nan(value):
        assert cell == "NaN"
    else:
        assert bits_of(float(cell)) == value


def check_at_rest(server, points):
    store = Store(server.directory / "data")
    found = {path: {t: b if store.text(b) is None else store.text(b) for t, b in rows.items()}
             for path, rows in store.points().items()}
    assert found == points


def test_texts_live_through_everything(tmp_path):
    rng = random.Random(1)
    points = collections.defaultdict(dict)
    with Server() as server, Server() as other:
        for phase in range(3):
            wire = QueryWire(server.query_port)
            write_phase(wire, rng, points, T0 + phase * 500 * S, 600)
            wire.close()
            if phase == 1:
                server.run("admin", "checkpoint")
            server.kill()
            check_at_rest(server, points)
            assert server.run_check().returncode == 0
            server.start()
            check_export(server, points)
        for form in ["csv", "jsonl"]:
            file = tmp_path / f"points.{form}"
            selected = "#" if form == "csv" else "krakow/gate/1/odd"
            server.run("export", selected, "--format", form, "-o", file)
            other.run("import", file)
        check_export(other, points)
        other.run("import", tmp_path / "points.csv")  # Again: nothing changes.
        check_export(other, points)


def test_json_lines_come_back(tmp_path):
    rng = random.Random(2)
    points = collections.defaultdict(dict)
    with Server() as server, Server() as other:
        wire = QueryWire(server.query_port)
        write_phase(wire, rng, points, T0, 300)
        wire.close()
        file = tmp_path / "points.jsonl"
        del points["krakow/gate/1/nan"]
        server.run("export", "krakow/gate/1/nan", "--format", "jsonl", "-o", file)
        file.write_text("".join(line for line in file.read_text().splitlines(True) if "null" in line))
        done = other.run("import", file, check=False)
        assert done.returncode == 1 and "null is no value" in done.stderr
        for path in points:
            server.run("export", path, "--format", "jsonl", "-o", file)
            other.run("import", file)
        check_export(other, points)


def test_people_see_texts(shared_server):
    wire = QueryWire(shared_server.query_port)
    words = []
    wire.write(section("see/state", [], [(T0, {0: "OPEN"}), (T0 + S, {0: bits_of(4.0)}), (T0 + 2 * S, {0: "fault\x1b[31m 17"})], words), words=words)
    last = shared_server.run("last", "see/#").stdout
    assert "fault\\x1b[31m 17" in last and "\x1b" not in last
    assert '"fault' in shared_server.run("last", "see/#", "--format", "csv").stdout
    table = shared_server.run("query", "see/#", "--from", "2026-01-01").stdout
    assert "OPEN" in table and "fault\\x1b" in table
    lines = [json.loads(line) for line in
             shared_server.run("query", "see/#", "--from", "2026-01-01", "--format", "jsonl").stdout.splitlines()]
    assert [line["value"] for line in lines] == ["OPEN", 4, "fault\x1b[31m 17"]
    done = shared_server.run("query", "see/#", "--from", "2026-01-01", "--every", "1h", "--agg", "count,max", "--format", "csv")
    assert done.stdout.splitlines()[1:] == ["see/state,2026-01-01T00:00:00Z,1,4"]


def query_frame(wire, series):
    """The first frame of the points of a series."""
    end = T0 + 3600 * S
    return wire.ask(4, field(1, series.encode()) + b"\x10" + varint(T0 << 1) + b"\x18" + varint(end << 1))


def test_a_client_that_knows_no_words_gets_nan(shared_server):
    wire = QueryWire(shared_server.query_port)
    words = []
    wire.write(section("old/state", [], [(T0, {0: "OPEN"}), (T0 + S, {0: bits_of(4.0)})], words), words=words)
    frame = query_frame(wire, "old/state")
    assert b"OPEN" not in frame
    at = frame.index(struct.pack("<d", 4.0))
    assert is_nan(struct.unpack("<Q", frame[at - 8:at])[0])


def test_a_state_that_stays_costs_nothing_a_row(shared_server):
    wire = QueryWire(shared_server.query_port, words=True)
    rows = [(T0 + i * S, {0: "A STATE OF SOME LENGTH"}) for i in range(2000)]
    words = []
    body = section("long/state", [], rows, words)
    wire.write(body, words=words)
    times = len(section("long/state", [], [(t, {0: bits_of(0.0)}) for t, _ in rows])) - 8 * len(rows)
    assert len(body) < times + 16
    frame = query_frame(wire, "long/state")
    assert frame.count(b"A STATE OF SOME LENGTH") == 1
    assert len(frame) < times + 100


@pytest.mark.parametrize("bits", [0xFFFC000000000000, 0xFFFC0000FFFFFFFF])
def test_a_nan_that_would_be_a_text_is_refused(shared_server, bits):
    wire = QueryWire(shared_server.query_port)
    before = shared_server.stats()["query.errors"]
    answer = wire.ask(3, field(1, section("bad/nan", [], [(T0, {0: bits_of(1.0)}), (T0 + S, {0: bits})])))
    assert b"rows[0].values[0]" in answer and b"stand for texts" in answer
    assert shared_server.stats()["query.errors"] == before + 1
    wire.write(section("bad/nan", [], [(T0, {0: 0xFFFC000100000000})]))  # Next to it is a number like any.
    assert b"bad/nan" in query_frame(wire, "bad/nan")


def test_an_import_wants_texts_in_quotes_or_to_be_told(shared_server, tmp_path):
    file = tmp_path / "bare.csv"
    file.write_text('series,time,value\nbare/a,2026-01-01T00:00:00Z,unavailable\nbare/a,2026-01-02T00:00:00Z,"two\nlines"\nbare/a,2026-01-03T00:00:00Z,7\n')
    done = shared_server.run("import", file, check=False)
    assert done.returncode == 1 and f"{file}:2: column 3" in done.stderr
    assert shared_server.run("import", file, "--skip-errors").returncode == 0
    assert [v for _, v in shared_server.points("bare/a")["bare/a"]] == ["two\nlines", "7"]
    shared_server.run("import", file, "--bare-texts")
    assert [v for _, v in shared_server.points("bare/a")["bare/a"]] == ["unavailable", "two\nlines", "7"]


def test_a_full_dictionary_is_told():
    with Server("--texts-max", "2") as server:
        done = server.run("import", "-", stdin='a,2026-01-01T00:00:00Z,"one"\na,2026-01-02T00:00:00Z,"two"\n', check=False)
        assert done.returncode == 0, done.stderr
        done = server.run("import", "-", stdin='a,2026-01-03T00:00:00Z,"three"\n', check=False)
        assert done.returncode == 1 and "texts_max" in done.stderr
        assert server.stats()["ingest.refused.texts"] == 1 and server.stats()["store.texts"] == 2
        server.restart()
        server.run("import", "-", stdin='a,2026-01-03T00:00:00Z,"two"\n')
        assert [v for _, v in server.points("a")["a"]] == ["one", "two", "two"]


CASES = [
    ("mq/bare", "OPEN", {"mq/bare": "OPEN"}),
    ("mq/words", "fault 17", {"mq/words": "fault 17"}),
    ("mq/json", '{"state":"idle","n":4,"deep":{"why":["a","B\\u0142\\u0105d"]}}',
     {"mq/json/state": "idle", "mq/json/n": "4", "mq/json/deep/why/0": "a", "mq/json/deep/why/1": "Błąd"}),
    ("mq/value", '{"ts":1767225600,"value":"31.5"}', {"mq/value": "'31.5"}),
    ("mq/time", '{"time":"2026-01-01T00:00:00Z","seen":"2026-01-01T00:00:00Z","s":"on"}', {"mq/time/s": "on"}),
    ("mq/long", '{"s":"%s","n":1}' % ("x" * 65), {"mq/long/n": "1"}),
    ("mq/broken", '{"s":"on"', {}),
]


@pytest.fixture(scope="module")
def storing():
    with Server("--store-text", "on") as server:
        yield server


@pytest.mark.parametrize("topic,payload,expected", CASES, ids=[c[0] for c in CASES])
def test_texts_of_messages_are_values_where_they_are_wanted(storing, topic, payload, expected):
    storing.run("pub", topic, payload)
    assert {path: rows[-1][1] for path, rows in storing.points(topic + "/#").items()} == expected


def test_a_text_may_be_published_with_a_time(storing):
    storing.run("pub", "at/state", 'say "hi"', "--at", "2026-01-01T00:00:00Z")
    assert storing.points("at/state") == {"at/state": [(T0, 'say "hi"')]}
    assert storing.run("pub", "at/state", '{"a":1}', "--at", "now", check=False).returncode == 2


def test_without_the_setting_texts_are_forwarded_only(shared_server):
    for topic, payload, _ in CASES:
        shared_server.run("pub", "off/" + topic, payload)
    assert set(shared_server.points("off/#")) == {"off/mq/json/n", "off/mq/long/n"}


def test_a_message_whose_texts_find_no_room_keeps_its_numbers():
    with Server("--store-text", "on", "--texts-max", "1") as server:
        server.run("pub", "a", '{"s":"one","n":1}')
        server.run("pub", "b", '{"s":"two","n":2}')
        server.run("pub", "c", "three")
        assert {p: r[0][1] for p, r in server.points("#").items()} == {"a/s": "one", "a/n": "1", "b/n": "2"}
        stats = server.stats()
        assert stats["ingest.refused.texts"] == 2 and stats["ingest.rejects"] == 1
        assert server.run("rejects").stdout.count("texts_max") == 2


def test_acknowledged_texts_outlive_a_kill():
    with Server("--store-text", "on") as server:
        for i in range(40):
            server.run("pub", "kill/state", f"state {i % 7}")
            if i % 10 == 9:
                server.kill()
                assert server.run_check().returncode == 0
                server.start()
        assert [v for _, v in server.points("kill/state")["kill/state"]] == [f"state {i % 7}" for i in range(40)]
