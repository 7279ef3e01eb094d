"""hejnald as the storage benchmark sees it: the same calls as a peer (peers.py)."""

import subprocess

from common import BENCH, BUILD, Server, measure, sizes

T0 = 1767225600  # First second of the data (bench/data_gen.c).
POINTS_A_WRITE = 10_000
CONNECTIONS = 2


def command_knows(command, word):
    """Whether `hejnal COMMAND` of this build knows something."""
    done = subprocess.run([BUILD / "cli" / "hejnal", command, "--help"], capture_output=True, text=True, check=False)
    return word in done.stdout + done.stderr


class Hejnal:
    name = "Hejnał"

    def __init__(self, *options):
        self.options = options

    def __enter__(self):
        self.server = Server(*self.options).start()
        return self

    def __exit__(self, kind, value, trace):
        # Killed as the peers are: what is measured of an orderly end is measured before.
        self.server.kill()
        self.server.__exit__(None, None, None)

    @property
    def process(self):
        return self.server.process

    def load(self, prefix):
        return measure(BENCH / "store_load", self.server.query_port, prefix, CONNECTIONS, POINTS_A_WRITE)[0]

    def flush(self):
        """From the journal into partitions."""
        self.server.run("admin", "checkpoint", timeout=600)

    @staticmethod
    def can_seal():
        return command_knows("admin", "seal")

    def seal(self):
        self.server.run("admin", "seal", timeout=600)

    def settle(self):
        """As small as it gets."""
        self.flush()
        if self.can_seal():
            self.seal()

    def size(self):
        return sizes(self.server.directory / "data")

    # Queries: the same names and arguments as the peers'.

    @staticmethod
    def filter(tags):
        if "site" in tags:
            return f"city/{tags['district']}/{tags['site']}/{tags['kind']}"
        return f"city/{tags['district']}/#" if "district" in tags else "city/#"

    def last(self, tags, at_s):
        del at_s
        return ["last", self.filter(tags)]

    def raw(self, tags, from_s, to_s):
        return ["raw", self.filter(tags), from_s, to_s]

    def bucketed(self, tags, from_s, to_s, every_s, aggregate, group=None):
        level = [3] if group == "site" else []
        return [aggregate, self.filter(tags), from_s, to_s, every_s, *level]

    def ask(self, runs, query):
        words = getattr(self, query[0])(*query[1:])
        return measure(BENCH / "query_load", "127.0.0.1", self.server.query_port, runs, *words)[0]
