#!/usr/bin/python3
"""Measures Hejnał's store beside VictoriaMetrics and InfluxDB: bench/store.py [--quick] [--only PART] [--runs N].

city      A: 1,000 series x 10,000 points, B: 100,000 x 100, made by data_gen: load, bytes a point, six queries,
          export, memory, each system in turn, run by run
real      each file of HEJNAL_SAMPLE_DATA alone in an empty store of each system: bytes a point
krakow    a year of air of that directory, replayed over MQTT with default settings: bytes a point of all files
decode    opening, checking and decoding of chunks on one core
acks      time until a write is durable, alone and while checkpoints, seals and full scans run
recovery  start after kill -9 with 256 MB of journal
year      a year of seconds of one sensor, asked for days, hours and its minimum

Nothing is pinned: servers and loads share the cores. Acknowledged means on disk for Hejnał, and what each peer
takes it to mean for itself. Medians of several runs. Bars are printed at the end; nothing fails by them."""

import argparse
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import bars
import peers
import real_data
from common import BENCH, Server, machine, measure, median, status_bytes
from ours import T0, Hejnal

SEED = 42
INTERVAL_MAX_S = 900  # Of the slowest kind of data_gen.
DAY_S = 86400
MIB = 2**20


def heading(text):
    print(f"\n{text}", flush=True)


def line(name, *cells):
    print(f"{name:<38}" + "".join(f"{c:>18}" for c in cells), flush=True)


def ms(value):
    """Three digits, no exponent."""
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def per_point(size, points):
    """Bytes a point, of blocks; and of file lengths where those differ."""
    return f"{size[1] / points:.3f} ({size[0] / points:.3f})"


class City:
    """A data set of data_gen and what is asked of it."""

    def __init__(self, name, series, points, directory):
        self.name, self.series, self.points = name, series, points
        self.total = series * points
        self.prefix = Path(directory) / name
        subprocess.run([BENCH / "data_gen", "city", str(series), str(points), str(SEED), self.prefix], check=True,
                       timeout=600)

    def queries(self):
        """(name, runs, method, arguments)"""
        one, end = {"kind": "temp_c", "district": "d0000", "site": "s00003"}, T0 + self.points * INTERVAL_MAX_S
        all_have_some = T0 + self.points * 10  # Where a peer that asks for an instant finds all series.
        return [("last of 1 series", 200, "last", one, all_have_some),
                ("last of all", 10, "last", {}, all_have_some),
                ("1 series, 1 day raw", 100, "raw", one, T0, T0 + DAY_S),
                ("1 series, mean per 5 min", 100, "bucketed", one, T0, T0 + self.points * 60, 300, "mean"),
                ("100 series, max per hour by site", 20, "bucketed", {"district": "d0000"}, T0, end, 3600,
                 "max", "site"),
                ("all series, mean per day", 5, "bucketed", {}, T0, end, DAY_S, "mean")]


def once(store, data, is_last):
    """Load an empty store; the last time, look at everything else too."""
    with store:
        found = store.load(data.prefix)
        found["rss"], found["peak"] = (status_bytes(store.process, name) for name in ("VmRSS:", "VmHWM:"))
        if not is_last:
            return found
        store.flush()
        found["size"] = store.size()
        store.settle()
        found["settled"] = store.size()
        found["answers"] = {q[0]: store.ask(q[1], q[2:]) for q in data.queries()}
        if isinstance(store, Hejnal):
            found["export"] = store.ask(3, ("raw", {}, T0, T0 + data.points * INTERVAL_MAX_S + DAY_S))
        return found


def in_turn(stores, data, runs):
    """Every store `runs` times: {name: [what was found]}."""
    found = {s.name: [] for s in stores}
    for run in range(runs):
        for store in stores:
            found[store.name].append(once(store, data, run + 1 == runs))
    return found


