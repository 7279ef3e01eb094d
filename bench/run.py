#!/usr/bin/python3
"""Measures hejnald on this machine and prints a table: bench/run.py [--runs 5] [--quick].

MQTT: publish rate at QoS 0 and 1 over 1, 100 and 1,000 connections, 64-byte JSON payloads with a time and a
value, stored and queryable; broker pinned to one core, load to another; Debian's mosquitto (which stores
nothing) in turn with it, run by run, when it is installed. CPU is that of the whole broker process. Then a
trickle, idle connections, the write call, bytes a point on disk and query times. Medians of several runs; ratios are of medians. HEJNAL_SAMPLE_DATA names a directory with
airly_krakow_2017.csv.gz, for bytes a point of real data."""

import argparse
import os
import resource
import shutil
import signal
import socket
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from common import BENCH, CORES, Server, figures, free_port, machine, median, pinned, status_bytes

BROKER_CORE, LOAD_CORE = CORES[0], CORES[-1]
T0 = 1767225600


def run_load(*command):
    done = subprocess.run(pinned(LOAD_CORE, *command), capture_output=True, text=True, timeout=600)
    if done.returncode != 0:
        raise RuntimeError(f"{command}: {done.stderr.strip()}")
    return figures(done.stdout)


class Mosquitto:
    """The peer: Debian's mosquitto, nothing stored, no logging."""

    def __init__(self):
        self.binary = shutil.which("mosquitto", path="/usr/sbin:/usr/bin")

    def __enter__(self):
        self.directory = tempfile.mkdtemp(prefix="hejnal-bench-")
        self.mqtt_port = free_port()
        config = Path(self.directory) / "mosquitto.conf"
        config.write_text(f"listener {self.mqtt_port} 127.0.0.1\nallow_anonymous true\nlog_type none\n")
        self.process = subprocess.Popen(pinned(BROKER_CORE, self.binary, "-c", config),
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(0.5)
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        shutil.rmtree(self.directory)


def cpu_seconds(process):
    fields = Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def stored_points(server):
    return int(server.stats()["store.points.written"])


def mqtt_once(broker, qos, connections, messages, *options):
    """Figures of the load, and the broker's CPU microseconds a message."""
    before = cpu_seconds(broker.process)
    result = run_load(BENCH / "mqtt_load", "--port", broker.mqtt_port, "--qos", qos, "--connections", connections,
                      "--messages", messages, "--window", "256", *options)
    result["cpu_us"] = (cpu_seconds(broker.process) - before) / result["messages"] * 1e6
    return result


def ours_once(*load):
    with Server("--loops", "1", wrapper=pinned(BROKER_CORE)) as server:
        result = mqtt_once(server, *load)
        assert stored_points(server) == result["messages"], "not all messages were stored"
        return result


def compare(runs, load, peer_load):
    """Both brokers in turn: two lists of figures."""
    ours, theirs, peer = [], [], Mosquitto()
    for _ in range(runs):
        ours.append(ours_once(*load))
        if peer.binary:
            with peer:
                theirs.append(mqtt_once(peer, *peer_load))
    return ours, theirs


def bench_mqtt(runs, messages):
    print("\nMQTT publish, messages/s (hejnald: stored; at QoS 1 acknowledged after fsync; mosquitto: nothing stored)")
    print(f"{'QoS':>3} {'connections':>11} {'hejnald':>11} {'mosquitto':>11} {'ratio':>6} {'CPU us':>7} {'theirs':>7} "
          f"{'ack p50 ms':>11} {'ack p99 ms':>11}")
    for qos in (0, 1):
        for connections in (1, 100, 1000):
            ours, theirs = compare(runs, (qos, connections, messages), (qos, connections, messages // 4))
            mine, other = median(ours, "rate"), median(theirs, "rate")
            acks = [f"{median(ours, name) / 1000:11.2f}" if qos else f"{'-':>11}" for name in ("ack_us_p50", "ack_us_p99")]
            print(f"{qos:>3} {connections:>11} {mine:>11,.0f} {other:>11,.0f} {mine / other:>6.1f} "
                  f"{median(ours, 'cpu_us'):>7.2f} {median(theirs, 'cpu_us'):>7.2f} {' '.join(acks)}", flush=True)


def bench_trickle(runs, messages):
    print("\nA trickle: 1,000 clients, 10,000 messages/s in all, QoS 1")
    print(f"{'broker':<10} {'CPU us/message':>14} {'ack p50 ms':>11} {'ack p99 ms':>11}")
    load = (1, 1000, messages, "--rate", 10000)
    for name, results in zip(("hejnald", "mosquitto"), compare(runs, load, load)):
        if results:
            print(f"{name:<10} {median(results, 'cpu_us'):>14.2f} {median(results, 'ack_us_p50') / 1000:>11.2f} "
                  f"{median(results, 'ack_us_p99') / 1000:>11.2f}", flush=True)


def open_clients(port, first, count):
    clients = []
    for i in range(first, first + count):
        name = f"idle-{i:06d}".encode()
        client = socket.create_connection(("127.0.0.1", port))
        client.sendall(b"\x10" + bytes([12 + len(name)]) + b"\0\4MQTT\4\2\0\0\0" + bytes([len(name)]) + name)
        assert client.recv(4) == b"\x20\2\0\0"
        clients.append(client)
    return clients


def idle_bytes(broker, count):
    clients = open_clients(broker.mqtt_port, 0, 100)
    time.sleep(1.5)
    before = status_bytes(broker.process, "VmRSS")
    clients += open_clients(broker.mqtt_port, 100, count)
    time.sleep(1.5)
    return (status_bytes(broker.process, "VmRSS") - before) / count


def bench_idle(count):
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    count = min(count, most - 1000)
    with Server("--loops", "1") as server:
        print(f"\nIdle connections, {count:,}: hejnald {idle_bytes(server, count):,.0f} bytes each", end="")
    peer = Mosquitto()
    if peer.binary:
        with peer:
            print(f", mosquitto {idle_bytes(peer, count):,.0f}", end="")
    print(" (resident memory of the process)", flush=True)


def disk_text(server, points):
    """Bytes a point: what stays, and with the journal, whose file keeps the size it once had."""
    files = [f for f in (server.directory / "data").rglob("*") if f.is_file()]
    total = sum(f.stat().st_blocks * 512 for f in files)
    journal = sum(f.stat().st_blocks * 512 for f in files if f.name.startswith("journal.mdb"))
    return (f"{(total - journal) / points:.2f} bytes/point in partitions and catalogue, "
            f"{total / points:.2f} with the journal's file ({journal / 2**20:.0f} MiB)")


def bench_write(runs, series, points, name):
    rates = []
    for run in range(runs):
        with Server("--loops", "1") as server:
            result = run_load(BENCH / "write_load", "127.0.0.1", server.query_port, series, points)
            rates.append(result["rate"])
            if run + 1 < runs:
                continue
            server.run("admin", "checkpoint")
            print(f"\nWrite call, {name}: {series:,} series x {points:,} points, durable: "
                  f"{statistics.median(rates):,.0f} points/s; after a checkpoint {disk_text(server, series * points)}")
            bench_queries(server, series, points)


def bench_queries(server, series, points):
    end = T0 + points * 10
    one = "bench/site-000/sensor-00003"
    rows = [("last value of one series", 200, ["last", one]),
            ("last value of all series", 10, ["last", "bench/#"]),
            ("one series, one day, raw", 100, ["raw", one, T0, T0 + 86400]),
            ("one series, mean per 5 min over all", 100, ["mean", one, T0, end, 300]),
            ("100 series, max per hour", 10, ["max", "bench/site-000/#", T0, end, 3600]),
            ("all series, mean per day", 3, ["mean", "bench/#", T0, end, 86400])]
    print(f"{'query':<40} {'rows':>9} {'p50 ms':>9} {'p99 ms':>9}")
    for name, runs, arguments in rows:
        result = run_load(BENCH / "query_load", "127.0.0.1", server.query_port, runs, *arguments)
        print(f"{name:<40} {int(result['rows']):>9,} {result['p50_ms']:>9.3f} {result['p99_ms']:>9.3f}", flush=True)


def bench_file(path, name):
    """Bytes a point of a real file, replayed over MQTT."""
    with Server("--loops", "1") as server:
        done = server.run("replay", path, "--topic", "air/%1", "--split", "_", "--connections", "4", timeout=900)
        server.run("admin", "checkpoint")
        points = stored_points(server)
        print(f"\n{name}: {points:,} points; {disk_text(server, points)}; replay: "
              f"{done.stderr.strip().splitlines()[-1]}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="one short run of each")
    parser.add_argument("--only", choices=["mqtt", "trickle", "idle", "write", "file"])
    arguments = parser.parse_args()
    runs = 1 if arguments.quick else arguments.runs
    messages = 400_000 if arguments.quick else 2_000_000
    machine()
    if arguments.only in (None, "mqtt"):
        bench_mqtt(runs, messages)
    if arguments.only in (None, "trickle"):
        bench_trickle(runs, 20_000 if arguments.quick else 80_000)
    if arguments.only in (None, "idle"):
        bench_idle(1000 if arguments.quick else 10_000)
    if arguments.only in (None, "write"):
        scale = 10 if arguments.quick else 1
        bench_write(runs, 1000, 10000 // scale, "A")
        bench_write(runs, 100000 // scale, 100, "B")
    sample = Path(os.environ.get("HEJNAL_SAMPLE_DATA", "")) / "airly_krakow_2017.csv.gz"
    if arguments.only in (None, "file") and sample.exists():
        bench_file(sample, "Kraków air, 2017")


if __name__ == "__main__":
    main()
