"""What is aimed at, and how a run compares: kept here and told at its end, asserted nowhere."""

results = []

# name: (bar, unit, whether more is better). Peers' figures are of the same run; ratios are ours to theirs.
BARS = {
    "A load": (5.0, "M points/s, durable", True),
    "B load beside VictoriaMetrics": (1.5, "x", True),
    "A bytes/point, sealed": (1.50, "bytes", False),
    "B bytes/point, sealed": (2.4, "bytes", False),
    "A last of 1 series": (0.3, "ms", False),
    "B last of all": (10, "ms", False),
    "A 1 series, 1 day raw": (0.5, "ms", False),
    "A 1 series, mean per 5 min": (0.3, "ms", False),
    "A 100 series, max per hour by site": (8, "ms", False),
    "A all series, mean per day": (30, "ms", False),
    "B all series, mean per day": (80, "ms", False),
    "export, decoded by the client": (30, "M points/s", True),
    "decode of sealed chunks, one core": (300, "M points/s", True),
    "ack p99 under load": (30, "ms", False),
    "recovery, 256 MB of journal": (4, "s", False),
    "B memory after load": (512, "MiB", False),
    "year of seconds, mean per day": (5, "ms", False),
    "year of seconds, max per hour": (20, "ms", False),
    "year of seconds, minimum": (5, "ms", False),
    "Kraków air, bytes/point, all files": (0.65, "bytes", False),
}


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
    print(f"{'':<40} {'measured':>10} {'bar':>10}  {'':<20}")
    for name, measured, bar, unit, more in results:
        sign = ">=" if more else "<="
        print(f"{name:<40} {measured:>10.2f} {sign + format(bar, 'g'):>10}  {unit:<20} {verdict(measured, bar, more)}")
