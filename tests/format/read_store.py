"""An independent reader of a store at rest: what docs/FORMAT.md says, read without one line of the store's own code, and without
LMDB. Prints every point as series,time,value (nanoseconds), series in order, or stops at the first broken rule.

    read_store.py DIR [--bits]

Texts stand in quotes. --bits prints the 64 bits of each number in hexadecimal, so that payloads of NaN are seen.
"""

import math
import re
import struct
import sys
from collections import namedtuple
from datetime import datetime, timedelta, timezone
from pathlib import Path

import read_catalogue as catalogue
import read_journal as journal
from read_chunk import Chunk, Cursor, double_of, is_nan
from read_bundle import read_bundle
from read_lmdb import Broken, Environment, need
from xxh3 import xxh3

PART_NAME = re.compile(r"^\d{8}(?:T\d{6})?-(\d+)(?:\.([1-9]\d*))?\.(act|seal)\.mdb$")
PART_META = struct.Struct("<4sHHqqIIQQ")
PACK_TEXTS = 64
ROLLUP_LENGTHS = (3600 * 10**9, 86400 * 10**9)
S, WEEK, MONDAY = 10**9, 604800, -259200  # 1969-12-29 in seconds
EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)

Part = namedtuple("Part", "start end number sealed flushes applied sources chunks")


def period_of(time_s, length_s):
    """Start, in seconds, of the period a time is in."""
    base = MONDAY if length_s % WEEK == 0 else 0
    return base + (time_s - base) // length_s * length_s


def name_of(start_s, length_s, number, kind):
    start = EPOCH + timedelta(seconds=start_s)
    day = start.strftime("%Y%m%d" if start_s % 86400 == 0 else "%Y%m%dT%H%M%S")
    return f"{day}-{length_s}{f'.{number}' if number else ''}.{kind}.mdb"


