"""What is aimed at, and how a run compares: kept here and told at its end, asserted nowhere."""

results = []

QUERIES = ("last of 1 series", "last of all", "1 series, 1 day raw", "1 series, mean per 5 min",
           "100 series, max per hour by site", "all series, mean per day")

# name: (bar, unit, whether more is better). Peers' figures are of the same run; ratios are ours to theirs.
BARS = {
    "A load beside the best peer": (1.5, "x", True),
    "B load beside the best peer": (1.5, "x", True),
    "A bytes/point, unsealed": (2.0, "bytes", False),
    "A bytes/point, sealed": (1.55, "bytes", False),
    "B bytes/point, sealed": (2.6, "bytes", False),
    "B peak memory of the load": (200, "MiB", False),
    "export, decoded by the client": (30, "M points/s", True),
    "decode of sealed chunks, one core": (500, "M points/s", True),
    "ack p99 under load beside idle": (3, "x", False),
    "recovery, 256 MB of journal": (5, "s", False),
    "year of seconds, mean per day": (5, "ms", False),
    "year of seconds, max per hour": (5, "ms", False),
    "year of seconds, minimum": (5, "ms", False),
    "Kraków air, bytes/point, all files": (0.70, "bytes", False),
    "each real file beside VictoriaMetrics: worst ratio": (1, "x", False),
    "each real file beside InfluxDB: worst ratio": (1, "x", False),
} | {f"{data} {query}": (0.5, "x the best peer", False) for data in "AB" for query in QUERIES}


def note(name, measured):
    """A figure that has a bar."""
    bar, unit, more = BARS[name]
    results.append((name, measured, bar, unit, more))


def verdict(measured, bar, more):
    return "pass" if (measured >= bar if more else measured <= bar) else "falls short"


def report(caveat):
    if not results:
        return
    print(f"\nAgainst the bars{', ' + caveat if caveat else ''}")
    print(f"{'':<52} {'measured':>10} {'bar':>10}  {'':<20}")
    for name, measured, bar, unit, more in results:
        sign = ">=" if more else "<="
        print(f"{name:<52} {measured:>10.2f} {sign + format(bar, 'g'):>10}  {unit:<20} {verdict(measured, bar, more)}")
