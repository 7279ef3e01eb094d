#!/usr/bin/python3
"""Cut the power of hejnald at random calls to the disk, undo what was not synced, start again, compare what was
acknowledged with what is stored, numbers, texts and deletes: `tests/integration/powercut.py --cuts 300 [--seed N]`. 0 lost, or exit 1.

The preloaded tests/lib/powercut.c logs every change below the data directory together with the bytes that were
there before. After a cut each 512-byte sector that no sync followed holds one of the versions it had since the
last sync (or all go back to the oldest), file sizes likewise, and names not followed by an fsync of their
directory may be gone. A plain kill -9, after which nothing is lost yet, may come between start and cut: what
the next process finds in the page cache is not on the disk for that."""

import argparse
import os
import random
import shutil
import struct
import sys
import tempfile
import threading
import time
from pathlib import Path

from crash import Deletes, Publisher, Raw, Verdict, publish_packet, verify
from harness import BUILD, Server

SHIM = BUILD / "tests" / "libpowercut.so"
WRITE, SYNC, DONE, MAKE, RENAME, DIRSYNC = 1, 2, 3, 4, 5, 6
RECORD = struct.Struct("<IIQQQQQQ")
SECTOR = 512


def read_log(path):
    """(position in the log, fields, path, old bytes) of each whole record."""
    raw = path.read_bytes() if path.exists() else b""
    at = 0
    while at + RECORD.size <= len(raw):
        fields = RECORD.unpack_from(raw, at)
        end = at + RECORD.size + fields[1] + fields[5]
        if end > len(raw):
            return
        name = raw[at + RECORD.size:at + RECORD.size + fields[1]]
        yield at, fields, name.decode(), raw[at + RECORD.size + fields[1]:end]
        at = end


def drop_torn_record(path):
    """A kill may cut the last record short; what the next process logs must not be taken for its end."""
    end = 0
    for at, fields, _, _ in read_log(path):
        end = at + RECORD.size + fields[1] + fields[5]
    if path.exists():
        os.truncate(path, end)


