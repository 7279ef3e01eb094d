"""A failing or full disk (P8): said with the protocol's code, nothing acknowledged that is not kept, reads
and live messages go on, and it recovers without a restart. Calls fail through libfiu, all of a kind, or through
tests/lib/baddisk.c, chosen ones on chosen files."""

import errno
import os
import random
import shutil
import subprocess
import time

import paho.mqtt.client as paho
import pytest

import baddisk
from baddisk import BadDiskServer, DONE, META, OPEN, READ, SYNC, WRITE
from crash import Raw, publish_packet
from harness import HEJNALD, Server, wait_until

# A sanitizer's runtime wants to come first; what is preloaded before it ends the process.
SANITIZED = any(mark in HEJNALD.read_bytes() for mark in (b"__asan_init", b"__tsan_init"))
FIU = None if SANITIZED else shutil.which("fiu-run")
QUOTA_EXCEEDED, IMPLEMENTATION_ERROR = "RC:151", "RC:131"
needs_shim = pytest.mark.skipif(not baddisk.SHIM.exists(), reason="built with sanitizers")


class Client:
    """Paho, MQTT 5, that keeps what it hears below live/."""

    def __init__(self, port):
        self.client = paho.Client(protocol=paho.MQTTv5)
        self.heard, self.up = [], False
        self.client.on_message = lambda c, u, m: self.heard.append(m.payload.decode())
        self.client.on_subscribe = lambda *a: setattr(self, "up", True)
        self.client.connect("127.0.0.1", port)
        self.client.subscribe("live/#")
        self.client.loop_start()
        wait_until(lambda: self.up)

    def close(self):
        self.client.disconnect()
        self.client.loop_stop()


def publish(server, value, *options, topic="live/x"):
    """Whether the message was acknowledged with success, and what a client that tells all said."""
    done = subprocess.run(["mosquitto_pub", "-p", str(server.mqtt_port), "-V", "mqttv5", "-t", topic, "-s", "-q", "1", "-d",
                           *options], input=str(value), capture_output=True, text=True, timeout=20)
    lines = [line for line in done.stdout.splitlines() if "PUBACK" in line]
    return bool(lines) and "RC:0)" in lines[0], done.stdout


def closes_without_puback(server):
    """What an MQTT 3.1.1 client, which cannot be told a reason, gets."""
    raw = Raw(server.mqtt_port, b"old", clean=True)
    raw.socket.sendall(publish_packet(b"live/x", 7, b"-1"))
    with pytest.raises(ConnectionError):
        raw.packet()
    raw.close()
    return True


def fill_journal(server):
    """More than the 1 MiB that starts a checkpoint, acknowledged."""
    rng = random.Random(1)
    for _ in range(400):
        payload = "[" + ",".join("%.17f" % rng.random() for _ in range(400)) + "]"
        assert publish(server, payload, topic="bulk/x")[0]


def values(server, series="live/x"):
    return [float(v) for _, v in server.points(series).get(series, [])]


def lines_with(server, text):
    return [line for line in server.log_text().splitlines() if text in line]


def fiu(server, command):
    subprocess.run(["fiu-ctrl", "-c", command, str(server.process.pid)], check=True, capture_output=True)


# LMDB writes single pages with pwrite and runs of pages with writev.
@pytest.mark.skipif(FIU is None, reason="no fiu-run, or a sanitizer build")
@pytest.mark.parametrize("points,error,code", [
    (["posix/io/rw/pwrite"], errno.ENOSPC, QUOTA_EXCEEDED),
    (["posix/io/rw/writev", "posix/io/rw/pwrite"], errno.ENOSPC, QUOTA_EXCEEDED),
    (["posix/io/rw/pwrite"], errno.EIO, IMPLEMENTATION_ERROR),
    (["posix/io/sync/fdatasync"], errno.EIO, IMPLEMENTATION_ERROR)])
