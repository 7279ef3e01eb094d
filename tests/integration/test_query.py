"""`hejnal query` as people use it: calendars against Python's zoneinfo, groups, fills, conditions, wrong input."""

import csv
import io
import json
import subprocess
from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import harness
import pytest

# Midnights that are skipped or come twice, changes of half an hour, a day that never was, no change at all.
ZONES = ["Europe/Warsaw", "America/Sao_Paulo", "Africa/Cairo", "Australia/Lord_Howe", "America/St_Johns",
         "America/Havana", "Pacific/Apia", "Asia/Kolkata", "Asia/Gaza", "Africa/Casablanca", "America/Nuuk", "UTC"]
YEARS = [1975, 1988, 1999, 2011, 2018, 2023, 2026, 2037, 2100]
STEP = 1800


@pytest.fixture(scope="module")
def years():
    """A server that has a point each half hour of some years, value 1."""
    with harness.Server("--retention-days", "0") as server:
        for year in YEARS:
            start = int(datetime(year, 1, 1, tzinfo=timezone.utc).timestamp()) - 2 * 86400
            lines = "".join(f"all/points,{t},1\n" for t in range(start, start + 370 * 86400, STEP))
            server.run("import", "-", stdin="series,time,value\n" + lines)
        yield server


def rows(server, *args):
    return list(csv.DictReader(io.StringIO(server.run("query", *args, "--format", "csv").stdout)))


def first_moment(zone, year, month, day):
    """The first second whose local clock shows that midnight or later, searched for without fold or gap rules."""
    local = datetime(year, month, day)
    at = int(local.replace(tzinfo=timezone.utc).timestamp()) - 27 * 3600
    step = 900  # All changes of these zones and years are at multiples of it, but for whole minutes below.
    while datetime.fromtimestamp(at, zone).replace(tzinfo=None) < local:
        at += step
    while datetime.fromtimestamp(at - 60, zone).replace(tzinfo=None) >= local:
        at -= 60
    return at


