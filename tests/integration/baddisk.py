"""Rules for the preloaded disk of tests/lib/baddisk.c: which calls of hejnald fail, and how."""

import errno
import mmap
import struct
from pathlib import Path

from harness import BUILD, Server

SHIM = BUILD / "tests" / "libpowercut.so"
WRITE, META, SYNC, READ, OPEN, DONE = 1, 2, 4, 8, 16, 32
ALL = 0xFFFFFFFF
RULE = struct.Struct("<IiIII44s")
RULES = 4


class BadDiskServer(Server):
    """A server whose disk fails when told to; on() and off() work while it runs."""

    def __init__(self, *options, **more):
        super().__init__(*options, **more)
        self.directory.mkdir(exist_ok=True)
        path = Path(self.directory) / "rules"
        path.write_bytes(bytes(4096))
        self.file = open(path, "r+b")
        self.rules = mmap.mmap(self.file.fileno(), 4096)
        self.env.update(BADDISK=str(path), POWERCUT_DIRECTORY=str(self.directory / "data"))

    def start(self, timeout=60):
        self.env["LD_PRELOAD"] = str(SHIM)
        try:
            return super().start(timeout)
        finally:
            del self.env["LD_PRELOAD"]

    def on(self, kinds, path="", error=errno.EIO, skip=0, left=ALL, rule=0):
        self.rules[rule * RULE.size:(rule + 1) * RULE.size] = RULE.pack(kinds, error, skip, left, 0, path.encode())

    def off(self):
        """How many calls failed."""
        hits = sum(RULE.unpack_from(self.rules, i * RULE.size)[4] for i in range(RULES))
        self.rules[:RULES * RULE.size] = bytes(RULES * RULE.size)
        return hits