class Disk:
    """What was written to the files of one directory, and which of it is certain."""

    def __init__(self, log):
        self.log = log
        self.writes, self.names = {}, []  # Not certain: by inode; in order.
        for at, (kind, _, file, offset, new, _, size, upto), name, old in read_log(log):
            if kind == WRITE:
                self.writes.setdefault(file, []).append((at, name, offset, new, size, old))
            elif kind == SYNC:
                self.writes[file] = [w for w in self.writes.get(file, []) if w[0] >= upto]
            elif kind == DONE:
                self.writes[file] = [w for w in self.writes.get(file, []) if w[0] != upto]
            elif kind in (MAKE, RENAME):
                self.names.append((at, kind, name))
            elif kind == DIRSYNC:
                self.names = [n for n in self.names if n[0] >= upto or self.directory(n) != name]

    @staticmethod
    def directory(entry):
        return str(Path(entry[2].split("\0")[-1]).parent)

    def cut(self, root, rng, undo_all):
        """Change the files below `root` to what a power cut may leave. Returns sectors gone."""
        kept = 0 if undo_all else rng.randint(0, len(self.names))
        for at, kind, name in reversed(self.names[kept:]):  # File systems keep these in order.
            if kind == RENAME:
                source, target = name.split("\0")
                if os.path.exists(target):
                    os.rename(target, source)
                if os.path.exists(f"{self.log}.{at}"):
                    os.rename(f"{self.log}.{at}", target)
            elif os.path.isdir(name):
                shutil.rmtree(name)
            elif os.path.exists(name):
                os.unlink(name)
        inodes = {p.stat().st_ino: p for p in root.rglob("*") if p.is_file()}
        gone = sum(self.cut_file(inodes[file], writes, rng, undo_all)
                   for file, writes in self.writes.items() if file in inodes)
        for lock in root.rglob("*-lock"):
            lock.unlink()
        return gone

    @staticmethod
    def cut_file(path, writes, rng, undo_all):
        if not writes:
            return 0
        gone, now = 0, path.read_bytes()
        versions = {}  # Of each sector, oldest first.
        for _, _, offset, new, _, old in writes:
            for sector in range(offset // SECTOR, (offset + new + SECTOR - 1) // SECTOR):
                start, end = max(sector * SECTOR, offset), min((sector + 1) * SECTOR, offset + new)
                piece = old[start - offset:end - offset].ljust(end - start, b"\0")
                versions.setdefault(sector, []).append((start, piece))
        image = bytearray(now)
        for sector, pieces in versions.items():
            keep = 0 if undo_all else rng.randint(0, len(pieces))
            gone += keep < len(pieces)
            for start, piece in reversed(pieces[keep:]):
                if start + len(piece) <= len(image):
                    image[start:start + len(piece)] = piece
        sizes = [w[4] for w in writes]
        size = sizes[0] if undo_all else rng.choice([*sizes, len(now)])
        path.write_bytes(bytes(image[:size]))
        return gone


class World:
    """A server behind the shim, its publishers, and the power."""

    def __init__(self, seed, options):
        self.rng = random.Random(seed)
        self.work = Path(tempfile.mkdtemp(prefix="hejnal-powercut-"))
        self.log = self.work / "log"
        self.server = Server(*options, directory=self.work)
        self.data = self.work / "data"
        self.publishers, self.deletes = [], None
        self.kills = self.sectors = 0

    def start(self, kill_at=0):
        """False: the power went before it was ready."""
        drop_torn_record(self.log)
        self.server.env.update(LD_PRELOAD=str(SHIM), POWERCUT_DIRECTORY=str(self.data), POWERCUT_LOG=str(self.log),
                               POWERCUT_AT=str(kill_at))
        try:
            self.server.start()
        except AssertionError:
            if self.server.process.wait(30) != -9:
                raise
            self.server.process.stdout.close()
            return False
        finally:
            del self.server.env["LD_PRELOAD"]  # Not for the command line.
        return True

    def checkpoint(self):
        what = self.rng.choice(["checkpoint", "seal"])
        threading.Thread(target=lambda: self.server.run("admin", what, check=False), daemon=True).start()

    def run_until_dead(self, seconds):
        """Let it work; the shim or the time ends it."""
        end = time.monotonic() + seconds
        if self.deletes and self.rng.random() < 0.2:
            self.deletes.begin()
        asked = self.rng.uniform(0, seconds) if self.rng.random() < 0.7 else seconds
        start = time.monotonic()
        while time.monotonic() < end and self.server.alive():
            if time.monotonic() - start > asked:
                asked = seconds
                self.checkpoint()
            time.sleep(0.005)
        self.server.kill()

    def lose_power(self, undo_all=False):
        before = self.work / "before"
        shutil.rmtree(before, ignore_errors=True)
        shutil.copytree(self.data, before)  # For the one who has to find out.
        shutil.copy(self.log, self.work / "log.before")
        self.sectors += Disk(self.log).cut(self.data, self.rng, undo_all or self.rng.random() < 0.3)
        for log in self.work.glob("log*"):
            if log.name != "log.before":
                log.unlink()

    def one_round(self):
        """Start, work, die; now and then die of kill -9 first, which loses nothing."""
        for _ in range(self.rng.choice([0, 0, 1, 2])):
            if self.start(self.rng.choice([0, self.rng.randint(1, 60)])):
                self.run_until_dead(self.rng.uniform(0.02, 0.2))
            self.kills += 1
        if self.start(self.rng.choice([self.rng.randint(1, 40), self.rng.randint(1, 400)])):
            self.run_until_dead(self.rng.uniform(0.05, 0.6))
        self.lose_power()


def numbered(cuts, seed, quiet=True, options=("--loops", "1", "--partition-days", "1", "--store-text", "on")):
    world = World(seed, options)
    world.data.parent.mkdir(exist_ok=True)
    while not world.start(world.rng.randint(0, 40) if world.kills < 8 else 0):  # The first start, too.
        world.kills += 1
        world.lose_power()
    world.publishers = [Publisher(world.server, i, 20, 600_000, 0.002, texts=True) for i in range(2)]
    world.deletes = Deletes(world.server, world.publishers, world.rng)
    for p in world.publishers:
        p.start()
    world.run_until_dead(0.3)
    world.lose_power()
    for cut in range(cuts):
        world.one_round()
        if cut % 10 == 9 or cut == cuts - 1:
            assert world.start()
            verdict = verify(world.server, world.publishers, world.deletes)
            world.run_until_dead(0)
            acked = sum(len(p.acked) for p in world.publishers)
            if not quiet:
                print(f"{cut + 1} cuts, {world.kills} kills before them, {world.sectors} sectors went back, "
                      f"{acked} and {world.deletes.count} deletes acknowledged", file=sys.stderr)
            assert verdict == Verdict(), (verdict, str(world.work))
    assert world.start()
    for p in world.publishers:
        p.stopping = True
    for p in world.publishers:
        p.join(30)
    result = verify(world.server, world.publishers, world.deletes)
    acked = sum(len(p.acked) for p in world.publishers)
    world.server.stop()
    assert acked > 0 and result == Verdict(), (result, str(world.work))
    print(f"{cuts} cuts, {world.kills} kills before them, {world.sectors} sectors went back, {acked} messages and "
          f"{world.deletes.count} deletes acknowledged: 0 lost, 0 duplicates, 0 deleted and seen again")
    shutil.rmtree(world.work)


def publish_acked(world, client, packets):
    raw = Raw(world.server.mqtt_port, client)
    for i, (topic, payload) in enumerate(packets):
        raw.socket.sendall(publish_packet(topic, i + 1, payload))
    acked = set()
    while len(acked) < len(packets):
        acked.update(raw.pubacks())


def cut_packet(i):
    return b"cut/x", b'{"ts":%d,"v":%d}' % (1_700_000_000_000 + i * 3_600_000, i)


def bulk_packet(rng):
    """Some of these, and the journal's file is worth making small again."""
    return b"cut/bulk", b"[" + b",".join(b"%.17f" % rng.random() for _ in range(200)) + b"]"


def killed_then_cut(command, every=1, calls_max=400):
    """Kill at the n-th call of a run that checkpoints or seals, for n = 1, 2, 3 ... (each `every`-th), start again, do
    it again, write on, then cut the power. What the killed process had written but not synced must not count as stored."""
    n = died = 0
    lost = set()
    while died == n // every and n < calls_max:
        n += every
        world = World(n, ("--loops", "1", "--partition-days", "1"))
        world.start()
        publish_acked(world, b"before", [cut_packet(i) for i in range(50)] + [bulk_packet(world.rng) for _ in range(50)])
        world.server.kill()
        if world.start(n):
            if world.server.run("admin", command, check=False).returncode != 0:
                world.server.process.wait(30)
            died += not world.server.alive()
            world.server.kill()
        else:
            died += 1
        world.start()
        world.server.run("admin", command)
        assert (world.data / "journal.mdb").stat().st_size < 100_000
        publish_acked(world, b"after", [cut_packet(i) for i in range(50, 60)])
        world.server.kill()
        world.lose_power(undo_all=True)
        world.start()
        found = {int(v) for _, v in world.server.points("cut/x").get("cut/x", [])}
        if not set(range(60)) <= found or len(world.server.points("cut/bulk/0")["cut/bulk/0"]) != 50:
            lost.add(n)
        world.server.kill()
        shutil.rmtree(world.work)
    print(f"killed at {died} calls up to {n}, each time a {command} and a power cut later: lost at {sorted(lost)}")
    assert died > 5 and not lost


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cuts", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    numbered(arguments.cuts, arguments.seed, quiet=False)
    killed_then_cut("checkpoint")
    killed_then_cut("seal")
