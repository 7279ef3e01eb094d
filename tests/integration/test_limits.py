"""New series beyond what the store or a client may have are refused, counted and kept among the rejects; the series that are there
go on, also in the same message and the same write."""

from harness import Server, wait_until


def rejects(server):
    return server.run("rejects").stdout


def test_over_the_limit_of_series_the_others_of_the_message_are_stored():
    with Server("--series-max", "2") as server:
        server.run("pub", "a", '{"x":1,"y":2}', "--qos", "1")
        server.run("pub", "a", '{"x":3,"y":4,"z":5}', "--qos", "1")
        assert [v for _, v in server.points("a/x")["a/x"]] == ["1", "3"] and [v for _, v in server.points("a/y")["a/y"]] == ["2", "4"]
        assert "a: the limit of series is reached (series_max)" in rejects(server)
        assert "points are refused: the limit of series is reached" in server.log_text()
        rows = "".join(f"{path},2026-01-01T00:00:00Z,7\n" for path in ("a/x", "new/1", "a/y"))
        done = server.run("import", "-", stdin="series,time,value\n" + rows, check=False)
        assert done.returncode == 1 and "1 points are not stored" in done.stderr, done.stderr
        assert all("7" in [v for _, v in server.points(p)[p]] for p in ("a/x", "a/y"))
        assert server.run("series").stdout.split() == ["a/x", "a/y"]


def test_a_client_that_brings_new_series_too_fast_is_slowed():
    with Server("--client-series-burst", "10", "--client-series-per-s", "2") as server:
        rows = "".join(f"city/{i},2026-01-01T00:00:00Z,1\n" for i in range(40))
        done = server.run("import", "-", stdin="series,time,value\n" + rows, check=False)
        assert done.returncode == 1 and "client_series_per_s" in done.stderr, done.stderr
        assert 10 <= len(server.run("series").stdout.split()) < 20
        server.run("pub", "other/client", "1", "--qos", "1")
        assert "other/client" in server.run("series").stdout.split()

        def whole():  # Asked again and again, all of it gets in.
            return server.run("import", "-", stdin="series,time,value\n" + rows, check=False).returncode == 0

        wait_until(whole)
        assert len(server.run("series").stdout.split()) == 41


def test_names_too_deep_or_too_long_leave_the_others_of_the_message():
    with Server() as server:
        deep = "/".join("d" * 130)
        server.run("pub", "a", f'{{"x":1,"{"n" * 1030}":2}}', "--qos", "1")
        server.run("pub", deep[:200], '{"x":1,"' + "y" * 900 + '":2}', "--qos", "1")
        assert "a/x" in server.run("series").stdout.split()
        assert "too long" in rejects(server)
