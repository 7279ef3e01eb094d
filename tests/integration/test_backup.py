"""`hejnal backup` of a running server: a store that opens, holds what was acknowledged before, and costs only what is new."""

import os
import shutil
import threading

from crash import Publisher, verify
from harness import Server

DAY_S = 86400
T0 = 1_700_006_400  # A midnight.


def fill(server, days, start=T0):
    rows = "".join(f"b/{s},{start + d * DAY_S + i * 600},{s * 100 + i}\n"
                   for d in days for s in range(5) for i in range(144))
    server.run("import", "-", stdin="series,time,value\n" + rows)


def open_copy(directory, target):
    """Another hejnald on the backup itself, so that it is known to be a store."""
    copy = Server("--partition-days", "1", directory=directory)
    copy.directory.mkdir(exist_ok=True)
    os.rename(target, copy.directory / "data")
    return copy


def test_a_backup_is_a_store_and_the_second_copies_only_what_is_new(tmp_path):
    target = tmp_path / "backup"
    with Server("--partition-days", "1", "--loops", "2") as server:
        fill(server, range(20))
        server.run("admin", "seal")
        fill(server, [30])
        first = server.run("backup", target).stdout
        assert "linked" in first and server.run("backup", target, "--no-check").returncode == 0
        fill(server, [31])
        server.run("backup", target)
        assert not (server.directory / "data" / "snapshots").exists() or \
            not list((server.directory / "data" / "snapshots").iterdir())
        sealed = next((target / "parts").glob("*.seal.mdb"))
        assert sealed.stat().st_nlink >= 2
        export = server.points("#")
        fill(server, [32])  # After the backup: not in it.
        server.run("admin", "seal")  # What was linked goes; the backup keeps it.
        with open_copy(tmp_path / "copy", target) as copy:
            assert copy.points("#") == export
            copy.check()


def test_backups_link_from_an_earlier_one(tmp_path):
    with Server("--partition-days", "1") as server:
        fill(server, range(3))
        server.run("admin", "seal")
        server.run("backup", tmp_path / "monday")
        server.run("backup", tmp_path / "tuesday", "--link-from", tmp_path / "monday")
        [a], [b] = ([*(tmp_path / day / "parts").glob("*.seal.mdb")] for day in ("monday", "tuesday"))
        assert a.stat().st_ino == b.stat().st_ino


def test_a_backup_under_load_holds_all_that_was_acknowledged_before(tmp_path):
    with Server("--loops", "2", "--partition-days", "1") as server:
        publishers = [Publisher(server, i, 50, 60_000, 0.001) for i in range(3)]
        for p in publishers:
            p.start()
        sealing = threading.Thread(target=lambda: server.run("admin", "seal"))
        sealing.start()
        for i in range(3):
            before = [p.acked.copy() for p in publishers]
            server.run("backup", tmp_path / f"b{i}")
        sealing.join()
        for p in publishers:
            p.stopping = True
        for p in publishers:
            p.join(30)
        for p, acked in zip(publishers, before):
            p.acked = acked
        with open_copy(tmp_path / "copy", tmp_path / "b2") as copy:
            lost, duplicates, wrong, _ = verify(copy, publishers)
            assert (lost, duplicates, wrong) == (0, 0, 0)


def test_wrong_places_are_told_in_one_line(tmp_path):
    with Server() as server:
        fill(server, [0])
        (tmp_path / "mine").mkdir()
        (tmp_path / "mine" / "thesis.txt").write_text("x")
        done = server.run("backup", tmp_path / "mine", check=False)
        assert done.returncode == 1 and "no backup" in done.stderr and done.stderr.count("\n") == 1
        assert (tmp_path / "mine" / "thesis.txt").exists()
        done = server.run("backup", tmp_path / "absent" / "b", check=False)
        assert done.returncode == 1 and done.stderr.count("\n") == 1
        assert server.run("backup", check=False).returncode == 2
        assert not list((server.directory / "data" / "snapshots").iterdir())


def test_a_partition_put_back_too_late_steps_aside_and_its_points_can_be_imported(tmp_path):
    rows = "".join(f"k/a,2026-01-05T00:00:{i:02}Z,{i}\n" for i in range(60))
    with Server("--partition-days", "1") as server:
        parts = server.directory / "data" / "parts"
        server.run("import", "-", stdin="series,time,value\n" + rows)
        server.run("admin", "seal")
        (sealed,) = parts.glob("*.seal.mdb")
        server.stop()
        sound = tmp_path / sealed.name
        shutil.copy(sealed, sound)
        sealed.write_bytes(sealed.read_bytes()[:5000])
        server.start()
        assert server.points("#") == {}
        server.run("import", "-", stdin="series,time,value\nk/a,2026-01-05T12:00:00Z,7\n")
        server.run("admin", "seal")
        server.stop()
        (parts / (sealed.name + ".bad")).unlink()
        shutil.copy(sound, sealed)
        server.start()
        assert "partition was put back too late" in server.log_text()
        assert server.stats()["store.partitions.quarantined"] == 1
        assert len(server.points("k/a")["k/a"]) == 1
        server.stop()
        data, old = server.directory / "data", tmp_path / "old"
        (old / "parts").mkdir(parents=True)
        for name in ("catalog.mdb", "journal.mdb"):
            shutil.copy(data / name, old / name)
        shutil.copy(parts / (sealed.name + ".bad"), old / "parts" / sealed.name)
        server.start()
        (tmp_path / "other").mkdir()
        old.rename(tmp_path / "other" / "data")
        with Server(directory=tmp_path / "other") as other:
            other.run("export", "#", "-o", tmp_path / "old.csv")
        server.run("import", tmp_path / "old.csv")
        assert len(server.points("k/a")["k/a"]) == 61
        server.check()
