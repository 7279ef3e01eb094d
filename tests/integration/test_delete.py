"""Deletes through the command line and real sockets: what was acknowledged is gone, at once and for good, also after kill -9, and
what came later stays."""

import random
import subprocess
from datetime import datetime

import pytest

from harness import HEJNAL, Server

S = 10**9
T0 = 1767225600 * S  # 2026-01-01T00:00:00Z


def write(server, rows):
    """rows: (path, time in s after T0, value)."""
    lines = ["series,time,value"] + [f"{path},{T0 + at * S},{value}" for path, at, value in rows]
    server.run("import", "-", stdin="\n".join(lines) + "\n")


def delete(server, series_filter, *window, check=True):
    arguments = [series_filter]
    for name, at in zip(("--from", "--to"), window):
        arguments += [name, T0 + at * S] if at is not None else []
    return server.run("delete", *arguments, "--yes", check=check)


def seen(server):
    return {path: [(t - T0) // S for t, _ in points] for path, points in server.points("#").items()}


def newest(server):
    lines = server.run("last", "#", "--format", "csv").stdout.splitlines()[1:]
    rows = (line.split(",") for line in lines)
    return {path: int(datetime.fromisoformat(t.replace("Z", "+00:00")).timestamp()) - T0 // S for path, t, *_ in rows}


ROWS = [(path, at, at) for path in ("a/x", "a/y", "b/x") for at in range(0, 100, 10)]
LEFT = {"a/x": [0, 10, 60, 70, 80, 90], "a/y": [0, 10, 60, 70, 80, 90], "b/x": list(range(0, 100, 10))}


@pytest.mark.parametrize("before", [[], ["checkpoint"], ["seal"]])
@pytest.mark.parametrize("after", [[], ["checkpoint"], ["seal"]])
def test_a_window_goes_and_what_comes_later_stays(before, after):
    with Server() as server:
        write(server, ROWS)
        for what in before:
            server.run("admin", what)
        assert delete(server, "a/#", 20, 60).stdout == "2 series\n"
        assert seen(server) == LEFT
        write(server, [("a/x", 30, 7)])
        later = {**LEFT, "a/x": [0, 10, 30, 60, 70, 80, 90]}
        assert seen(server) == later
        for what in after:
            server.run("admin", what)
        assert seen(server) == later
        server.check()
        assert seen(server) == later


@pytest.mark.parametrize("before", [[], ["checkpoint"], ["seal"]])
def test_an_acknowledged_delete_outlives_a_kill(before):
    with Server() as server:
        write(server, ROWS)
        for what in before:
            server.run("admin", what)
        delete(server, "a/#", 20, 60)
        server.kill()
        assert server.run_check().returncode == 0
        server.start()
        assert seen(server) == LEFT
        server.run("admin", "seal")
        assert seen(server) == LEFT
        server.kill()
        server.start()
        assert seen(server) == LEFT


def test_the_newest_value_left_is_found_again():
    with Server() as server:
        write(server, ROWS)
        server.run("admin", "checkpoint")
        delete(server, "a/x", 50)
        delete(server, "a/y")
        wanted = {"a/x": 40, "b/x": 90}
        assert newest(server) == wanted
        server.kill()
        server.start()
        assert newest(server) == wanted
        write(server, [("a/x", 45, 1), ("a/y", 3, 1)])
        assert newest(server) == {**wanted, "a/x": 45, "a/y": 3}


def test_aggregates_and_counts_leave_it_out():
    with Server() as server:
        write(server, ROWS)
        server.run("admin", "seal")
        delete(server, "a/x", 20, 60)
        text = server.run("query", "a/x", "--from", "2026-01-01", "--to", "2026-01-02", "--every", "1d", "--agg", "count,sum",
                          "--format", "csv").stdout.splitlines()
        assert text[1].split(",")[-2:] == ["6", "310"]


def test_sealing_takes_the_bytes_and_the_tomb():
    rng = random.Random(1)
    with Server() as server:
        write(server, [("big/x", at, rng.randrange(10**9)) for at in range(20000)] + ROWS)
        server.run("admin", "seal")
        parts = server.directory / "data" / "parts"
        before = sum(f.stat().st_size for f in parts.iterdir())
        delete(server, "big/x")
        assert server.stats()["store.deletes.waiting"] == 1
        server.run("admin", "seal")
        assert sum(f.stat().st_size for f in parts.iterdir()) < before / 2
        assert server.stats()["store.deletes.waiting"] == 0
        assert seen(server) == {path: list(range(0, 100, 10)) for path in ("a/x", "a/y", "b/x")}
        server.check()


def test_a_person_is_told_what_is_wrong():
    with Server() as server:
        done = server.run("delete", "a/#", check=False)
        assert done.returncode == 2 and "say --yes" in done.stderr
        done = server.run("delete", "a/#/b", "--yes", check=False)
        assert done.returncode == 1 and len(done.stderr.splitlines()) == 1
        done = server.run("delete", "a", "--from", "2026-01-02", "--to", "2026-01-01", "--yes", check=False)
        assert done.returncode == 2 and "--from" in done.stderr
        assert delete(server, "no/such").stdout == "0 series\n"


def test_a_terminal_is_asked():
    with Server() as server:
        write(server, ROWS)
        command = f"{HEJNAL} delete 'a/#' --server 127.0.0.1:{server.query_port}"
        for answer, gone in (("n", False), ("y", True)):
            asked = subprocess.run(["script", "-qec", command, "/dev/null"], input=answer + "\n", capture_output=True, text=True)
            assert "of 2 series" in asked.stdout
            assert ("a/x" not in seen(server)) == gone