def test_a_failing_disk_is_said_and_survived(points, error, code):
    with Server("--loops", "1", wrapper=["fiu-run", "-x"]) as server:
        listener = Client(server.mqtt_port)
        assert all(publish(server, i)[0] for i in range(5))
        for point in points:
            fiu(server, f"enable name={point},failinfo={error}")
        for i in range(5, 10):
            ok, said = publish(server, i)
            assert not ok and code in said, said
        assert closes_without_puback(server)
        wait_until(lambda: "9" in listener.heard)  # Live messages go on,
        stats = server.stats()  # what was lost is counted,
        assert stats["ingest.refused.store"] >= 5 and stats["store.commits.failed"] >= 5
        assert set(range(5)) <= set(values(server))  # reads go on,
        assert len(lines_with(server, "writing fails")) == 1  # the log is told once,
        for point in points:
            fiu(server, f"disable name={point}")
        wait_until(lambda: publish(server, 10)[0], every=0.2)  # and it recovers.
        assert len(lines_with(server, "writing works again")) == 1
        assert len([line for line in server.log_text().splitlines() if " warn " in line or " error " in line]) == 2
        server.kill()
        server.start()
        assert {0, 1, 2, 3, 4, 10} <= set(values(server))
        listener.close()


def test_a_full_disk_stops_acknowledgements_not_the_broker():
    """A file size limit stands in for a full disk: every write beyond it fails."""
    server = Server("--loops", "1", wrapper=["bash", "-c", 'trap "" XFSZ; ulimit -f 2048; exec "$@"', "bash"])
    with server:
        payload = "[" + ",".join("0.123456789" for _ in range(400)) + "]"
        listener = Client(server.mqtt_port)
        acked = refused = 0
        for _ in range(2000):
            ok, said = publish(server, payload, topic="bulk/x")
            acked += ok
            refused += not ok
            assert ok or QUOTA_EXCEEDED in said, said
            if refused > 3:
                break
        assert refused > 3 and acked > 0, "the limit was never reached"
        subprocess.run(["mosquitto_pub", "-p", str(server.mqtt_port), "-t", "live/y", "-m", "still here"], check=True)
        wait_until(lambda: "still here" in listener.heard)
        assert len(values(server, "bulk/x/0")) == acked
        server.kill()
        server.wrapper = []
        server.start()
        assert len(values(server, "bulk/x/0")) >= acked
        assert publish(server, 1)[0]
        listener.close()


@needs_shim
@pytest.mark.parametrize("carried_out", [0, DONE])
def test_after_a_failed_meta_page_the_journal_is_opened_again(carried_out):
    """LMDB refuses every transaction after such a failure (MDB_PANIC)."""
    with BadDiskServer("--loops", "1") as server:
        assert publish(server, 1)[0]
        server.on(META | carried_out, "journal.mdb", left=1)
        ok, said = publish(server, 2)
        assert not ok and IMPLEMENTATION_ERROR in said, said
        assert server.off() == 1
        assert publish(server, 3)[0]
        server.on(META, "journal.mdb", errno.ENOSPC, left=1)
        assert not publish(server, 4)[0]
        wait_until(lambda: publish(server, 5)[0])
        server.kill()
        server.start()
        assert {1, 3, 5} <= set(values(server))


def spread(server, numbers):
    """Acknowledged values a day apart, so that each has a partition of its own."""
    for i in numbers:
        payload = '{"ts":%d,"v":%d}' % (1_700_000_000_000 + i * 86_400_000, i)
        assert publish(server, payload, topic="days/x")[0]


def checkpoint(server):
    return server.run("admin", "checkpoint", check=False).returncode == 0


@needs_shim
@pytest.mark.parametrize("path", ["catalog.mdb", "parts", "journal.mdb"])
@pytest.mark.parametrize("kind", [WRITE, META, SYNC, OPEN])
def test_a_fault_in_a_checkpoint_loses_nothing_and_is_tried_again(path, kind):
    """Fail the n-th call, for n = 1, 2, 3 ..., until the checkpoint makes fewer of them."""
    last = 0
    with BadDiskServer("--loops", "1", "--partition-days", "1") as server:
        for skip in range(40):
            numbers = range(last, last + 3)
            last += 3
            spread(server, numbers)
            before = server.stats()
            server.on(kind, path, errno.ENOSPC if skip % 2 else errno.EIO, skip, left=1)
            done = checkpoint(server)
            hits = server.off()
            stats = server.stats()
            assert sorted(values(server, "days/x")) == list(range(last))
            if not done:
                assert hits == 1 and stats["store.checkpoints.failed"] > before["store.checkpoints.failed"]
                assert path == "journal.mdb" or stats["store.journal.bytes"] >= before["store.journal.bytes"]
            wait_until(lambda: checkpoint(server))
            assert server.stats()["store.journal.bytes"] == 0
            assert sorted(values(server, "days/x")) == list(range(last))
            if hits == 0:
                break
        assert hits == 0
        server.kill()
        assert server.run_check().returncode == 0
        server.start()
        assert sorted(values(server, "days/x")) == list(range(last))


