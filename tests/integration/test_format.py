"""docs/FORMAT.md is true: the independent reader of tests/format, made from that document alone, finds in a store at rest exactly
what was written and what the server exported, bit for bit."""

import collections
import csv
import gzip
import io
import math
import os
import random
import re
import shutil
import struct
import subprocess
import sys

import pytest

from harness import HEJNAL, ROOT, Server
from raw_query import QueryWire, section

sys.path.insert(0, str(ROOT / "tests" / "format"))

import read_journal  # noqa: E402
from read_bundle import read_bundle
from read_chunk import Chunk, bits_of, double_of, is_nan  # noqa: E402
from read_lmdb import Broken, Environment  # noqa: E402
from read_store import Store  # noqa: E402
from xxh3 import xxh3  # noqa: E402

GOLDEN = ROOT / "tests" / "golden"
HEX = re.compile("[0-9a-f]{16}")
S = 10**9
T0 = 1767225600 * S  # 2026-01-01T00:00:00Z, a Thursday
ODD = [0x8000000000000000, 0x7FF0000000000000, 0xFFF0000000000000, 0x7FF8000000000000, 0xFFF8000000000123, 0x7FF0000000000001,
       0x0000000000000001, 0x7FEFFFFFFFFFFFFF, 0x3FD5555555555555]


def value_of(rng, kind, i):
    """Bits of row i of a column that behaves in one of many ways, or a text."""
    if kind == "odd":
        return rng.choice(ODD) if rng.random() < 0.05 else bits_of(rng.randrange(1000) / 100)
    if kind == "bits":
        return rng.getrandbits(64)
    if kind == "nan":
        return 0x7FF8000000000000 + rng.randrange(4)
    if kind == "text":
        return rng.choice(("OPEN", "CLOSED", "Błąd 17", ""))
    if kind == "gone" and rng.random() < 0.1:
        return "unavailable"
    return bits_of({"gone": lambda: rng.randrange(180, 230) / 10,
                    "walk": lambda: rng.randrange(300, 320) / 10,
                    "counter": lambda: float(i * 5),
                    "constant": lambda: 21.5,
                    "state": lambda: float(i % 97 < 40),
                    "single": lambda: struct.unpack("<f", struct.pack("<f", rng.randrange(100000) / 1000))[0],
                    "words": lambda: rng.choice((1 / 3, 2 / 7, math.pi)),
                    "outlier": lambda: float(rng.randrange(10**9) if rng.random() < 0.02 else rng.randrange(8)),
                    "square": lambda: float(i * i)}[kind]())


KINDS = ["walk", "odd", "counter", "constant", "state", "single", "words", "bits", "nan", "outlier", "square", "text", "gone"]


