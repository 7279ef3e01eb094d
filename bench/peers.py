"""The stores Hejnał is measured beside, run from Debian's packages without being installed.

Each package is fetched with `apt-get download` and unpacked below build/*/bench/peers, so no service
is registered or started and no root is needed. A peer runs on a private port of 127.0.0.1, its data
in a temporary directory that goes with it. What is set, and why:

victoria-metrics  -retentionPeriod=100y (the data has dates of its own), no response cache (else one
                  would measure that), selfScrape off (it does by default: off is 0), latencyOffset 0
                  (points of now are not hidden), longer limits for time and series of a query.
influxd           inmem index (its default), no limits of series and tag values, no monitoring
                  database, no query and HTTP logs, and compaction of what is cold after seconds."""

import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.parse
import urllib.request
from pathlib import Path

from common import BENCH, free_port, measure, sizes

LINES = 10_000  # Points a request.
CONNECTIONS = 2
HOME = BENCH / "peers"

INFLUX_CONFIG = """
reporting-disabled = true
bind-address = "127.0.0.1:{rpc_port}"
[meta]
  dir = "{data}/meta"
[data]
  dir = "{data}/data"
  wal-dir = "{data}/wal"
  query-log-enabled = false
  cache-max-memory-size = "4g"
  cache-snapshot-write-cold-duration = "2s"
  compact-full-write-cold-duration = "5s"
  max-series-per-database = 0
  max-values-per-tag = 0
[coordinator]
  query-timeout = "0s"
[monitor]
  store-enabled = false
[http]
  bind-address = "127.0.0.1:{port}"
  log-enabled = false
  max-body-size = 0
[logging]
  level = "error"
[subscriber]
  enabled = false
"""


