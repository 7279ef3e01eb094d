"""Real sensor files as data sets of this benchmark, where a directory of them is named.

HEJNAL_SAMPLE_DATA: gzip CSV files, first column `ts_ms` (unix milliseconds), one column a quantity,
decimal text, empty where there is no reading. Nothing of them is kept anywhere else."""

import csv
import gzip
import os
import struct
from pathlib import Path

POINT = struct.Struct("<Iqd")


def directory():
    """Where the files are; None: not named or not there."""
    place = Path(os.environ.get("HEJNAL_SAMPLE_DATA") or "/nonexistent")
    return place if place.is_dir() else None


def files():
    """Those that look like what is said above."""
    return [f for f in sorted(directory().glob("*.csv.gz"))
            if gzip.open(f, "rt", encoding="utf-8").readline().startswith("ts_ms,")]


def name_of(text):
    """A name that is whole in a path and in line protocol."""
    return "".join(c if c.isalnum() else "_" for c in text)


def points_of(path):
    """Names of the columns, and (column, ms, text) row by row."""
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        rows = csv.reader(file)
        names = next(rows)[1:]

        def points():
            for row in rows:
                for column, text in enumerate(row[1:]):
                    if text:
                        yield column, int(row[0]), text
        return names, list(points())


def convert(paths, prefix):
    """PREFIX.bin, .series and .lp of these files, one after the other; returns the number of points."""
    first = count = 0
    with open(f"{prefix}.bin", "wb") as binary, open(f"{prefix}.series", "w", encoding="utf-8") as series, \
            open(f"{prefix}.lp", "w", encoding="utf-8") as lines:
        for path in paths:
            names, points = points_of(path)
            source = name_of(path.name.removesuffix(".csv.gz"))
            tags = [f"reading,source={source},kind={name_of(n)} value=" for n in names]
            series.writelines(f"real/{source}/{name_of(n)}\n" for n in names)
            for column, ms, text in points:
                binary.write(POINT.pack(first + column, ms, float(text)))
                lines.write(f"{tags[column]}{text} {ms}\n")
            first += len(names)
            count += len(points)
    return count