@needs_shim
def test_a_long_outage_of_checkpoints_is_said_once():
    with BadDiskServer("--loops", "1", "--journal-mb", "1") as server:
        server.on(META, "parts")
        fill_journal(server)
        wait_until(lambda: server.stats()["store.checkpoints.failed"] >= 1)
        failed = server.stats()["store.checkpoints.failed"]
        time.sleep(1)
        assert server.stats()["store.checkpoints.failed"] - failed <= 1  # It does not spin.
        assert not checkpoint(server) and not checkpoint(server)
        assert len(lines_with(server, "checkpoints fail")) == 1
        server.off()
        assert checkpoint(server)
        assert len(lines_with(server, "works again after: checkpoints fail")) == 1


@needs_shim
@pytest.mark.parametrize("kind,error", [(META | SYNC, errno.EIO), (WRITE, errno.ENOSPC)])
def test_a_journal_that_cannot_be_trimmed_does_not_spin(kind, error):
    with BadDiskServer("--loops", "1") as server:
        fill_journal(server)
        server.kill()
        server.options += ["--journal-mb", "1"]
        server.start()
        for skip in (3, 2, 1, 0):  # Calls that trim, and before them those that confirm.
            before = server.stats()
            server.on(kind, "journal.mdb", error, skip)
            done = checkpoint(server)
            time.sleep(0.2)
            after = server.stats()
            for name in ("store.checkpoints", "store.checkpoints.failed"):
                assert after[name] - before[name] <= 2, (name, before[name], after[name])
            assert not done and server.off() > 0
        server.off()
        wait_until(lambda: publish(server, 1)[0])
        wait_until(lambda: checkpoint(server))
        server.kill()
        server.start()
        assert len(values(server, "bulk/x/0")) == 400


@needs_shim
@pytest.mark.parametrize("kind", [OPEN, READ])
@pytest.mark.parametrize("path", ["journal.mdb", "catalog.mdb"])
def test_a_fault_at_the_start_is_one_clear_complaint(kind, path):
    server = BadDiskServer("--loops", "1", "--partition-days", "1")
    with server:
        spread(server, range(3))
        assert checkpoint(server)
        spread(server, range(3, 5))
        server.kill()
        server.on(kind, path)
        size = len(server.log_text())
        with pytest.raises(AssertionError):
            server.start()
        assert server.process.wait(20) == 1
        said = server.log_text()[size:].splitlines()
        assert any(path in line for line in said) and 1 <= len(said) <= 2, said
        server.off()
        server.start()
        assert values(server, "days/x") == [0, 1, 2, 3, 4]


@needs_shim
@pytest.mark.parametrize("kind", [OPEN, READ])
def test_a_partition_that_cannot_be_opened_at_the_start_steps_aside(kind):
    with BadDiskServer("--loops", "1", "--partition-days", "1") as server:
        spread(server, range(3))
        assert checkpoint(server)
        spread(server, range(3, 5))
        server.kill()
        first = min((server.directory / "data" / "parts").glob("*.act.mdb"))
        server.on(kind, first.name)
        server.start()
        assert server.off() > 0
        assert values(server, "days/x") == [1, 2, 3, 4]
        assert server.stats()["store.partitions.quarantined"] == 1
        assert len(lines_with(server, "its points are missing")) == 1
        spread(server, [0])  # Its period goes on in a new file.
        assert checkpoint(server)
        spread(server, [5])
        server.kill()
        aside = first.with_name(first.name + ".bad")
        aside.rename(first)
        server.start()
        assert values(server, "days/x") == [0, 1, 2, 3, 4, 5]
        assert server.stats()["store.partitions.quarantined"] == 0