def unpack(package, binary):
    """Path of `binary` of a Debian package, fetched when it is not here yet. None: not to be had."""
    if shutil.which(binary):
        return shutil.which(binary)
    path = HOME / package / "usr" / "bin" / binary
    if path.exists():
        return str(path)
    HOME.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=HOME) as directory:
        for command in (["apt-get", "download", "-q", package], ["apt-get", "update", "-q"],
                        ["apt-get", "download", "-q", package]):
            subprocess.run(command, cwd=directory, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
            archives = list(Path(directory).glob("*.deb"))
            if archives:
                subprocess.run(["dpkg", "-x", archives[0], HOME / package], check=True)
                return str(path)
    return None


class Peer:
    """A store behind HTTP. Used with `with`: started with an empty directory, killed and wiped after."""

    def __init__(self):
        self.binary = unpack(self.package, self.program)

    def __enter__(self):
        self.directory = tempfile.mkdtemp(prefix="hejnal-bench-")
        self.port = free_port()
        self.process = subprocess.Popen([self.binary, *self.options()], stdout=subprocess.DEVNULL,
                                        stderr=open(Path(self.directory) / "log", "ab"), stdin=subprocess.DEVNULL,
                                        cwd=self.directory)
        try:
            self.wait_until_up()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        shutil.rmtree(self.directory)

    def wait_until_up(self):
        for _ in range(600):
            try:
                self.get(self.alive_path)
                return
            except OSError:
                time.sleep(0.1)
        raise RuntimeError(f"{self.name} does not answer")

    def get(self, path, data=None):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", data=data, timeout=300) as answer:
            return answer.read()

    def load(self, prefix):
        return measure(BENCH / "http_load", self.port, self.write_path, f"{prefix}.lp", CONNECTIONS, LINES)[0]

    def size(self):
        return sizes(Path(self.directory) / "data")

    def ask(self, runs, query):
        """query: a method and its arguments. Times of `runs` runs at the client, and the rows of one answer."""
        path = getattr(self, query[0])(*query[1:])
        result = measure(BENCH / "http_query", self.port, runs, path)[0]
        result["rows"] = self.rows(self.get(path))
        return result

    def wait_until_still(self, is_done=lambda: True, still_s=6, at_most_s=240):
        """Until the files have not changed for a while."""
        end, before, since = time.monotonic() + at_most_s, None, time.monotonic()
        while time.monotonic() < end:
            now = (self.size(), is_done())
            if now != before:
                before, since = now, time.monotonic()
            if now[1] and time.monotonic() - since >= still_s:
                return
            time.sleep(0.5)


class VictoriaMetrics(Peer):
    name, package, program = "VictoriaMetrics", "victoria-metrics", "victoria-metrics"
    alive_path, write_path = "/health", "/write?precision=ms"

    def options(self):
        return [f"-storageDataPath={self.directory}/data", f"-httpListenAddr=127.0.0.1:{self.port}",
                "-retentionPeriod=100y", "-search.disableCache", "-search.latencyOffset=0",
                "-search.maxQueryDuration=300s", "-search.maxUniqueTimeseries=2000000", "-loggerLevel=ERROR"]

    def flush(self):
        """Points still in memory become visible, and are on disk some seconds later."""
        self.get("/internal/force_flush")
        self.wait_until_still(still_s=15)

    def settle(self):
        self.get("/internal/force_merge")
        self.wait_until_still()

    @staticmethod
    def selector(tags):
        return "reading_value{" + ",".join(f'{k}="{v}"' for k, v in tags.items()) + "}"

    @staticmethod
    def path(call, **arguments):
        return f"/api/v1/{call}?{urllib.parse.urlencode({**arguments, 'nocache': 1})}"

    def last(self, tags, at_s):
        return self.path("query", query=self.selector(tags), time=at_s, max_lookback="20m")

    def raw(self, tags, from_s, to_s):
        return self.path("export", **{"match[]": self.selector(tags)}, start=from_s, end=f"{to_s - 0.001:.3f}")

    def bucketed(self, tags, from_s, to_s, every_s, aggregate, group=None):
        """Its buckets end at their times, so that they start one step later than ours."""
        query = f"{ {'mean': 'avg', 'max': 'max'}[aggregate] }_over_time({self.selector(tags)}[{every_s}s])"
        if group:
            query = f"{aggregate}({query}) by ({group})"
        return self.path("query_range", query=query, start=from_s + every_s,
                         end=to_s + -(to_s - from_s) % every_s, step=f"{every_s}s")

    @staticmethod
    def rows(body):
        if body.startswith(b'{"metric"'):  # An export: a JSON object a line.
            return sum(len(json.loads(line)["values"]) for line in body.splitlines())
        result = json.loads(body)["data"]["result"]
        return sum(len(series.get("values", [1])) for series in result)


class Influx(Peer):
    name, package, program = "InfluxDB", "influxdb", "influxd"
    alive_path, write_path = "/ping", "/write?db=bench&precision=ms"

    def options(self):
        config = Path(self.directory) / "influxdb.conf"
        config.write_text(INFLUX_CONFIG.format(data=f"{self.directory}/data", port=self.port, rpc_port=free_port()))
        return ["run", "-config", str(config)]

    def wait_until_up(self):
        super().wait_until_up()
        self.get("/query", urllib.parse.urlencode({"q": "CREATE DATABASE bench"}).encode())

    def flush(self):
        """What it has written stays queryable from its cache."""

    def settle(self):
        """Cold shards are compacted on their own after some seconds; done when their log is written out."""
        wal = Path(self.directory) / "data" / "wal"
        self.wait_until_still(lambda: sizes(wal)[0] < 1 << 20, still_s=12)

    @staticmethod
    def where(tags, from_s=None, to_s=None):
        terms = [f"{k}='{v}'" for k, v in tags.items()]
        if from_s is not None:
            terms += [f"time >= {from_s}s", f"time < {to_s}s"]
        return " WHERE " + " AND ".join(terms) if terms else ""

    @staticmethod
    def path(query):
        return f"/query?{urllib.parse.urlencode({'db': 'bench', 'epoch': 'ms', 'q': query})}"

    def last(self, tags, at_s):
        del at_s
        return self.path(f"SELECT last(value) FROM reading{self.where(tags)} GROUP BY *")

    def raw(self, tags, from_s, to_s):
        return self.path(f"SELECT value FROM reading{self.where(tags, from_s, to_s)}")

    def bucketed(self, tags, from_s, to_s, every_s, aggregate, group=None):
        group = group or "*"
        return self.path(f"SELECT {aggregate}(value) FROM reading{self.where(tags, from_s, to_s)} "
                         f"GROUP BY time({every_s}s), {group} fill(none)")

    @staticmethod
    def rows(body):
        return sum(len(series["values"]) for series in json.loads(body)["results"][0].get("series", []))


def version(peer):
    """What the package says it is."""
    done = subprocess.run(["apt-cache", "policy", peer.package], capture_output=True, text=True, check=False)
    line = next((x for x in done.stdout.splitlines() if "Candidate" in x), ": ?")
    return line.split(": ")[1].strip()


def available():
    """The peers that could be had, told how they run."""
    peers = []
    for peer in (VictoriaMetrics(), Influx()):
        if peer.binary is None:
            print(f"{peer.name}: not here and not to be fetched; left out")
        else:
            print(f"{peer.name}: Debian package {peer.package} {version(peer)}, {os.path.relpath(peer.binary)}, "
                  f"own port and directory, no service; line protocol, {LINES:,} points a request, "
                  f"{CONNECTIONS} connections")
            peers.append(peer)
    return peers
