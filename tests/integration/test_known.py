"""`--as-known-at`: what was known then, with the values it had, whatever was corrected, checkpointed, sealed or replayed since."""

import time

from harness import Server

S = 10**9
SERIES = "krakow/water/bielany/level"


def known(server, at, *args):
    rows = server.points(SERIES, "--as-known-at", str(at), *args).get(SERIES, [])
    return [(t // S, float(v)) for t, v in rows]


def pub(server, when, value):
    server.run("pub", SERIES, value, "--at", str(when), "--qos", "1")


def history(server, t):
    """Publishes, and says what is known when: [(unix seconds, points known then)]."""
    marks = []

    def mark(points):
        time.sleep(1.1)  # Arrivals are kept to the second, rounded up.
        marks.append((int(time.time()), points))
        time.sleep(1.1)

    pub(server, t, 210)
    pub(server, t - 7200, 180)  # Late by two hours.
    mark([(t - 7200, 180), (t, 210)])
    pub(server, t, 212)  # Corrected at once.
    mark([(t - 7200, 180), (t, 212)])
    pub(server, t - 7200, 181)
    pub(server, t - 3600, 195)
    pub(server, t, 212)  # Again the same: nothing new.
    mark([(t - 7200, 181), (t - 3600, 195), (t, 212)])
    return marks


def check(server, marks, t):
    for at, points in marks:
        assert known(server, at) == points, (at, points)
    assert known(server, t - 60) == []
    buckets = server.run("query", SERIES, "--from", str(t - 86400), "--to", str(t + 1), "--every", "2d", "--agg", "count,max",
                         "--as-known-at", str(marks[0][0]), "--format", "csv").stdout.splitlines()[1:]
    assert sum(int(float(line.split(",")[2])) for line in buckets) == 2


def test_what_was_known_then_is_told_after_checkpoint_seal_and_crash():
    with Server("--partition-days", "1") as server:
        t = int(time.time())
        marks = history(server, t)
        check(server, marks, t)
        server.kill()
        server.start()  # From the journal.
        check(server, marks, t)
        server.run("admin", "checkpoint")
        check(server, marks, t)
        pub(server, t - 7200, 182)
        server.run("admin", "seal")
        check(server, marks, t)
        assert known(server, int(time.time()) + 2)[0] == (t - 7200, 182)
        server.restart()
        pub(server, t - 7200, 183)
        server.run("admin", "seal")  # Once more, over a sealed one.
        check(server, marks, t)
        server.check()
        check(server, marks, t)