class Model:
    """What was written: {path: {time: bits}}; the later write of equal (path, time) counts."""

    def __init__(self, wire, rng):
        self.wire, self.rng, self.points = wire, rng, collections.defaultdict(dict)

    def write(self, path, columns, rows):
        for time, cells in rows:
            for column, bits in cells.items():
                self.points[f"{path}/{columns[column]}" if columns else path][time] = bits
        words = []
        self.wire.write(section(path, columns, rows, words), words=words)

    def wide(self, path, times, gaps):
        """Rows of all kinds of columns, some values missing: each by chance, and column 3 in long runs."""
        rows = []
        for i, time in enumerate(times):
            cells = {c: value_of(self.rng, kind, i) for c, kind in enumerate(KINDS)
                     if self.rng.random() >= gaps and (c != 3 or i // 50 % 2)}
            rows.append((time, cells or {0: bits_of(0.0)}))
        for at in range(0, len(rows), 2000):
            self.write(path, KINDS, rows[at:at + 2000])

    def narrow(self, path, times):
        self.write(path, [], [(t, {0: value_of(self.rng, "odd", i)}) for i, t in enumerate(times)])


def delete_some(server, model, start):
    """A column in a window, a series, and some that are written again: in files, between flushes, and in the journal."""
    for series_filter, begin, end in (("krakow/air/1/walk", start, start + 86400 * S), ("krakow/noise", 0, start + S),
                                      ("krakow/+/square", start + 60 * S, start + 600 * S)):
        server.run("delete", series_filter, "--from", begin, "--to", end, "--yes")
        for path, points in model.points.items():
            levels = zip(series_filter.split("/"), path.split("/"))
            if path.count("/") == series_filter.count("/") and all(a in ("+", b) for a, b in levels):
                for time in [t for t in points if begin <= t < end]:
                    del points[time]
    for path in [path for path, points in model.points.items() if not points]:
        del model.points[path]
    model.narrow("krakow/noise", range(start, start + 40 * 10**6, 10**6))


def fill(model, rng, start):
    """One phase: steady, uneven and late times, rows that were written before and new ones among them."""
    model.wide("krakow/air/1", range(start, start + 3000 * 60 * S, 60 * S), 0.0)
    model.wide("krakow/air/2", sorted(rng.sample(range(start, start + 10**15), 700)), 0.3)
    model.wide("krakow/air/3", [start + i * S + rng.randrange(1000) * 10**6 for i in range(600)], 0.0)
    model.narrow("krakow/noise", range(start, start + 500 * 10**6, 10**6))
    model.narrow("krakow/late", rng.sample(range(start - 20 * 86400 * S, start, 1000 * S), 200))
    model.wide("krakow/air/1", rng.sample(range(start, start + 3000 * 60 * S, 30 * S), 300), 0.5)  # Again, and between.
    model.narrow("krakow/rare/€, \"quoted\"", [start])


def publish(server, start):
    """Over MQTT, at least once: with a time, without (so with a receipt), and retained."""
    server.run("pub", "mqtt/device", f'{{"ts":{start // S},"a":1.5,"b":{{"c":-7}}}}', "--qos", "1")
    for i in range(2):
        server.run("pub", "mqtt/clockless", str(i), "--qos", "1")
    server.run("pub", "mqtt/kept", f'{{"ts":{start // S},"v":{start // S % 1000}}}', "--qos", "1", "--retain")


def read_store(directory, *options):
    done = subprocess.run([sys.executable, ROOT / "tests" / "format" / "read_store.py", directory, *options],
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def points_of(store):
    """As the model has them: bits, or texts."""
    return {path: {time: bits if store.text(bits) is None else store.text(bits) for time, bits in rows.items()}
            for path, rows in store.points().items()}


def check_export(export, points):
    assert set(export) == set(points)
    for path, rows in export.items():
        want = points[path]
        assert [t for t, _ in rows] == sorted(want), path
        for time, text in rows:
            if isinstance(want[time], str):
                assert text == want[time], (path, time)
                continue
            value = double_of(want[time])
            assert math.isnan(float(text)) if is_nan(want[time]) else bits_of(float(text)) == want[time], (path, time, text, value)


@pytest.mark.parametrize("days, sealed, deletes", [(7, False, False), (1, False, False), (7, True, False), (1, True, False), (7, False, True),
                                                  (1, True, True)])
def test_a_store_at_rest_is_what_the_document_says(days, sealed, deletes):
    rng = random.Random(days)
    with Server("--partition-days", str(days)) as server:
        wire = QueryWire(server.query_port)
        model = Model(wire, rng)
        for phase in range(3):  # In partitions, in a second flush over them, and only in the journal.
            start = T0 + phase * 86400 * S
            fill(model, rng, start)
            publish(server, start)
            if deletes:
                delete_some(server, model, start)
            if phase < 2:
                server.run("admin", "seal" if sealed and phase == 0 else "checkpoint")
            if deletes:
                delete_some(server, model, start + 40 * 60 * S)
        export = server.points("#")
        wire.close()
        server.kill()

        store = Store(server.directory / "data")
        points = points_of(store)
        ours = {path: rows for path, rows in points.items() if not path.startswith("mqtt/")}
        assert ours == model.points
        check_export(export, points)
        assert sealed == any(part.sealed for part in store.parts)
        if not sealed:
            assert max(part.flushes for part in store.parts) >= 2
        assert store.rows and store.records
        check_broker(store)
        lines = read_store(server.directory / "data", "--bits").splitlines()
        assert len(lines) == 1 + sum(map(len, points.values()))

        assert server.run_check().returncode == 0
        server.start()
        check_export(server.points("#"), points)


def check_broker(store):
    """Receipts of three phases, the oldest beside the journal; the newest retained message."""
    assert len(store.receipts) == 6
    topic = xxh3(b"mqtt/clockless")
    assert [r.content for r in store.receipts] == [xxh3(b"0", topic), xxh3(b"1", topic)] * 3
    assert {r.time for r in store.receipts} == set(store.points()["mqtt/clockless"])
    kept = store.retained["mqtt/kept"]
    stamp = max(store.points()["mqtt/kept"]) // S
    assert kept == (1, read_journal.NEVER, b"", f'{{"ts":{stamp},"v":{stamp % 1000}}}'.encode())


# A store that an earlier build wrote, as it lies on disks. HEJNAL_GOLDEN=write makes one of this build where there is none of its
# version; none is ever replaced.
GOLDEN_STORES = ["store_v1", "store_v2", "store_v2_sealed", "store_v3", "store_v3_sealed"]


def write_golden_store(target, sealed):
    """Small, with everything there is to a store: two flushes of one period, late and unflushed rows, series named in the catalogue
    and in the journal only, receipts trimmed and not, retained messages, one of them cleared; or sealed first, with bundles and
    rollups, deletes not carried out there, between two flushes and in the journal, and tags."""
    rng = random.Random(1)
    with Server("--partition-days", "1", "--loops", "1") as server:
        wire = QueryWire(server.query_port)
        model = Model(wire, rng)
        for phase in range(3):
            start = T0 + phase * 600 * S
            model.wide("krakow/air/1", range(start, start + 60 * 60 * S, 60 * S), 0.1 * phase)
            model.narrow(f"krakow/phase/{phase}", [start - phase * 86400 * S])
            publish(server, start)
            if sealed:
                write_for_sealing(server, model, start, phase)
            if phase < 2:
                server.run("admin", "seal" if sealed and phase == 0 else "checkpoint")
            if sealed:
                delete_some(server, model, start + 300 * S)
                if phase == 1:
                    server.run("admin", "checkpoint")
        publish_retained(server)
        wire.close()
        server.kill()
        (target / "parts").mkdir(parents=True)
        data = server.directory / "data"
        for path in [data / "catalog.mdb", data / "journal.mdb", *(data / "parts").glob("*.mdb")]:
            if not path.name.endswith("-lock"):
                shutil.copy(path, target / path.relative_to(data))
        (target / "points.csv.gz").write_bytes(gzip.compress(read_store(target, "--bits").encode(), mtime=0))


def write_for_sealing(server, model, start, phase):
    """Many groups of few rows, and one of so many that its hours and days are rolled up; then late rows of both."""
    for i in range(30):
        model.narrow(f"krakow/meter/{i}", [start + k * 300 * S + i for k in range(6 - phase)])
    model.write("krakow/tick", [], [(start + k * 2 * S, {0: bits_of(float(k))}) for k in range(33200 if phase == 0 else 5)])
    if phase != 1:
        server.run("tag", f"krakow/meter/{phase}", f"unit=kWh{phase}")


def publish_retained(server):
    for options in (["-t", "golden/properties", "-m", "ON", "-q", "1", "-D", "publish", "content-type", "text/plain", "-D", "publish",
                     "message-expiry-interval", "4000000000"],
                    ["-t", "golden/cleared", "-m", "OFF", "-q", "1"], ["-t", "golden/cleared", "-n", "-q", "1"]):
        subprocess.run(["mosquitto_pub", "-V", "5", "-p", str(server.mqtt_port), "-r", *options], check=True)


def copy_golden_store(name, to):
    source = GOLDEN / name
    if not source.exists() and os.environ.get("HEJNAL_GOLDEN") == "write":
        write_golden_store(source, sealed=name.endswith("sealed"))
    shutil.copytree(source, to / "data", ignore=shutil.ignore_patterns("points.csv*"))
    points, packed = source / "points.csv", source / "points.csv.gz"
    text = gzip.decompress(packed.read_bytes()).decode() if packed.exists() else points.read_text()
    return list(csv.reader(io.StringIO(text)))[1:]


@pytest.mark.parametrize("name", GOLDEN_STORES)
def test_a_golden_store_is_what_the_document_says(name, tmp_path):
    want = copy_golden_store(name, tmp_path)
    assert list(csv.reader(io.StringIO(read_store(tmp_path / "data", "--bits"))))[1:] == want
    store = Store(tmp_path / "data")
    check_broker(store)
    kept = store.retained["golden/properties"]
    assert (kept.qos, kept.properties, kept.payload) == (1, b"\x03\x00\x0atext/plain", b"ON")
    assert read_journal.NEVER > kept.expires > T0 + 4 * 10**9 * S
    assert "golden/cleared" not in store.retained and len(store.graves) == 1
    assert len(store.parts) >= 2 and store.rows and len(store.last) > 10
    if name.endswith("sealed"):
        check_sealed(store)


def check_sealed(store):
    """All that was meant to be in it is: none of it may get lost when the store is written anew one day."""
    tables = collections.Counter()
    for path in (store.directory / "parts").glob("*.mdb"):
        for table in ("chunks", "bundles", "rollups"):
            tables[table, path.name.split(".")[-2]] += len(list(Environment(path).read(table)))
    assert all(tables[at] for at in [("chunks", "seal"), ("bundles", "seal"), ("rollups", "seal"), ("chunks", "act")])
    assert any(len({position for _, _, position in part.chunks}) > 1 for part in store.parts)  # A delete between flushes.
    in_journal = {r.position for r in store.records if any(isinstance(e, read_journal.Delete) for e in r.entries)}
    assert in_journal and set(store.deletes) - in_journal
    assert store.tags == {"krakow/meter/0": {"unit": "kWh0"}, "krakow/meter/2": {"unit": "kWh2"}}
    assert any(store.text(bits) for part in store.parts if part.sealed for _, _, bits in store.points_of(part))


@pytest.mark.parametrize("name", GOLDEN_STORES)
def test_a_golden_store_is_opened_and_goes_on(name, tmp_path):
    points = collections.defaultdict(dict)
    for path, time, bits in copy_golden_store(name, tmp_path):
        points[path][int(time)] = int(bits, 16) if HEX.fullmatch(bits) else bits
    checked = subprocess.run([HEJNAL, "check", tmp_path / "data"], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    with Server(directory=tmp_path) as server:
        check_export(server.points("#"), points)
        heard = subprocess.run(["mosquitto_sub", "-p", str(server.mqtt_port), "-t", "#", "-W", "2", "-F", "%r %q %t %p", "-q", "1"],
                               capture_output=True, text=True).stdout.splitlines()
        stamp = T0 // S + 1200
        assert sorted(heard) == ['1 1 golden/properties ON', f'1 1 mqtt/kept {{"ts":{stamp},"v":{stamp % 1000}}}']
        for what in ("checkpoint", "seal"):
            server.run("admin", what)
            server.check()
            check_export(server.points("#"), points)


CHUNK_KEY = b"\0\0\0\7\x80\0\0\0\0\0\0\1"


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("chunk_v*.bin")), ids=lambda p: p.stem)
def test_a_golden_chunk_is_what_the_document_says(path):
    data = path.read_bytes()
    chunk = Chunk(data, CHUNK_KEY)
    assert chunk.rows in (1, 300) and [c.id for c in chunk.columns] == [0, 11, 22, 33, 44, 55]
    with pytest.raises(Broken):
        Chunk(data, CHUNK_KEY[:-1] + b"\2")
    with pytest.raises(Broken):
        Chunk(data[:-9] + bytes([data[-9] ^ 1]) + data[-8:], CHUNK_KEY)


def test_fast_and_dense_golden_chunks_hold_the_same():
    for fast in sorted(GOLDEN.glob("chunk_v1_*_fast.bin")):
        a, b = (Chunk(p.read_bytes()) for p in (fast, fast.with_name(fast.name.replace("fast", "dense"))))
        assert a.times == b.times
        assert [(c.id, c.present, c.values) for c in a.columns] == [(c.id, c.present, c.values) for c in b.columns]


def test_the_golden_bundle_is_what_the_document_says():
    key, data = b"\0\0\1\7", (GOLDEN / "bundle_v1.bin").read_bytes()
    groups = read_bundle(key, data)
    assert len(groups) > 10 and all(a < b for (a, _), (b, _) in zip(groups, groups[1:]))
    assert any(len(chunk.columns) > 1 for _, chunk in groups) and any(any(chunk.arrivals) for _, chunk in groups)
    with pytest.raises(Broken):
        read_bundle(b"\0\0\1\6", data)
    with pytest.raises(Broken):
        read_bundle(key, data[:100] + bytes([data[100] ^ 1]) + data[101:])


def test_the_golden_journal_record_is_what_the_document_says():
    data = (GOLDEN / "journal_record.bin").read_bytes()
    record = read_journal.read_record(5, data)
    assert record[:4] == (5, 2, 77, 1479877012 * S)
    series, *rows, receipt = record.entries
    start = 1479877011 * S
    pm25, wind, zero = (bits_of(v) for v in (31.5, 270.0, -0.0))
    assert series == (300, 0, "krakow/air/171", "pm25")
    assert rows == [(300, start, {0: pm25, 1: wind, 2: zero}), (300, start + 60 * S, {0: pm25, 40: wind}),
                    (2, start + 60 * S + S // 2, {0: pm25})]
    assert receipt == (0x1122334455667788, 0x99AABBCCDDEEFF00, 7, start + 1000)
    with pytest.raises(Broken):
        read_journal.read_record(6, data)
    check_flips(data)


def check_flips(data):
    for at in range(len(data)):
        with pytest.raises(Broken):
            read_journal.read_record(5, data[:at] + bytes([data[at] ^ 1]) + data[at + 1:])


def test_the_golden_pieces_of_sessions_are_what_the_document_says():
    data, pieces = (GOLDEN / "session_state.bin").read_bytes(), []
    while data:
        space, key, value = data[0], data[1], int.from_bytes(data[2:4], "little")
        pieces.append((space, *read_journal.read_session_piece(space, data[4:4 + key], data[4 + key:4 + key + value])))
        data = data[4 + key + value:]
    origin = 0x1122334455667788
    level = read_journal.Message(2, 0, read_journal.NEVER, origin, "krakow/bielany/level", b"\1\1", b"2.75")
    will = read_journal.Message(1, 1, read_journal.NEVER, origin, "krakow/pump/12", b"\1\1", b"")
    shared = read_journal.Message(0, 0, read_journal.NEVER, origin, "krakow/x", b"\1\1", b"1")
    assert pieces == [
        (2, (7,), (0, 0, 3600, 1767225600 * S, 41), "pump-12"),
        (3, (7, 3), (14, 0, 268435455), "krakow/+/level"),
        (4, (99,), (), level),
        (5, (7, 40), (6, 2, 99), (268435455, 1)),
        (5, (7, 39), (10, 0, 0), ()),
        (6, (7, 65535), (), b""),
        (7, (7,), (30,), ("", will)),
        (8, (1, 5), (0x8000000000000001, 17), ("$share/g/krakow/#", shared)),
        (9, (1, 63), (4,), b""),
        (10, (0,), (64,), b"")]


def test_the_golden_record_of_texts_is_what_the_document_says():
    data = (GOLDEN / "journal_record_texts.bin").read_bytes()
    *texts, series, row = read_journal.read_record(5, data).entries
    assert texts == [(0, "OPEN"), (1, "Błąd 17"), (300, "")]
    assert series == (3, 0, "krakow/gate/4", "state")
    assert row == (3, 1479877011 * S, {0: 0xFFFC000000000001, 1: bits_of(4.0)})
    check_flips(data)
