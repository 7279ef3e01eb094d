"""Retention by rules of the config file: each series is kept as long as its rule says, for writers, readers and the disk, across
restarts; and a rule that is wrong is told where it stands."""

import random
import subprocess
import time

import pytest

from harness import HEJNALD, Server, wait_until

S = 10**9
DAY = 86400
RULES = """\
partition_days: 1
late_hours: 0
retention_days: 30
retention:
  - filter: +/short/#
    days: 3
  - filter: +/for/ever/#
    days: 0
"""


def now():
    return int(time.time())


def configured(tmp_path, text, **more):
    path = tmp_path / "hejnal.yaml"
    path.write_text(text)
    return Server("-c", str(path), **more)


def write(server, rows):
    """rows: (path, time in s, value)."""
    lines = ["series,time,value"] + [f"{path},{at * S},{value}" for path, at, value in rows]
    return server.run("import", "-", stdin="\n".join(lines) + "\n").stderr


def count(server):
    return {path: len(points) for path, points in server.points("#").items()}


def test_what_is_older_than_its_series_are_kept_is_refused(tmp_path):
    start = now()
    ages = (1, 2, 4, 20, 29, 31, 4000)
    with configured(tmp_path, RULES) as server:
        said = write(server, [(path, start - age * DAY, age) for path in ("k/short/x", "k/long", "k/for/ever") for age in ages])
        assert f" {5 + 2} refused by retention" in said
        assert count(server) == {"k/short/x": 2, "k/long": 5, "k/for/ever": 7}
        assert server.stats()["ingest.refused.old"] == 7
        assert "never" not in count(server)
        write(server, [("k/short/never", start - 4 * DAY, 1)])  # Of what is refused no series is made.
        assert "k/short/never" not in server.run("series").stdout


def test_a_message_may_be_kept_in_part(tmp_path):
    start = now()
    with configured(tmp_path, RULES) as server:
        server.run("pub", "k", f'{{"ts":{start - 10 * DAY},"short":{{"x":1}},"long":2,"for":{{"ever":3}}}}', "--qos", "1")
        assert count(server) == {"k/long": 1, "k/for/ever": 1}
        assert server.stats()["ingest.refused.old"] == 1
        assert "k: older than retention" in server.run("rejects").stdout
        server.run("pub", "k/short", f'{{"ts":{start - 10 * DAY},"x":1}}', "--qos", "1")
        stats = server.stats()
        assert stats["ingest.refused.old"] == 2 and stats["ingest.rejects"] == 1
        server.run("pub", "k/short", f'{{"ts":{start},"x":1}}', "--qos", "1")
        assert count(server)["k/short/x"] == 1


def fill(server, start, days):
    """500 points a day, half a day away from where any horizon passes meanwhile."""
    rng = random.Random(1)
    write(server, [(path, start - age * DAY - DAY // 2 + i, rng.randrange(10**9))
                   for path in ("bulk/1/x", "bulk/2/x", "kept/x") for age in range(1, days + 1) for i in range(500)])


def parts_bytes(server):
    return sum(f.stat().st_blocks * 512 for f in (server.directory / "data" / "parts").iterdir())


def test_a_new_rule_holds_from_the_first_answer_and_frees_the_disk(tmp_path):
    start = now()
    with configured(tmp_path, "partition_days: 1\nlate_hours: 0\n") as server:
        fill(server, start, 40)
        assert set(count(server).values()) == {40 * 500}
        server.run("admin", "seal")
        before = parts_bytes(server)
        server.stop()
        (tmp_path / "hejnal.yaml").write_text("retention:\n  - {filter: bulk/#, days: 10}\n")
        server.start()
        left = {"bulk/1/x": 9 * 500, "bulk/2/x": 9 * 500, "kept/x": 40 * 500}
        assert count(server) == left
        server.run("admin", "seal")
        wait_until(lambda: parts_bytes(server) < before * 0.6)  # (9 + 9 + 40) / 120 is left.
        assert server.stats()["store.sweeps"] > 0
        assert count(server) == left
        server.check()
        assert count(server) == left
        server.kill()
        server.start()
        assert count(server) == left


def test_when_all_series_are_over_whole_files_go_at_the_start(tmp_path):
    start = now()
    with configured(tmp_path, "partition_days: 1\nlate_hours: 0\n") as server:
        fill(server, start, 40)
        server.run("admin", "checkpoint")
        assert server.stats()["store.partitions"] >= 40
        server.stop()
        (tmp_path / "hejnal.yaml").write_text("retention_days: 20\nretention:\n  - {filter: bulk/#, days: 10}\n")
        server.start()
        stats = server.stats()
        assert stats["store.partitions"] <= 21 and stats["store.partitions.dropped"] >= 19
        assert len(list((server.directory / "data" / "parts").glob("*.mdb"))) <= 21
        assert count(server) == {"bulk/1/x": 9 * 500, "bulk/2/x": 9 * 500, "kept/x": 19 * 500}


WRONG = [
    ("retention: 30\n", "1:12: retention is a list"),
    ("retention:\n  - filter: a/#\n", "2:5: this rule has no 'days'"),
    ("bind: 127.0.0.1\nretention:\n  - filter: a/#/b\n    days: 1\n", "3:13: filter is 'a/#/b'; it must be an MQTT topic filter"),
    ("retention:\n  - filter: a/#\n    days: 40000\n", "3:11: days is '40000'; it must be a whole number from 0 to 36500"),
    ("retention:\n  - filter: a/#\n    weeks: 1\n", "3:5: unknown word 'weeks'"),
    ("retention:\n" + "".join(f"  - {{filter: a/{i}, days: 1}}\n" for i in range(65)), "66:5: one rule too many"),
]


@pytest.mark.parametrize("text,told", WRONG, ids=[w[1][:20] for w in WRONG])
def test_a_wrong_rule_is_told_where_it_stands(tmp_path, text, told):
    path = tmp_path / "hejnal.yaml"
    path.write_text(text)
    for options in (["--check-config"], ["--data", str(tmp_path / "data")]):
        done = subprocess.run([str(HEJNALD), "-c", str(path), *options], capture_output=True, text=True, timeout=30)
        assert done.returncode == 1 and done.stdout == ""
        assert done.stderr.startswith(f"{path}:{told}") and len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "data").exists()


def test_right_rules_are_said_to_be_right_and_help_shows_them(tmp_path):
    path = tmp_path / "hejnal.yaml"
    path.write_text(RULES)
    done = subprocess.run([str(HEJNALD), "-c", str(path), "--check-config"], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "settings are right\n", "")
    assert "retention:\n    - filter: " in subprocess.run([str(HEJNALD), "--help"], capture_output=True, text=True).stdout


def test_changed_rules_need_a_restart_and_the_log_says_so(tmp_path):
    with configured(tmp_path, RULES) as server:
        (tmp_path / "hejnal.yaml").write_text(RULES.replace("days: 3\n", "days: 4\n"))
        server.process.send_signal(1)
        wait_until(lambda: "needs a restart: retention" in server.log_text())
