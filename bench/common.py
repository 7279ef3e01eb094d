"""What the benchmarks share: the machine, processes, the programs of bench/, medians."""

import os
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "integration"))
from harness import BUILD, Server, free_port  # noqa: E402, F401

BENCH = BUILD / "bench"
CORES = sorted(os.sched_getaffinity(0))


def machine():
    model = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if "model name" in line), "?")
    memory = int(next(line.split()[1] for line in open("/proc/meminfo") if "MemTotal" in line)) // 2**20
    load = ", ".join(f"{x:.1f}" for x in os.getloadavg())
    print(f"{model}, {len(CORES)} cores, {memory} GiB, Linux {platform.release()}, {time.strftime('%Y-%m-%d')}, "
          f"load average {load}")


def pinned(core, *command):
    return ["taskset", "-c", str(core), *map(str, command)]


def figures(line):
    return {k: float(v) for k, v in (word.split("=") for word in line.split())}


def measure(*command, timeout=600):
    """Run a program of bench/ that prints lines of figures: a dictionary for each line."""
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=timeout)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(str(c) for c in command)}: {done.stderr.strip()}")
    return [figures(line) for line in done.stdout.splitlines()]


def status_bytes(process, name):
    """A line of /proc/PID/status: VmRSS, VmHWM."""
    lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) * 1024


def median(results, name):
    return statistics.median(r.get(name, float("nan")) for r in results) if results else float("nan")


def sizes(directory):
    """(bytes in the files, bytes of the blocks they take) of all files below, every one."""
    length = blocks = 0
    for path, _, names in os.walk(directory):
        for name in names:
            try:
                about = os.stat(os.path.join(path, name))
            except FileNotFoundError:  # Merged away just now.
                continue
            length += about.st_size
            blocks += about.st_blocks * 512
    return length, blocks
