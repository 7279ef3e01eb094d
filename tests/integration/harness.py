"""Starts a real hejnald on free ports, kills it, restarts it, and runs the real command line.

HEJNAL_BUILD names the build directory (default build/release).
"""

import csv
import io
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("HEJNAL_BUILD", ROOT / "build" / "release"))
HEJNALD = BUILD / "broker" / "hejnald"
HEJNAL = BUILD / "cli" / "hejnal"

READY = re.compile(r"^hejnald ready mqtt=(\S+):(\d+) query=(\S+):(\d+) data=(\S+)$")


def free_port():
    """A port below those the system hands out to clients: a client that keeps connecting while its server is down
    may else be given the server's own port, connect to itself, and keep it."""
    while True:
        port = random.randrange(15000, 32000)
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue


class Server:
    """One hejnald with a data directory of its own; restarts keep ports and data."""

    def __init__(self, *options, directory=None, env=None, wrapper=()):
        self.directory = Path(directory or tempfile.mkdtemp(prefix="hejnal-test-"))
        self.owned = directory is None
        self.options = list(options)
        self.env = {**os.environ, **(env or {})}
        self.wrapper = list(wrapper)
        self.mqtt_port, self.query_port = free_port(), free_port()
        self.process = None
        self.log = self.directory / "hejnald.log"

    def start(self, timeout=60):
        command = [*self.wrapper, str(HEJNALD), "--data", str(self.directory / "data"), "--mqtt-port",
                   str(self.mqtt_port), "--query-port", str(self.query_port), *self.options]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=open(self.log, "ab"),
                                        stdin=subprocess.DEVNULL, env=self.env, text=True)
        line = self.process.stdout.readline()
        match = READY.match(line.strip())
        assert match, f"no ready line but {line!r}; log:\n{self.log_text()[-3000:]}"
        self.mqtt_port, self.query_port = int(match[2]), int(match[4])
        return self

    def log_text(self):
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.process.stdout.close()

    def stop(self, timeout=60):
        """SIGTERM; returns the exit code, which must be 0."""
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(timeout)
        self.process.stdout.close()
        assert code == 0, f"exit code {code}; log:\n{self.log_text()[-3000:]}"

    def restart(self):
        self.stop()
        return self.start()

    def check(self):
        """Stop, verify every checksum of the store offline, start again."""
        self.stop()
        done = subprocess.run([str(HEJNAL), "check", str(self.directory / "data")], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        self.start()

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def __enter__(self):
        return self.start()

    def __exit__(self, kind, value, trace):
        if self.alive():
            if kind is None:
                self.stop()
            else:
                self.kill()
        if self.owned and kind is None:
            shutil.rmtree(self.directory, ignore_errors=True)

    # The command line, against this server.

    def run(self, command, *args, check=True, stdin=None, timeout=300, text=True):
        place = (["--mqtt", f"127.0.0.1:{self.mqtt_port}"]
                 if command in ("pub", "sub", "replay", "simulate", "agent")
                 else ["--server", f"127.0.0.1:{self.query_port}"])
        done = subprocess.run([str(HEJNAL), command, *map(str, args), *place], input=stdin,
                              capture_output=True, text=text, timeout=timeout)
        assert not check or done.returncode == 0, (
            f"hejnal {command} {args}: exit {done.returncode}\n{done.stderr[-2000:]}")
        return done

    def run_check(self):
        """`hejnal check` of the data directory; the server is down."""
        return subprocess.run([str(HEJNAL), "check", str(self.directory / "data")], capture_output=True, text=True)

    def points(self, series_filter, *args):
        """All points the filter selects: {path: [(time_ns, value text), ...]}."""
        text = self.run("export", series_filter, "--from", "1970-01-01", "--to", "2200-01-01", "--format",
                        "csv", "--time-format", "ns", *args, text=False).stdout.decode()
        points = {}
        rows = csv.reader(io.StringIO(text, newline=""))
        assert next(rows) == ["series", "time", "value"]
        for path, stamp, value in rows:
            points.setdefault(path, []).append((int(stamp), value))
        return points

    def stats(self):
        text = self.run("stats", "--format", "json").stdout
        return json.loads(text)


def wait_until(condition, timeout=20, every=0.05):
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        result = condition()
        if result:
            return result
        time.sleep(every)
    raise AssertionError("condition not met in time")