@needs_shim
def test_a_start_on_a_full_disk_answers_reads():
    server = BadDiskServer("--loops", "1", "--partition-days", "1")
    with server:
        spread(server, range(3))
        assert checkpoint(server)
        spread(server, range(3, 5))
        server.on(WRITE | META, "", errno.ENOSPC)
        assert not checkpoint(server)  # New partitions stay without tables.
        server.kill()
        server.start()
        assert values(server, "days/x") == [0, 1, 2, 3, 4]
        ok, said = publish(server, 1)
        assert not ok and QUOTA_EXCEEDED in said, said
        server.off()
        assert publish(server, 2)[0]
        wait_until(lambda: checkpoint(server))
        assert values(server, "days/x") == [0, 1, 2, 3, 4]


@needs_shim
def test_a_partition_that_cannot_be_read_is_an_error_not_a_gap():
    with BadDiskServer("--loops", "1", "--partition-days", "1") as server:
        spread(server, range(3))
        assert checkpoint(server)
        server.restart()
        server.on(META, "act.mdb")
        spread(server, range(3))
        assert not checkpoint(server)  # Its environments have to be opened again.
        server.on(READ, "act.mdb")
        done = server.run("export", "days/x", "--from", "2000-01-01", "--to", "2200-01-01", check=False)
        assert done.returncode == 1 and done.stderr, done
        assert publish(server, 1)[0]
        server.off()
        assert values(server, "days/x") == [0, 1, 2]


@needs_shim
def test_a_retained_message_is_acknowledged_as_a_whole():
    """One so long that the message and its points would not go into one batch, and a disk that fails once."""
    acked = 0
    with BadDiskServer("--loops", "1") as server:
        for i in range(12):
            payload = '{"v":%d,"note":"%s"}' % (i, "x" * 300_000)
            server.on(META, "journal.mdb", left=1)
            ok, _ = publish(server, payload, "-r", topic="big/x")
            server.off()
            if ok:
                acked += 1
                server.kill()
                server.start()
                kept = subprocess.run(["mosquitto_sub", "-p", str(server.mqtt_port), "-t", "big/x", "-C", "1", "-W", "5"],
                                      capture_output=True, text=True).stdout
                assert kept.startswith('{"v":%d,' % i), kept[:20]


def mounted(path, megabytes):
    path.mkdir()
    return subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "hejnal-test", str(path)],
                          capture_output=True).returncode == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a file system")
def test_a_file_system_that_fills_up_and_gets_room_again(tmp_path):
    """Really full, to the last block: commits, checkpoints with new partitions, the catalogue and the journal's new file
    find no room. What was acknowledged is answered all the time."""
    disk = tmp_path / "disk"
    if not mounted(disk, 16):
        pytest.skip("no mount here")
    ballast = disk / "ballast"
    acked = set()
    try:
        with Server("--loops", "1", "--partition-days", "1", directory=disk) as server:
            rng = random.Random(1)
            for room in (256, 64, 16, 8, 4, 0, 600):  # KiB left when it gets full.
                for i in range(5):
                    day = rng.randint(0, 60)
                    payload = '{"ts":%d,"v":%d,"more":1}' % (1_700_000_000_000 + day * 86_400_000, day)
                    assert publish(server, payload, topic="days/x")[0]
                    acked.add(day)
                with open(ballast, "wb") as file:
                    free = os.statvfs(disk).f_bavail * os.statvfs(disk).f_bsize
                    os.posix_fallocate(file.fileno(), 0, max(1, free - room * 1024))
                refused = 0
                for i in range(150):
                    day = 100 + rng.randint(0, 60)
                    payload = '{"ts":%d,"v":%d,"more":[%s]}' % (1_700_000_000_000 + day * 86_400_000, day,
                                                              ",".join(["0.1"] * 200))
                    ok, said = publish(server, payload, topic="days/x")
                    refused += not ok
                    if ok:
                        acked.add(day)
                    if i % 25 == 24 or refused == 1:
                        checkpoint(server)
                    if refused > 2:
                        break
                assert acked <= {int(v) for v in values(server, "days/x/v")}
                ballast.unlink()
                wait_until(lambda: publish(server, '{"ts":1600000000000,"v":999,"more":1}', topic="days/x")[0])
                wait_until(lambda: checkpoint(server))
                assert acked <= {int(v) for v in values(server, "days/x/v")}
            server.kill()
            assert server.run_check().returncode == 0
            server.start()
            assert acked <= {int(v) for v in values(server, "days/x/v")}
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)
