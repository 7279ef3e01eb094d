#!/usr/bin/python3
"""Measures hejnald on this machine and prints a table: bench/run.py [--runs 5] [--quick].

MQTT: publish rate at QoS 0 and 1 over 1, 100 and 1,000 connections, 64-byte JSON payloads with a time and a
value, stored and queryable; broker pinned to one core, load to another; Debian's mosquitto (which stores
nothing) in turn with it, run by run, when it is installed. Then the write call, bytes a point on disk and
query times. Medians of several runs; ratios are of medians. HEJNAL_SAMPLE_DATA names a directory with
airly_krakow_2017.csv.gz, for bytes a point of real data."""

import argparse
import os
import platform
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "integration"))
from harness import BUILD, Server, free_port  # noqa: E402

BENCH = BUILD / "bench"
CORES = sorted(os.sched_getaffinity(0))
BROKER_CORE, LOAD_CORE = CORES[0], CORES[-1]
T0 = 1767225600


def pinned(core, *command):
    return ["taskset", "-c", str(core), *map(str, command)]


def figures(line):
    return {k: float(v) for k, v in (word.split("=") for word in line.split())}


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


def machine():
    model = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if "model name" in line), "?")
    memory = int(next(line.split()[1] for line in open("/proc/meminfo") if "MemTotal" in line)) // 2**20
    print(f"{model}, {len(CORES)} cores, {memory} GiB, Linux {platform.release()}, {time.strftime('%Y-%m-%d')}")


def stored_points(server):
    return int(server.stats()["store.points.written"])


def mqtt_once(server, qos, connections, messages):
    return run_load(BENCH / "mqtt_load", "--port", server.mqtt_port, "--qos", qos, "--connections", connections,
                    "--messages", messages, "--window", "256")


def bench_mqtt(runs, messages, options):
    peer = Mosquitto()
    print("\nMQTT publish, messages/s (hejnald: stored; at QoS 1 acknowledged after fsync)")
    print(f"{'QoS':>3} {'connections':>11} {'hejnald':>11} {'mosquitto':>11} {'ratio':>6} {'ack p50 ms':>11} {'ack p99 ms':>11}")
    for qos in (0, 1):
        for connections in (1, 100, 1000):
            ours, theirs, p50, p99 = [], [], [], []
            for _ in range(runs):
                with Server("--loops", "1", *options, wrapper=pinned(BROKER_CORE)) as server:
                    result = mqtt_once(server, qos, connections, messages)
                    ours.append(result["rate"])
                    p50.append(result.get("ack_us_p50", 0) / 1000)
                    p99.append(result.get("ack_us_p99", 0) / 1000)
                    deadline = time.monotonic() + 60
                    while stored_points(server) < result["messages"] and time.monotonic() < deadline:
                        time.sleep(0.05)
                    assert stored_points(server) == result["messages"], "not all messages were stored"
                if peer.binary:
                    with peer:
                        theirs.append(mqtt_once(peer, qos, connections, messages // 4)["rate"])
            mine = statistics.median(ours)
            other = statistics.median(theirs) if theirs else float("nan")
            acks = f"{statistics.median(p50):11.2f} {statistics.median(p99):11.2f}" if qos else f"{'-':>11} {'-':>11}"
            print(f"{qos:>3} {connections:>11} {mine:>11,.0f} {other:>11,.0f} {mine / other:>6.1f} {acks}", flush=True)


def disk_bytes(server):
    return sum(f.stat().st_blocks * 512 for f in (server.directory / "data").rglob("*") if f.is_file())


def bench_write(runs, series, points, name):
    rates = []
    for run in range(runs):
        with Server("--loops", "1") as server:
            result = run_load(BENCH / "write_load", "127.0.0.1", server.query_port, series, points)
            rates.append(result["rate"])
            if run + 1 < runs:
                continue
            server.run("admin", "checkpoint")
            size = disk_bytes(server)
            print(f"\nWrite call, {name}: {series:,} series x {points:,} points, durable: "
                  f"{statistics.median(rates):,.0f} points/s; {size / series / points:.2f} bytes/point on disk "
                  f"after a checkpoint (all files)")
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
        print(f"\n{name}: {points:,} points, {disk_bytes(server) / points:.2f} bytes/point on disk; replay: "
              f"{done.stderr.strip().splitlines()[-1]}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="one short run of each")
    parser.add_argument("--only", choices=["mqtt", "write", "file"])
    arguments = parser.parse_args()
    runs = 1 if arguments.quick else arguments.runs
    messages = 400_000 if arguments.quick else 2_000_000
    machine()
    if arguments.only in (None, "mqtt"):
        bench_mqtt(runs, messages, [])
    if arguments.only in (None, "write"):
        scale = 10 if arguments.quick else 1
        bench_write(runs, 1000, 10000 // scale, "A")
        bench_write(runs, 100000 // scale, 100, "B")
    sample = Path(os.environ.get("HEJNAL_SAMPLE_DATA", "")) / "airly_krakow_2017.csv.gz"
    if arguments.only in (None, "file") and sample.exists():
        bench_file(sample, "Kraków air, 2017")


if __name__ == "__main__":
    main()