def next_start(unit, y, m, d):
    if unit == "d":
        t = datetime(y, m, d) + timedelta(days=1)
    elif unit == "w":
        t = datetime(y, m, d) + timedelta(days=7)
    elif unit == "mo":
        t = datetime(y + m // 12, m % 12 + 1, 1)
    else:
        t = datetime(y + 1, 1, 1)
    return t.year, t.month, t.day


def expected(zone, unit, start, from_s, to_s):
    """(start of bucket, points in it) from the bucket that begins on the date `start`."""
    found = {}
    date = start
    at = first_moment(zone, *date)
    while at < to_s:
        date = next_start(unit, *date)
        end = first_moment(zone, *date)
        low, high = max(at, from_s), min(end, to_s)
        count = -(-high // STEP) - -(-low // STEP)
        if count > 0:
            found[at] = count
        at = end
    return found


@pytest.mark.parametrize("name", ZONES)
def test_calendar_buckets_are_those_of_zoneinfo(years, name):
    zone = ZoneInfo(name)
    for year in YEARS:
        from_s = int(datetime(year, 1, 1, tzinfo=timezone.utc).timestamp())
        to_s = from_s + 365 * 86400
        monday = datetime(year, 1, 1) - timedelta(days=datetime(year, 1, 1).weekday() + 7)
        starts = {"d": (year - 1, 12, 30), "w": (monday.year, monday.month, monday.day),
                  "mo": (year - 1, 12, 1), "y": (year - 1, 1, 1)}
        for unit, start in starts.items():
            got = rows(years, "all/points", "--from", from_s, "--to", to_s, "--every", f"1{unit}", "--tz", name,
                       "--agg", "count", "--time-format", "s")
            assert {int(r["time"]): int(r["count"]) for r in got} == expected(zone, unit, start, from_s, to_s), (
                name, year, unit)


def test_dates_and_times_are_those_of_the_zone(years):
    got = rows(years, "all/points", "--from", "2026-03-28", "--to", "2026-03-31", "--every", "1d", "--tz",
               "Europe/Warsaw", "--agg", "count,coverage")
    assert [(r["time"], r["count"], r["coverage"]) for r in got] == [
        ("2026-03-28T00:00:00+01:00", "48", "1"), ("2026-03-29T00:00:00+01:00", "46", "1"),
        ("2026-03-30T00:00:00+02:00", "48", "1")]


T0 = 1767225600


@pytest.fixture(scope="module")
def city():
    with harness.Server() as server:
        lines = ""
        for site in range(3):
            for sensor in ("pm25", "pm10"):
                for i in range(60):
                    if site != 1 or not 20 <= i < 40:  # A hole.
                        lines += f"city/s{site}/{sensor},{T0 + i * 60},{site * 100 + i}\n"
        lines += "".join(f"meter/a,{T0 + i * 600},{v}\n" for i, v in enumerate([100, 110, 130, 5, 25, 25]))
        server.run("import", "-", stdin="series,time,value\n" + lines)
        yield server


def window(hours=1):
    return ["--from", T0, "--to", T0 + hours * 3600]


def test_groups_have_a_column_for_each_key(city):
    got = rows(city, "city/#", *window(), "--every", "1h", "--agg", "count,sum,max,median", "--group-by", "$3,$1")
    assert [(r["$3"], r["$1"], r["count"], r["max"]) for r in got] == [
        ("pm10", "city", "160", "259"), ("pm25", "city", "160", "259")]
    total = sum(site * 100 + i for site in range(3) for i in range(60) if site != 1 or not 20 <= i < 40)
    assert float(got[0]["sum"]) == total
    lines = city.run("query", "city/#", *window(), "--every", "1h", "--group-by", "$2", "--format", "jsonl").stdout
    assert [json.loads(line)["$2"] for line in lines.splitlines()] == ["s0", "s1", "s2"]
    table = city.run("query", "city/#", *window(), "--every", "1h", "--group-by", "$2").stdout.splitlines()
    assert table[0].split() == ["$2", "time", "mean"] and table[1].split()[0] == "s0"


def test_fills_and_their_bounds(city):
    base = ["city/s1/pm25", *window(), "--every", "5m", "--agg", "mean,count"]
    assert len(rows(city, *base)) == 8
    null = rows(city, *base, "--fill", "null")
    assert [r["mean"] for r in null[4:8]] == [""] * 4 and [r["count"] for r in null[4:8]] == ["0"] * 4
    previous = rows(city, *base, "--fill", "previous", "--fill-max", "10m")
    assert [r["mean"] for r in previous[3:8]] == ["117", "117", "117", "", ""]
    linear = rows(city, *base, "--fill", "linear")
    assert [float(r["mean"]) for r in linear[3:9]] == [117, 122, 127, 132, 137, 142]
    assert [r["mean"] for r in rows(city, *base, "--fill", "linear", "--fill-max", "10m")[4:8]] == [""] * 4
    late = rows(city, "city/s1/pm25", "--from", T0 + 1500, "--to", T0 + 1800, "--every", "5m", "--fill", "previous",
                "--fill-max", "1h")
    assert [r["mean"] for r in late] == ["117"]


def test_counters_begin_again_at_zero(city):
    got = rows(city, "meter/a", *window(), "--every", "30m", "--agg", "increase,rate")
    assert [float(r["increase"]) for r in got] == [30, 25]
    assert [round(float(r["rate"]) * 1200, 6) for r in got] == [30, round(25 * 1200 / 1800, 6)]


def test_silent_series_are_found(city):
    city.run("pub", "city/now", "1", "--qos", "1")
    silent = city.run("last", "#", "--older-than", "1h", "--format", "csv").stdout
    assert "city/now" not in silent and "meter/a" in silent and len(silent.splitlines()) == 8


def refused(server, *args):
    done = server.run("query", *args, check=False)
    assert done.returncode != 0 and done.stdout == "" and done.stderr.count("\n") == 1, done
    return done.returncode, done.stderr


def test_wrong_input_gets_one_line_that_says_what_is_right(city):
    base = ["city/#", *window()]
    for args, code, words in [
        (["--every", "1x"], 2, "1mo"), (["--every", "0d"], 2, "1mo"), (["--every", "5m", "--tz", "Europe/Warsaw"], 2, "1d"),
        (["--every", "1d", "--tz", "Europe/Nowhere"], 2, "Europe/Warsaw"), (["--tz", "UTC"], 2, "--every"),
        (["--every", "1h", "--agg", "p101"], 2, "median"), (["--every", "1h", "--agg", "mean,,max"], 2, "median"),
        (["--every", "1h", "--agg", ",".join(f"p{i}" for i in range(9))], 2, "8"),
        (["--every", "1h", "--group-by", "$0"], 2, "$2"), (["--every", "1h", "--group-by", "a,,b"], 2, "$2"),
        (["--group-by", "site"], 2, "--every"), (["--fill", "null"], 2, "--every"), (["--agg", "mean"], 2, "--every"),
        (["--every", "1h", "--fill", "zero"], 2, "previous"), (["--where", "unit=5"], 1, "character 5"),
        (["--where", 'unit=="a" &&'], 1, "character 13"),
    ]:
        got, text = refused(city, *base, *args)
        assert got == code and words in text, (args, text)
    _, text = refused(city, "city/#", "--from", "1970-01-01", "--to", "2100-01-01", "--every", "1s", "--fill", "null")
    assert "1000000 buckets" in text


def test_help_has_examples(city):
    text = subprocess.run([str(harness.HEJNAL), "query", "--help"], capture_output=True, text=True).stdout
    assert "--group-by" in text and "Europe/Warsaw" in text