class Store:
    def __init__(self, directory):
        self.directory = Path(directory)
        self.read_catalogue()
        self.read_journal()
        paths = sorted((self.directory / "parts").iterdir())
        parts = [self.read_part(path, PART_NAME.match(path.name)) for path in paths if PART_NAME.match(path.name)]
        gone = {source for part in parts for source in part.sources}
        self.parts = sorted((p for p in parts if (p.start, p.number) not in gone), key=lambda p: (not p.sealed, p.start, p.number))
        for a, b in zip(self.parts, self.parts[1:]):
            need(a.sealed != b.sealed or a.end <= b.start or (not a.sealed and a.start == b.start), "partitions overlap")
        self.check_last()

    # The catalogue.

    def read_catalogue(self):
        environment = Environment(self.directory / "catalog.mdb")
        meta = dict(environment.read("meta"))
        value = meta[b"store"]
        version, zero, self.period_s, checksum = struct.unpack("<IIQQ", value)
        need(version in (1, 2, 3) and zero == 0, "catalogue of version", version)
        need(xxh3(value[:16], 0) == checksum, "checksum of the store's meta record")
        self.catalogue_version = version
        self.paths, self.known, self.topics, self.last, self.tags = {}, set(), {}, {}, {}
        self.read_names(environment) if version >= 2 else self.read_names_v1(environment)
        self.deletes = {}
        for key, value in environment.read("deletes"):
            self.read_delete(key, value)
        self.texts = {}
        for key, value in environment.read("texts"):
            self.read_texts(key, value)
        self.read_newest(environment) if version >= 2 else self.read_newest_v1(environment)
        if version >= 2:
            self.read_tags(environment)
        if version >= 2 and self.paths:
            groups, closed = catalogue.read_groups(meta[b"groups"])
            need(closed <= groups and max(self.paths)[0] < groups, "groups beyond", groups)

    def read_names(self, environment):
        before = -1
        for key, value in environment.read("names"):
            (number,) = struct.unpack(">I", key)
            need(number == before + 1, "number of a pack", number)
            for group, column, topic, name in catalogue.read_names(key, value):
                self.add_path(group, column, topic, name)
            before = number

    def read_names_v1(self, environment):
        for key, value in environment.read("series"):
            group, column = struct.unpack(">IB", key)
            need(column < 64 and xxh3(value[:-8], xxh3(key)) == int.from_bytes(value[-8:], "little"), "checksum of a series")
            topic_size, name_size = struct.unpack_from("<HH", value)
            need(len(value) == 4 + topic_size + name_size + 8, "size of a series")
            topic, name = value[4:4 + topic_size], value[4 + topic_size:-8]
            self.add_path(group, column, topic.decode(), name.decode())

    def add_path(self, group, column, topic, name):
        need(self.topics.setdefault(group, topic) == topic, "topics of group", group)
        path = topic + "/" + name if name else topic
        need(len(path.encode()) <= 1024 and path not in self.known, "path", path)
        self.known.add(path)
        self.paths[group, column] = path

    def read_delete(self, key, value):
        (position,) = struct.unpack(">Q", key)
        need(len(value) > 24 and xxh3(value[:-8], xxh3(key)) == int.from_bytes(value[-8:], "little"), "checksum of a delete")
        self.deletes[position] = journal.delete_of(*struct.unpack_from("<qq", value), value[16:-8])

    def is_gone(self, path, time, position):
        """Whether a point that was written up to a position lies under a later delete."""
        return any(at > position and journal.takes(delete, path, time) for at, delete in self.deletes.items())

    def read_texts(self, key, value):
        (pack,) = struct.unpack(">I", key)
        need(xxh3(value[:-8], xxh3(key)) == int.from_bytes(value[-8:], "little"), "checksum of texts")
        cursor, id = Cursor(value[:-8]), pack * PACK_TEXTS
        while cursor.at < cursor.end:
            size = cursor.varint(0, journal.TEXT_MAX + 1)
            need(id < (pack + 1) * PACK_TEXTS, "texts of pack", pack)
            if size:
                self.texts[id] = journal.text_of(cursor.take(size - 1))
            id += 1

    def text(self, bits):
        """The text a double stands for; None: it is a number."""
        if bits >> 32 != journal.TEXT_BITS_HIGH:
            return None
        need(bits & 0xFFFFFFFF in self.texts, "text", bits & 0xFFFFFFFF, "is not there")
        return self.texts[bits & 0xFFFFFFFF]

    def packs(self, environment, table):
        """(first group, beyond the last, key, value) of each pack of a table by groups."""
        packs = [(struct.unpack(">I", key)[0], key, value) for key, value in environment.read(table)]
        ends = [first for first, _, _ in packs[1:]] + [2**32]
        return [(first, end, key, value) for (first, key, value), end in zip(packs, ends)]

    def read_tags(self, environment):
        for first, end, key, value in self.packs(environment, "tags"):
            for group, column, tags in catalogue.read_tags(key, value):
                need(first <= group < end and (group, column) in self.paths, "tags of group", group)
                self.tags[self.paths[group, column]] = dict(tags)

    def read_newest(self, environment):
        for first, end, key, value in self.packs(environment, "newest"):
            for group, column, time, bits in catalogue.read_newest(key, value):
                need(first <= group < end and (group, column) in self.paths, "newest value of group", group)
                self.last[group, column] = (time, bits)

    def read_newest_v1(self, environment):
        for key, value in environment.read("last"):
            (group,) = struct.unpack(">I", key)
            need(xxh3(value[:-8], xxh3(key)) == int.from_bytes(value[-8:], "little"), "checksum of last values")
            before = -1
            for column, time, bits in struct.iter_unpack("<BqQ", value[:-8]):
                need(before < column < 64 and (group, column) in self.paths, "last values of group", group)
                self.last[group, column], before = (time, bits), column

    # The journal.

    def read_journal(self):
        environment = Environment(self.directory / "journal.mdb")
        meta = dict(environment.read("meta"))
        self.trimmed = journal.read_trimmed(meta["journal".encode()])
        self.records, self.rows, self.receipts = [], [], []
        for key, value in environment.read("records"):
            (position,) = struct.unpack(">Q", key)
            need(position >= max(self.trimmed, 1), "record", position, "was trimmed")
            need(not self.records or self.records[-1].position + 1 == position, "gap before record", position)
            self.records.append(journal.read_record(position, value))
        pieces = {}
        self.retained, self.graves = {}, []
        self.sessions = {space: {} for space in journal.SESSION_KEYS}
        for key, value in environment.read("state"):
            space, own, stamp, position, rest = journal.read_state(key, value)
            if not rest:
                self.graves.append(struct.pack(">Q", position) + key)
            elif space == journal.RETAINED_SPACE:
                self.retained[own.decode()] = journal.read_retained(rest)
            elif space == journal.RECEIPTS_SPACE:
                pieces[own[0]] = rest
            elif space in self.sessions:
                numbers, fields, more = journal.read_session_piece(space, own, rest)
                self.sessions[space][numbers] = (fields, more)
        self.check_sessions()
        self.receipts = journal.read_receipts(pieces)
        known = dict(environment.read("graves"))
        need(all(grave in known for grave in self.graves), "a grave that is not found again")
        for record in self.records:
            self.take_entries(record)

    def check_sessions(self):
        """Every reference resolves."""
        for space in (journal.SUBSCRIPTION, journal.QUEUED, journal.RECEIVED, journal.WILL):
            for numbers in self.sessions[space]:
                need((numbers[0],) in self.sessions[journal.SESSION], "a piece of session", numbers[0], "that is not there")
        for numbers, (fields, _) in self.sessions[journal.QUEUED].items():
            need(fields[2] == 0 or (fields[2],) in self.sessions[journal.MESSAGE], "place", numbers, "without its message")

    def take_entries(self, record):
        for entry in record.entries:
            if isinstance(entry, journal.Series):
                path = entry.topic + "/" + entry.name if entry.name else entry.topic
                known = self.paths.get((entry.group, entry.column))
                need(known in (None, path), "series", path, "is", known)
                if known is None:
                    self.add_path(entry.group, entry.column, entry.topic, entry.name)
            elif isinstance(entry, journal.Text):
                need(self.texts.setdefault(entry.id, entry.text) == entry.text, "two texts of number", entry.id)
            elif isinstance(entry, journal.Tag):
                self.take_tag(entry)
            elif isinstance(entry, journal.Delete):
                need(self.deletes.setdefault(record.position, entry) == entry, "two deletes at position", record.position)
            elif isinstance(entry, journal.Receipt):
                self.receipts.append(entry)
            else:
                need(all((entry.group, c) in self.paths for c in entry.values), "row of an unknown series")
                for bits in entry.values.values():
                    self.text(bits)
                self.rows.append((record.position, entry))

    def take_tag(self, entry):
        need((entry.group, entry.column) in self.paths, "tag of an unknown series")
        tags = self.tags.setdefault(self.paths[entry.group, entry.column], {})
        tags.pop(entry.key, None)
        if entry.value:
            tags[entry.key] = entry.value
        if not tags:
            del self.tags[self.paths[entry.group, entry.column]]

    # Partitions.

    def read_sources(self, value):
        need(xxh3(value[:-8], 0) == int.from_bytes(value[-8:], "little"), "checksum of sources")
        return list(struct.iter_unpack("<qI", value[:-8]))

    def read_positions(self, value):
        """(flush, position): flushes up to this one were written up to there."""
        need(xxh3(value[:-8], 0) == int.from_bytes(value[-8:], "little"), "checksum of positions")
        notes = list(struct.iter_unpack("<IQ", value[:-8]))
        need(notes and all(a[0] < b[0] and a[1] < b[1] for a, b in zip([(0, -1), *notes], notes)), "positions of flushes")
        return notes

    def read_part(self, path, name):
        environment = Environment(path)
        meta = dict(environment.read("meta"))
        sealed, number = name[3] == "seal", int(name[2] or 0)
        noted = {b"positions"} & set(meta)
        need(set(meta) == ({b"part", b"sources"} if sealed else {b"part"} | noted), path.name, "meta records")
        value = meta[b"part"]
        need(len(value) == PART_META.size, path.name, "meta record")
        magic, version, zero, start, end, flushes, zero2, applied, checksum = PART_META.unpack(value)
        need(magic == b"HJPT" and version in ((3, 4) if noted else (1, 2, 4, 5)) and zero == zero2 == 0, path.name, "version", version)
        need(xxh3(value[:-8], 0) == checksum, path.name, "checksum of its meta record")
        need(start % S == end % S == 0 and (sealed or end - start == self.period_s * S), path.name, "length")
        need(all(period_of(t // S, self.period_s) == t // S for t in (start, end)), path.name, "start or end")
        need(name_of(start // S, (end - start) // S, number, name[3]) == path.name, path.name, "name")
        need(not sealed or (flushes == 1 and number > 0), path.name, "flushes")
        last = self.records[-1].position if self.records else self.trimmed - 1
        need(applied <= last, path.name, "applied", applied, "journal", last)
        notes = self.read_positions(meta[b"positions"]) if noted else []
        need(all(p < applied and f < flushes for f, p in notes), path.name, "positions of flushes")
        chunks = []
        ends = {}
        for key, value in environment.read("chunks"):
            flush, group, first = struct.unpack(">IIQ", key)
            first -= 2**63
            if flush > flushes:
                continue
            chunk = Chunk(value, key)
            need(chunk.times[0] == first and start <= first and chunk.times[-1] < end, path.name, "times of a chunk")
            need(ends.get((flush, group), -2**63) < first, path.name, "chunks of a flush overlap")
            need(all((group, c.id) in self.paths for c in chunk.columns), path.name, "chunk of an unknown series")
            for bits in {bits for c in chunk.columns for bits in c.values}:
                self.text(bits)
            ends[flush, group] = chunk.times[-1]
            chunks.append((group, chunk, next((p for f, p in notes if flush <= f), applied)))
        bundled = self.read_bundles(path, environment, start, end, {group for _, group in ends})
        need(bool(bundled) == (version in (2, 5)), path.name, "bundles in version", version)
        chunks.extend((group, chunk, applied) for group, chunk in bundled)
        need(sealed or not list(environment.read("rollups")), path.name, "rollups of an active file")
        ends = {}
        for key, value in environment.read("rollups"):
            ends = self.check_rollups(key, value, ends, start, end, chunks)
        return Part(start, end, number, sealed, flushes, applied, self.read_sources(meta[b"sources"]) if sealed else [], chunks)

    def read_bundles(self, path, environment, start, end, others):
        found, before = [], -1
        for key, value in environment.read("bundles"):
            groups = read_bundle(key, value)
            need(struct.pack(">I", groups[-1][0]) == key, path.name, "bundle in a wrong place")
            for group, chunk in groups:
                need(before < group and group not in others, path.name, "bundled group", group)
                need(start <= chunk.times[0] and chunk.times[-1] < end, path.name, "times of bundled group", group)
                need(all((group, c.id) in self.paths for c in chunk.columns), path.name, "bundled group of an unknown series")
                for bits in {bits for c in chunk.columns for bits in c.values}:
                    self.text(bits)
                found.append((group, chunk))
                before = group
        return found

    def check_rollups(self, key, value, ends, start, end, chunks):
        group, level, column, last = struct.unpack(">IBBQ", key)
        last -= 2**63
        need(level < 2 and (group, column) in self.paths, "rollups of group", group, "column", column)
        length = ROLLUP_LENGTHS[level]
        chunk = Chunk(value, key)
        need(chunk.rows <= 1024 and not chunk.revisions and not any(chunk.arrivals), "rows of rollups")
        need(chunk.times[-1] == last and all(t % length == 0 for t in chunk.times), "times of rollups")
        need(start <= chunk.times[0] and last + length <= end, "rollups outside of the period")
        need(ends.get((group, level, column), -2**63) < chunk.times[0], "rollups overlap")
        buckets = {}
        for chunk_group, other, _ in chunks:
            if chunk_group == group and other.times[0] < last + length and other.times[-1] >= chunk.times[0]:
                for own in (c for c in other.columns if c.id == column):
                    for row, bits in zip(own.present, own.values):
                        if chunk.times[0] <= other.times[row] < last + length:
                            buckets.setdefault(other.times[row] // length * length, []).append((other.times[row], bits))
        need(sorted(buckets) == chunk.times, "rollups of other buckets")
        fields = {c.id: dict(zip((chunk.times[row] for row in c.present), map(double_of, c.values))) for c in chunk.columns}
        need(set(fields) <= set(range(9)), "columns of rollups")
        for time, points in buckets.items():
            self.check_rollup({id: values[time] for id, values in fields.items() if time in values}, time, points)
        return {**ends, (group, level, column): last}

    @staticmethod
    def check_rollup(said, time, points):
        real = [(t, double_of(bits)) for t, bits in points if not is_nan(bits)]
        values = [value for _, value in real]
        want = {0: len(real), 7: (real or points)[0][0] - time, 8: (real or points)[-1][0] - time}
        if len(real) < len(points):
            want[1] = len(points) - len(real)
        if real:
            want.update({3: min(values), 4: max(values), 5: values[0], 6: values[-1]})
            need(2 in said, "rollup without a sum")
            check_rollup_sum(said[2], values)
        need({id: value for id, value in said.items() if id != 2} == want, "rollup", said, "not", want)
        need(real or 2 not in said, "sum of no values")

    def points(self):
        """{path: {time: bits}}: sealed before active, chunks in order of their flushes, then what the journal has beyond them."""
        found = {}
        for part in self.parts:
            for path, time, bits in self.points_of(part):
                found.setdefault(path, {})[time] = bits
        for position, row in self.rows:
            if all(position > p.applied for p in self.parts if p.start <= row.time < p.end):
                for column, bits in row.values.items():
                    path = self.paths[row.group, column]
                    if not self.is_gone(path, row.time, position):
                        found.setdefault(path, {})[row.time] = bits
        return found

    def points_of(self, part):
        for group, chunk, position in part.chunks:
            for column in chunk.columns:
                path = self.paths[group, column.id]
                for row, bits in zip(column.present, column.values):
                    if not self.is_gone(path, chunk.times[row], position):
                        yield path, chunk.times[row], bits

    def check_last(self):
        """Last values are never older than what was trimmed from the journal: than no point of records before. One below 0 tells
        what the newest one left is before."""
        places = {path: place for place, path in self.paths.items()}
        for part in self.parts:
            if part.applied < self.trimmed:
                for path, time, _ in self.points_of(part):
                    last = self.last.get(places[path], (-1,))[0]
                    need(last >= time or time < -last, "last value of", path)


def check_rollup_sum(got, values):
    """But for rounding; with infinities, or beyond all doubles, no number is sure."""
    size = math.fsum(map(abs, values)) if all(map(math.isfinite, values)) and max(map(abs, values)) < 1e300 else math.inf
    need(size == math.inf or abs(got - math.fsum(values)) <= 1e-12 * size, "sum of a rollup")


def quoted(text):
    return '"' + text.replace('"', '""') + '"'


def cell_of(store, bits, as_bits):
    """A number as it stands, a text always in quotes."""
    value, text = double_of(bits), store.text(bits)
    if text is not None:
        return quoted(text)
    if as_bits:
        return f"{bits:016x}"
    if is_nan(bits):
        return "nan"
    text = repr(value)
    return text[:-2] if text.endswith(".0") else text


def main(directory, *options):
    if options not in ((), ("--bits",)):
        raise SystemExit(__doc__)
    try:
        store = Store(directory)
        points = store.points()
    except (Broken, OSError, struct.error, ValueError) as problem:
        raise SystemExit(f"{directory}: {problem}") from problem
    print("series,time,value")
    for path in sorted(points, key=str.encode):
        name = quoted(path) if any(c in path for c in ',"\n\r') else path
        for time in sorted(points[path]):
            print(f"{name},{time},{cell_of(store, points[path][time], bool(options))}")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        raise SystemExit(__doc__)
    main(*sys.argv[1:])
