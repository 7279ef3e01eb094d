"""Tags over real sockets: set, replaced, taken away, shown; there after a kill and after a checkpoint; and refused where they are
none. The independent reader of tests/format finds them in the store at rest."""

import csv
import io
import json
import sys
import threading

from harness import ROOT, Server

sys.path.insert(0, str(ROOT / "tests" / "format"))

from read_store import Store  # noqa: E402


def fill(server, devices=50):
    rows = "".join(f"krakow/site{d % 5}/dev{d}/{name},2026-01-01T00:00:00Z,{d}\n" for d in range(devices) for name in ("power", "voltage"))
    server.run("import", "-", stdin="series,time,value\n" + rows)


def tags(server, filter="#"):
    lines = server.run("series", filter, "--tags", "--format", "jsonl").stdout.splitlines()
    return {row["series"]: row["tags"] for row in map(json.loads, lines)}


def changed(server, *args):
    text = server.run("tag", *args).stdout
    assert text.endswith(" series changed\n"), text
    return int(text.split()[0])


def test_tags_are_set_shown_and_outlive_everything():
    with Server() as server:
        fill(server)
        assert tags(server)["krakow/site0/dev0/power"] == {}
        assert changed(server, "krakow/+/+/power", "unit=kW", "domain=energy") == 50
        assert changed(server, "krakow/+/+/power", "unit=kW") == 0
        assert changed(server, "krakow/site1/#", "site=Rynek, \"A\"") == 20
        assert changed(server, "nothing/#", "unit=V") == 0
        want = tags(server)
        assert want["krakow/site1/dev1/power"] == {"domain": "energy", "site": "Rynek, \"A\"", "unit": "kW"}
        assert want["krakow/site1/dev1/voltage"] == {"site": "Rynek, \"A\""}
        server.kill()
        server.start()
        assert tags(server) == want
        server.run("admin", "checkpoint")
        assert changed(server, "krakow/site1/dev1/#", "unit=", "site=Wawel") == 2
        want["krakow/site1/dev1/power"] = {"domain": "energy", "site": "Wawel"}
        want["krakow/site1/dev1/voltage"] = {"site": "Wawel"}
        assert tags(server) == want
        server.kill()
        store = Store(server.directory / "data")
        assert store.tags == {path: t for path, t in want.items() if t}
        server.start()
        assert tags(server) == want
        server.check()
        assert tags(server) == want
        assert Store(server.directory / "data").tags == {path: t for path, t in want.items() if t}


def test_tags_are_shown_as_a_table_and_as_csv():
    with Server() as server:
        fill(server, 2)
        server.run("tag", "krakow/site1/dev1/power", "unit=k,W", "kind=gauge")
        table = server.run("series", "--tags").stdout.splitlines()
        assert table[0].split() == ["series", "tags"] and len(table) == 5
        assert "kind=gauge unit=k,W" in next(line for line in table if "dev1/power" in line)
        text = server.run("series", "#", "--tags", "--format", "csv").stdout
        assert list(csv.reader(io.StringIO(text))) == [["series", "key", "value"], ["krakow/site1/dev1/power", "kind", "gauge"],
                                                       ["krakow/site1/dev1/power", "unit", "k,W"]]
        assert server.run("series").stdout.splitlines() == sorted(f"krakow/site{d}/dev{d}/{n}" for d in (0, 1) for n in ("power", "voltage"))


def test_what_is_no_tag_is_refused():
    with Server() as server:
        fill(server, 1)
        for args, code in ((("#", "unit"), 2), (("#", "=kW"), 2), (("#", "$unit=kW"), 1), (("#", "u" * 65 + "=V"), 1),
                           (("#", "unit=" + "V" * 257), 1), (("#", "a=1", "a=2"), 1), (("a/#/b", "a=1"), 1)):
            done = server.run("tag", *args, check=False)
            assert done.returncode == code and len(done.stderr.splitlines()) == 1, (args, done.stderr)
        assert changed(server, "#", *(f"k{i}=v" for i in range(32))) == 2
        done = server.run("tag", "#", "one=more", check=False)
        assert done.returncode == 1 and "more than 32 tags" in done.stderr
        assert changed(server, "#", "one=more", "k0=") == 2
        assert len(tags(server)["krakow/site0/dev0/power"]) == 32


def test_many_series_are_tagged_while_others_write():
    with Server() as server:
        rows = "".join(f"city/{i},2026-01-01T00:00:00Z,1\n" for i in range(30000))
        server.run("import", "-", stdin="series,time,value\n" + rows)
        stop = threading.Event()

        def write():
            while not stop.is_set():
                server.run("import", "-", stdin="series,time,value\n" + "\n".join(rows.split("\n")[:700]) + "\n")

        writer = threading.Thread(target=write)
        writer.start()
        counts = []
        taggers = [threading.Thread(target=lambda k=k: counts.append(changed(server, "city/#", f"tag{k}=value {k}"))) for k in range(4)]
        for t in taggers:
            t.start()
        for t in taggers:
            t.join()
        stop.set()
        writer.join()
        assert counts == [30000] * 4
        server.kill()
        server.start()
        found = tags(server)
        assert len(found) == 30000 and all(t == {f"tag{k}": f"value {k}" for k in range(4)} for t in found.values())