def tell_load(stores, found, data):
    line(f"{data.name}: {data.total:,} points", *(s.name for s in stores))
    rates = [median(found[s.name], "rate") for s in stores]
    line("load, points/s", *(f"{r:,.0f}" for r in rates))
    line("  ours is so many times theirs", "", *(f"{rates[0] / r:.2f}" for r in rates[1:]))
    line("memory after load, MiB (peak)", *(f"{median(found[s.name], 'rss') / MIB:.0f} "
                                            f"({median(found[s.name], 'peak') / MIB:.0f})" for s in stores))
    last = [found[s.name][-1] for s in stores]
    line("bytes/point on disk, unsettled", *(per_point(f["size"], data.total) for f in last))
    line("bytes/point settled (lengths)", *(per_point(f["settled"], data.total) for f in last))
    return rates


def tell_queries(stores, found):
    ours = found[stores[0].name][-1]["answers"]
    line("query: p50 / p99 ms, rows", *(s.name for s in stores), *("ours/theirs" for _ in stores[1:]))
    for name in ours:
        answers = [found[s.name][-1]["answers"][name] for s in stores]
        line(name, *(f"{ms(a['p50_ms'])} / {ms(a['p99_ms'])}" for a in answers),
             *(f"{answers[0]['p50_ms'] / a['p50_ms']:.3f}" for a in answers[1:]))
        line("  rows", *(f"{a['rows']:,.0f}" for a in answers))


def note_city(data, rates, found):
    ours = found["Hejnał"][-1]
    theirs = [found[name][-1]["answers"] for name in found if name != "Hejnał"]
    export = data.total / ours["export"]["p50_ms"] / 1000
    line("export, decoded, M points/s", f"{export:.1f}")
    if Hejnal.can_seal():
        bars.note(f"{data.name} bytes/point, sealed", ours["settled"][1] / data.total)
    if data.name == "A":
        bars.note("A bytes/point, unsealed", ours["size"][1] / data.total)
        bars.note("export, decoded by the client", export)
    else:
        bars.note("B peak memory of the load", median(found["Hejnał"], "peak") / MIB)
    if theirs:
        bars.note(f"{data.name} load beside the best peer", rates[0] / max(rates[1:]))
        for name in bars.QUERIES:
            best = min(answers[name]["p50_ms"] for answers in theirs)
            bars.note(f"{data.name} {name}", ours["answers"][name]["p50_ms"] / best)


