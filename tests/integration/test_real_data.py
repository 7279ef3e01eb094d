"""A wide CSV replayed as devices would publish it comes back whole: values and times identical.

With HEJNAL_SAMPLE_DATA (default: shared/data beside the repository) the real air-quality year of Kraków
is used in the slow run; the quick one makes a file of the same shape."""

import csv
import gzip
import io
import math
import os
import random
import threading
import time
from pathlib import Path

import pytest

from harness import ROOT, Server

SAMPLES = Path(os.environ.get("HEJNAL_SAMPLE_DATA", ROOT.parent / "shared" / "data"))
AIRLY = SAMPLES / "airly_krakow_2017.csv.gz"


def make_file(path, rows=600, devices=12, seed=5):
    rng = random.Random(seed)
    fields = [("temperature", 0), ("humidity", 0), ("pressure", 0), ("pm25", 1), ("pm10", 2)]
    names = [(d, f, digits) for d in range(100, 100 + devices) for f, digits in fields]
    with gzip.open(path, "wt") as out:
        out.write("ts_ms," + ",".join(f"{d}_{f}" for d, f, _ in names) + "\n")
        for row in range(rows):
            cells = ["" if rng.random() < 0.15 else f"{rng.uniform(-20, 200):.{digits}f}" for _, _, digits in names]
            out.write(f"{1483228800000 + row * 3600000}," + ",".join(cells) + "\n")


def expected_points(path):
    """Independent reading of the file: {series: {time_ns: value}}."""
    want = {}
    with gzip.open(path, "rt") as file:
        rows = csv.reader(file)
        names = [n.partition("_") for n in next(rows)[1:]]
        for row in rows:
            for (device, _, field), cell in zip(names, row[1:]):
                if cell:
                    want.setdefault(f"krakow/air/{device}/{field}", {})[int(row[0]) * 10**6] = float(cell)
    return want


def check_export(server, want):
    got = server.points("krakow/air/#")
    assert set(got) == set(want)
    for path, points in want.items():
        assert len(got[path]) == len(points), path  # No point twice ...
        assert {t: float(v) for t, v in got[path]} == points, path  # ... none missing, none changed.


def check_daily(server, want):
    out = server.run("query", "krakow/air/+/pm25", "--from", "1970-01-01", "--to", "2200-01-01", "--every", "1d", "--agg",
                     "mean,max", "--format", "csv", "--time-format", "s").stdout
    rows = list(csv.reader(io.StringIO(out)))[1:]
    days = {}
    for path, points in want.items():
        if path.endswith("/pm25"):
            for t, v in points.items():
                days.setdefault((path, t // 10**9 // 86400 * 86400), []).append(v)
    assert len(rows) == len(days)
    for path, day, mean, highest in rows:
        values = days[path, int(day)]
        assert float(highest) == max(values)
        assert float(mean) == pytest.approx(math.fsum(values) / len(values), rel=1e-12)


def replay(server, path, *options):
    return server.run("replay", path, "--topic", "krakow/air/%1", "--split", "_", "--speed", "max", "--qos", "1",
                      "--connections", "4", *options, timeout=900)


def whole_story(path, kills):
    want = expected_points(path)
    with Server("--loops", "2") as server:  # Straight, twice, after a restart.
        replay(server, path)
        check_export(server, want)
        check_daily(server, want)
        server.restart()
        check_export(server, want)
        replay(server, path)
        check_export(server, want)
        server.run("admin", "checkpoint")
        check_export(server, want)
        check_daily(server, want)
        server.check()
    with Server("--loops", "2") as server:  # In random row order.
        replay(server, path, "--shuffle", "11")
        check_export(server, want)
        server.run("admin", "checkpoint")
        check_export(server, want)
        server.check()
    rng = random.Random(kills)
    with Server("--loops", "2") as server:  # With kill -9 at random moments.
        done = {}

        def run():
            done["replay"] = replay(server, path, "--speed", "max", "--patience", "120s")

        worker = threading.Thread(target=run)
        worker.start()
        for _ in range(kills):
            time.sleep(rng.uniform(0.1, 0.7))
            server.kill()
            server.start()
        worker.join()
        assert done["replay"].returncode == 0
        check_export(server, want)
        server.kill()
        server.start()
        check_export(server, want)
        server.check()


def test_a_made_file_comes_back_whole(tmp_path):
    file = tmp_path / "made.csv.gz"
    make_file(file)
    whole_story(file, kills=3)


@pytest.mark.skipif(not AIRLY.exists(), reason=f"no {AIRLY}")
@pytest.mark.skipif("HEJNAL_SLOW" not in os.environ, reason="slow: set HEJNAL_SLOW=1")
def test_a_year_of_krakow_air_comes_back_whole():
    whole_story(AIRLY, kills=20)
