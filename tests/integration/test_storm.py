"""Everything at once in one daemon: messages with texts, sealing, checkpoints, snapshots, deletes, exports, buckets and last values.
Nothing acknowledged is lost (P1 to P5); with the thread sanitizer, no two threads meet."""

import random
import threading
import time

from crash import Deletes, Publisher, Verdict, verify
from harness import Server

SECONDS = 8
WINDOW = ("--from", "2023-11-01", "--to", "2026-01-01")


def again_and_again(stopping, failures, work):
    """A thread that does it until all are to stop."""
    def run():
        while not stopping.is_set():
            try:
                work()
            except Exception as failure:  # noqa: BLE001 - told by the one who waits.
                failures.append(failure)
                return
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread


def test_all_kinds_of_work_at_once_lose_nothing(tmp_path):
    rng = random.Random(1)
    stopping, failures = threading.Event(), []
    with Server("--loops", "2", "--partition-days", "1", "--store-text", "on") as server:
        publishers = [Publisher(server, i, 50, 60_000, 0.002, texts=True) for i in range(3)]
        deletes = Deletes(server, publishers, rng)
        for p in publishers:
            p.start()
        works = [
            lambda: server.run("admin", rng.choice(["checkpoint", "seal"]), check=False),  # Busy beside a snapshot.
            lambda: server.run("backup", tmp_path / "copy", check=False),
            lambda: (deletes.begin(), time.sleep(0.2)),
            lambda: server.points("crash/0/#"),
            lambda: server.run("query", "crash/+/v", *WINDOW, "--every", "1d", "--agg", "mean,max,p95,count"),
            lambda: server.run("query", "crash/+/v", *WINDOW, "--every", "1h", "--agg", "last,twa", "--group-by", "$2"),
            lambda: server.run("query", "crash/#", *WINDOW, "--as-known-at", "now"),
            lambda: (server.run("last", "#"), server.run("series", "#", "--tags"), server.stats()),
            lambda: server.run("tag", "crash/+/v", f"site={rng.randrange(9)}"),
        ]
        threads = [again_and_again(stopping, failures, work) for work in works]
        time.sleep(SECONDS)
        stopping.set()
        for t in threads:
            t.join(60)
        for p in publishers:
            p.stopping = True
        for p in publishers:
            p.join(30)
        assert not failures, failures[0]
        assert verify(server, publishers, deletes) == Verdict()
        acked = sum(len(p.acked) for p in publishers)
        assert acked > 300 and deletes.count > 0 and (tmp_path / "copy" / "catalog.mdb").exists()
        server.check()
        assert verify(server, publishers, deletes) == Verdict()