def bench_city(runs, scale, directory, others):
    stores = [Hejnal(), *others]
    for name, series, points in (("A", 1000, 10_000 // scale), ("B", 100_000 // scale, 100)):
        data = City(name, series, points, directory)
        found = in_turn(stores, data, runs)
        heading(f"{series:,} series x {points:,} points, time order, {peers.LINES:,} points a request, "
                f"{peers.CONNECTIONS} connections; " +
                ("sealed / merged / compacted after" if Hejnal.can_seal() else "NOT sealed, this build cannot"))
        rates = tell_load(stores, found, data)
        tell_queries(stores, found)
        note_city(data, rates, found)


def alone(store, path, directory):
    """What an empty store makes of one file: load, blocks and lengths of all its files, settled."""
    prefix = Path(directory) / "real"
    count = real_data.convert([path], prefix)
    with store:
        found = store.load(prefix)
        store.flush()
        found["before"] = store.size()
        store.settle()
        return found | {"points": count, "size": store.size()}


def total(found, name):
    return tuple(sum(f[name][i] for f in found) for i in range(2))


def bench_real(directory, others):
    """Every file into an empty store of its own: what a small installation takes, each with all it needs."""
    if real_data.directory() is None:
        heading("real data: HEJNAL_SAMPLE_DATA names no directory; left out")
        return
    stores, files = [Hejnal(), *others], real_data.files()
    found = {store.name: [] for store in stores}
    heading("real data, each file alone in an empty store, each series written by itself; bytes/point of all files "
            "of the store (of their lengths), settled")
    line("", *(s.name for s in stores), *("ours/theirs" for _ in others))
    for path in files:
        for store in stores:
            found[store.name].append(alone(store, path, directory))
        now = [found[s.name][-1] for s in stores]
        line(path.name.removesuffix(".csv.gz"), *(per_point(f["size"], f["points"]) for f in now),
             *(f"{now[0]['size'][1] / f['size'][1]:.3f}" for f in now[1:]))
    points = sum(f["points"] for f in found[stores[0].name])
    line(f"all {points:,} points", *(per_point(total(found[s.name], "size"), points) for s in stores))
    line("  unsettled", *(per_point(total(found[s.name], "before"), points) for s in stores))
    for name in ("VictoriaMetrics", "InfluxDB"):
        if name in found:
            bars.note(f"each real file beside {name}: worst ratio",
                      max(a["size"][1] / b["size"][1] for a, b in zip(found[stores[0].name], found[name])))


def bench_krakow():
    place = real_data.directory()
    path = place / "airly_krakow_2017.csv.gz" if place else None
    if path is None or not path.exists():
        heading("Kraków air: HEJNAL_SAMPLE_DATA has no airly_krakow_2017.csv.gz; left out")
        return
    with Hejnal() as store:
        store.server.run("replay", path, "--topic", "air/%1", "--split", "_", "--connections", "4", timeout=900)
        points = int(store.server.stats()["store.points.written"])
        store.settle()
        heading(f"Kraków air 2017 over MQTT, default settings, {points:,} points: "
                f"{per_point(store.size(), points)} bytes/point of all files"
                f"{'' if store.can_seal() else ', NOT sealed, this build cannot'}")
        bars.note("Kraków air, bytes/point, all files", store.size()[1] / points)


def bench_decode(runs, seconds):
    found = [measure(BENCH / "decode_speed", seconds) for _ in range(runs)]
    heading("decode, one core: gauges whose decimals bit-pack, chunks of 8,192 rows, times and values, checksum checked")
    for index, form in enumerate(("as a checkpoint writes", "as sealing writes")):
        rate = median([f[index] for f in found], "rate")
        line(form, f"{rate / 1e6:,.0f} M points/s", f"{found[0][index]['bytes_per_point']:.3f} B/point")
    bars.note("decode of sealed chunks, one core", rate / 1e6)


class Unrest:
    """Checkpoints, seals and full scans, each again and again until told to stop."""

    def __init__(self, store, to_s):
        self.stopping = threading.Event()
        self.counts = {"checkpoints": 0, "scans": 0} | ({"seals": 0} if store.can_seal() else {})
        jobs = {"checkpoints": store.flush, "seals": store.seal,
                "scans": lambda: store.ask(1, ("raw", {}, T0, to_s))}
        self.threads = [threading.Thread(target=self.repeat, args=(name, jobs[name])) for name in self.counts]

    def repeat(self, name, job):
        while not self.stopping.is_set():
            job()
            self.counts[name] += 1

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        for thread in self.threads:
            thread.join()


def bench_acks(runs, seconds, directory, scale):
    """The same offered rate twice, into a store that holds A already."""
    data = City("acks", 1000, 10_000 // scale, directory)
    rate, batch = 50_000, 500
    load = (data.prefix, 1, batch, rate, seconds)
    idle, busy = [], []
    for _ in range(runs):
        with Hejnal() as store:
            store.load(data.prefix)
            store.settle()
            idle += measure(BENCH / "store_load", store.server.query_port, *load)
            with Unrest(store, T0 + data.points * INTERVAL_MAX_S) as unrest:
                busy += measure(BENCH / "store_load", store.server.query_port, *load, timeout=seconds + 300)
    heading(f"time from due to durable, {rate:,} points/s in batches of {batch}, {seconds} s")
    line("", "p50 ms", "p99 ms", "worst ms")
    for name, found in (("nothing else going on", idle), ("while " + ", ".join(unrest.counts), busy)):
        line(name, *(f"{median(found, k):.2f}" for k in ("p50_ms", "p99_ms", "worst_ms")))
    print("meanwhile, in the last run: " + ", ".join(f"{n} {name}" for name, n in unrest.counts.items()))
    bars.note("ack p99 under load beside idle", median(busy, "p99_ms") / median(idle, "p99_ms"))


def fill_journal(store, data, journal_bytes):
    """Load the file, each time later, until the journal holds so many bytes."""
    rounds = 0
    while store.server.stats()["store.journal.bytes"] < journal_bytes:
        measure(BENCH / "store_load", store.server.query_port, data.prefix, 1, 10_000, 4_000_000, 1 + rounds)
        rounds += 1
        assert rounds < 100, "the journal does not grow"


def bench_recovery(runs, journal_mb, directory):
    data = City("recovery", 1000, 1000, directory)
    took, held, points = [], 0, 0
    for _ in range(runs):
        with Hejnal("--journal-mb", str(journal_mb * 4), "--journal-max-mb", str(journal_mb * 8), "--head-mb",
                    str(journal_mb * 4)) as store:
            fill_journal(store, data, journal_mb * 1_000_000)
            stats = store.server.stats()
            held, points = stats["store.journal.bytes"], stats["store.points.written"]
            store.server.kill()
            started = time.monotonic()
            store.server.start(timeout=120)
            took.append({"s": time.monotonic() - started})
    heading(f"recovery: kill -9 with {held / 1e6:,.0f} MB of journal, {points:,.0f} points; until the ready line: "
            f"{median(took, 's'):.2f} s")
    bars.note("recovery, 256 MB of journal", median(took, "s"))


def bench_year(runs, directory):
    prefix = Path(directory) / "year"
    subprocess.run([BENCH / "data_gen", "year", str(SEED), prefix], check=True, timeout=600)
    start, days = 1735689600, 365
    rows = [("mean per day", ["mean", DAY_S]), ("max per hour", ["max", 3600]), ("minimum", ["min", 10**9])]
    with Hejnal() as store:
        rate = store.load(prefix)["rate"]
        store.settle()
        size = store.size()
        heading(f"a year of seconds of one sensor, 31,536,000 points, loaded at {rate:,.0f} points/s, "
                f"{per_point(size, days * DAY_S)} bytes/point" + ("" if store.can_seal() else ", NOT sealed"))
        line("", "rows", "p50 ms", "p99 ms")
        for name, (aggregate, every_s) in rows:
            found = measure(BENCH / "query_load", "127.0.0.1", store.server.query_port, 20 * runs, aggregate,
                            "city/year/voltage_v", start, start + days * DAY_S, every_s)[0]
            line(name, f"{found['rows']:,.0f}", f"{found['p50_ms']:.3f}", f"{found['p99_ms']:.3f}")
            bars.note(f"year of seconds, {name}", found["p50_ms"])


PARTS = ["city", "real", "krakow", "decode", "acks", "recovery", "year"]


def run_part(part, runs, quick, directory, others):
    if part == "city":
        bench_city(runs, 10 if quick else 1, directory, others)
    elif part == "real":
        bench_real(directory, others)
    elif part == "krakow":
        bench_krakow()
    elif part == "decode":
        bench_decode(runs, 0.3 if quick else 2)
    elif part == "acks":
        bench_acks(runs, 3 if quick else 20, directory, 10 if quick else 1)
    elif part == "recovery":
        bench_recovery(runs, 16 if quick else 256, directory)
    else:
        bench_year(runs, directory)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="one short run of each, with a tenth of the points")
    parser.add_argument("--only", choices=PARTS)
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # So that it, too, ends servers and wipes files.
    machine()
    parts = [arguments.only] if arguments.only else PARTS
    others = peers.available() if {"city", "real"} & set(parts) else []
    for part in parts:
        with tempfile.TemporaryDirectory(prefix="hejnal-bench-") as directory:
            run_part(part, 1 if arguments.quick else arguments.runs, arguments.quick, directory, others)
    bars.report("of a quick run, with less data than the bars are for" if arguments.quick else "")


if __name__ == "__main__":
    main()
