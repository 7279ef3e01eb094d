"""Decodes a chunk by docs/FORMAT.md, section Chunk, alone; refuses what breaks a rule there.

Doubles are kept as their 64 bits, so that no payload of a NaN is lost on the way.
"""

import struct
from collections import namedtuple
from fractions import Fraction

from read_lmdb import need
from xxh3 import xxh3

ROWS_MAX, COLUMNS_MAX, SCALE_MAX, WIDEST = 8192, 64, 22, 2**50
UNITS = (1, 10**3, 10**6, 10**9)
MASK = 2**64 - 1
PARTIAL, DOUBLES = 0x40, 0x80
SCALED, SINGLE, BITS, DICTIONARY = range(4)
CONSTANT, LINEAR, FOR, DELTA, DELTA2, RUNS, REFERENCE, TREND, DRIFT, CENTRE = range(10)


def signed(value):
    value &= MASK
    return value - 2**64 if value >> 63 else value


def unzigzag(value):
    return signed(value >> 1 ^ -(value & 1))


def double_of(bits):
    return struct.unpack("<d", struct.pack("<Q", bits))[0]


def bits_of(double):
    return struct.unpack("<Q", struct.pack("<d", double))[0]


def is_nan(bits):
    return bits & 0x7FFFFFFFFFFFFFFF > 0x7FF0000000000000


class Cursor:
    def __init__(self, data, at=0, end=None):
        self.data, self.at, self.end = data, at, len(data) if end is None else end

    def take(self, size):
        need(0 <= size <= self.end - self.at, "bytes end early")
        self.at += size
        return self.data[self.at - size:self.at]

    def part(self, size):
        """A cursor of its own over the next bytes, which are taken."""
        self.take(size)
        return Cursor(self.data, self.at - size, self.at)

    def u8(self):
        return self.take(1)[0]

    def number(self, form):
        return struct.unpack("<" + form, self.take(struct.calcsize("<" + form)))[0]

    def varint(self, low=0, high=MASK):
        value = shift = 0
        while True:
            byte = self.u8()
            value |= (byte & 0x7F) << shift
            need(value <= MASK, "varint of more than 64 bits")
            if byte < 0x80:
                break
            shift += 7
        need(low <= value <= high, "number", value, "outside of", low, high)
        return value

    def zigzag(self):
        return unzigzag(self.varint())

    def done(self):
        need(self.at == self.end, self.end - self.at, "bytes are left over")


class Bits:
    """A bit string, least significant bit first, over the bytes that start at a cursor."""

    def __init__(self, cursor):
        self.cursor, self.at = cursor, 0
        self.value = int.from_bytes(cursor.data[cursor.at:cursor.end], "little")
        self.size = 8 * (cursor.end - cursor.at)

    def take(self, count):
        need(self.at + count <= self.size, "bits end early")
        value = self.value >> self.at & (1 << count) - 1
        self.at += count
        return value

    def finish(self):
        """Takes the whole bytes that were begun off the cursor; bits left in the last one are 0."""
        need(self.take(-self.at % 8) == 0, "bits after the last one")
        self.cursor.take(self.at // 8)


# Integer streams.


def patched(cursor, count):
    form = cursor.u8()
    width = form & 0x7F
    need(width <= 64 and (form < 0x80 or width < 64), "width", form)
    packed = int.from_bytes(cursor.take((count * width + 7) // 8), "little")
    need(packed >> count * width == 0, "bits after the last residual")
    mask = (1 << width) - 1
    z = [packed >> i * width & mask for i in range(count)]
    if form & 0x80:
        at = 0
        for _ in range(cursor.varint(0, count)):
            at += cursor.varint()
            need(at < count, "exception beyond the end")
            high = cursor.varint(0, 2 ** (64 - width) - 2)
            z[at] += (high + 1) << width
            at += 1
    return z


def token_meaning(token):
    """(own bits, lowest value)"""
    if token < 16:
        return 0, token
    own = 3 + (token - 16) // 2
    return own, (2 + (token & 1)) << own


def tans_tables(bits, size):
    """(token, bits of the next state, least next state) of each state."""
    log = size.bit_length() - 1
    token, left, counts = bits.take(8), size, {}
    while left:
        zeros = 0
        while bits.take(1) == 0:
            zeros += 1
            need(zeros < 64, "gamma code too long")
        frequency = (1 << zeros | bits.take(zeros)) - 1
        need(frequency <= left and token <= 135, "frequencies of tokens")
        if frequency:
            counts[token] = frequency
        left -= frequency
        token += 1
    tokens, place = [None] * size, 0
    for token, frequency in counts.items():
        for _ in range(frequency):
            tokens[place] = token
            place = (place + size // 2 + size // 8 + 3) % size
    states = []
    for token in tokens:
        x = counts[token]
        counts[token] += 1
        more = log - (x.bit_length() - 1)
        states.append((token, more, (x << more) - size))
    return states


def tans(cursor, count):
    need(count >= 8, "tANS of few residuals")
    log = min(max(count.bit_length() - 1, 5), 10)
    bits = Bits(cursor)
    table = tans_tables(bits, 1 << log)
    states = [bits.take(log) for _ in range(4)]
    z = []
    for i in range(count):
        token, more, least = table[states[i % 4]]
        states[i % 4] = least + bits.take(more)
        own, low = token_meaning(token)
        z.append(low + bits.take(own))
    need(states == [0] * 4, "tANS ends in", states)
    bits.finish()
    return z


def rice(cursor, count):
    k = cursor.u8()
    need(k <= 32, "Rice code of", k, "bits")
    bits, z = Bits(cursor), []
    for _ in range(count):
        zeros = 0
        while zeros < 24 and bits.take(1) == 0:
            zeros += 1
        z.append(bits.take(64) if zeros == 24 else zeros << k | bits.take(k))
    bits.finish()
    return z


def read_residuals(cursor, packing, count):
    need(packing <= 2, "packing", packing)
    return (patched, tans, rice)[packing](cursor, count)


def integers(cursor, n, in_runs=False):
    """One integer stream of n values, as signed 64-bit numbers."""
    tag = cursor.u8()
    stage, packing = tag & 15, tag >> 4 & 3
    need(tag < 0x80, "tag", tag)
    need(stage not in (CONSTANT, LINEAR) or tag == stage, "tag", tag)
    divisor, base = (cursor.varint(), cursor.zigzag()) if tag & 0x40 else (1, 0)
    if stage == RUNS:
        need(packing == 0 and not in_runs, "runs inside runs")
        k = runs(cursor, n)
    else:
        k = staged(cursor, stage, packing, n)
    return [signed(base + divisor * v) for v in k]


def runs(cursor, n):
    count = cursor.varint(0, n // 2)
    values = integers(cursor, count, True)
    lengths = integers(cursor, count, True)
    need(all(length >= 0 for length in lengths) and sum(lengths) == n, "lengths of runs")
    return [v for v, length in zip(values, lengths) for _ in range(length)]


def staged(cursor, stage, packing, n):
    need(stage <= CENTRE and stage not in (RUNS, REFERENCE), "stage", stage)
    first = cursor.zigzag()
    step = cursor.zigzag() if stage in (LINEAR, DELTA2, TREND, DRIFT) else 0
    if stage in (CONSTANT, LINEAR):
        return [first + step * i for i in range(n)]
    fewer = {FOR: 0, TREND: 0, CENTRE: 0, DELTA: 1, DRIFT: 1, DELTA2: 2}[stage]
    need(n >= fewer, "stage", stage, "of", n, "values")
    z = read_residuals(cursor, packing, n - fewer)
    if stage in (FOR, TREND):
        return [first + step * i + r for i, r in enumerate(z)]
    if stage == CENTRE:
        return [first + unzigzag(r) for r in z]
    k = [first]
    if stage == DELTA2:
        k.append(first + step)
    for r in z:
        if stage == DELTA2:
            step += unzigzag(r)
            k.append(k[-1] + step)
        else:
            k.append(k[-1] + step + unzigzag(r))
    return k


# Columns.


class Column:
    brief = False  # In a bundle.

    def __init__(self, cursor, rows, span, plain=False, sized=True):
        head, form = 0 if plain else cursor.u8(), cursor.u8()
        self.id, self.partial, self.doubles = head & 63, head & PARTIAL, head & DOUBLES
        self.scale, self.mode, self.exceptions = form & 31, form >> 5 & 3, form & 0x80
        self.form, self.packed = form, self.mode == DICTIONARY and self.scale > 0
        if self.packed:
            self.mode, self.scale, self.exceptions = SINGLE if self.exceptions else SCALED, self.scale - 1, True
        need(self.scale <= SCALE_MAX, "scale", self.scale)
        need(self.mode < BITS or (self.scale == 0 and not self.exceptions), "form", form)
        self.size = cursor.varint() if sized else None
        self.map_size, self.count, self.nans, self.first_offset, self.last_offset = 0, rows, 0, 0, 0
        if self.partial:
            self.map_size, self.count = cursor.varint(), cursor.varint(1, rows)
            self.nans = cursor.varint(0, self.count)
            self.first_offset, self.last_offset = cursor.varint(0, span), cursor.varint(0, span)
            need(self.first_offset + self.last_offset <= span, "offsets")
            need(self.map_size or self.count == rows, "values without a map")
        exact = self.mode == SCALED and not self.exceptions and not self.nans
        need(exact != bool(self.doubles), "form of statistics")
        self.statistics = self.read_statistics(cursor)

    def read_statistics(self, cursor):
        """min, max, sum, first, last: integers when exact, else bits."""
        if self.doubles:
            return [cursor.number("Q") for _ in range(5)] if self.nans < self.count else []
        low = cursor.zigzag()
        above, first, last, rest = (cursor.varint() for _ in range(4))
        need(-WIDEST < low and low + above < WIDEST and max(first, last) <= above, "exact statistics")
        need(rest <= above * self.count, "exact sum")
        return [low, low + above, rest + self.count * low, low + first, low + last]


def read_map(cursor, column, place, columns, rows):
    """The rows that have a value; cursor covers the map exactly."""
    if not column.map_size:
        return list(range(rows))
    kind = cursor.u8()
    if kind == 0:
        packed = int.from_bytes(cursor.take((rows + 7) // 8), "little")
        need(packed >> rows == 0, "unused bits of a bitmap")
        present = [i for i in range(rows) if packed >> i & 1]
    elif kind == 1:
        present, at = [], 0
        for i, length in enumerate(integers(cursor, cursor.varint(0, rows))):
            need(length >= 0, "run of", length)
            if i % 2 == 0:
                present.extend(range(at, at + length))
            at += length
            need(at <= rows, "runs beyond the rows")
        need(at == rows, "runs end early")
    else:
        need(kind == 2 and column.map_size == 2, "map of kind", kind)
        other = cursor.u8()
        need(other < place and columns[other].map_size, "map of column", other)
        present = columns[other].present
    cursor.done()
    need(len(present) == column.count, "map of", len(present), "values, not", column.count)
    return present


def read_reference(cursor, column, place, columns):
    cursor.u8()
    other = cursor.u8()
    need(other < place, "reference to column", other)
    base = columns[other]
    need(column.mode == SCALED and not column.exceptions, "reference of form", column.form)
    need(base.form == column.form and base.present == column.present, "reference to another form or map")
    d = integers(cursor, column.count)
    return [signed(a + b) for a, b in zip(d, base.q)]


def read_exceptions(cursor, column):
    found, at = {}, 0
    if column.packed:
        count = cursor.varint(1, column.count)
        gaps, bits = integers(cursor, count), integers(cursor, count)
        for gap, q in zip(gaps, bits):
            at += gap
            need(gap >= 0 and at < column.count, "exception beyond the values")
            found[at] = order_to_bits(q)
            at += 1
    elif column.exceptions:
        for _ in range(cursor.varint(1, column.count)):
            at += cursor.varint()
            need(at < column.count, "exception beyond the values")
            found[at] = cursor.number("Q")
            at += 1
    return found


def order_to_bits(q):
    return (q if q >= 0 else q ^ 0x7FFFFFFFFFFFFFFF) & MASK


def value_bits(column, q):
    value = float(q) / float(10**column.scale)
    if column.mode == SINGLE:
        value = struct.unpack("<f", struct.pack("<f", value))[0]
    return bits_of(value)


def read_column(cursor, column, place, columns):
    """Sets column.q and column.values (bits); cursor covers the stream exactly."""
    exceptions = read_exceptions(cursor, column)
    words = []
    if column.mode == DICTIONARY:
        words = integers(cursor, cursor.varint(0, column.count // 2))
        need(words == sorted(set(words)), "words do not ascend")
    if column.mode == SCALED and cursor.at < cursor.end and cursor.data[cursor.at] & 15 == REFERENCE:
        need(cursor.data[cursor.at] == REFERENCE, "tag", cursor.data[cursor.at])
        column.q = read_reference(cursor, column, place, columns)
    else:
        column.q = [0] * column.count if column.brief and cursor.at == cursor.end else integers(cursor, column.count)
        if column.brief and not column.doubles:
            column.q = [signed(q + column.statistics[3]) for q in column.q]
    cursor.done()
    if column.mode == DICTIONARY:
        need(all(0 <= q < len(words) for q in column.q), "no such word")
        column.values = [order_to_bits(words[q]) for q in column.q]
    elif column.mode == BITS:
        column.values = [order_to_bits(q) for q in column.q]
    else:
        need(all(-WIDEST < q < WIDEST for q in column.q), "integers too wide")
        column.values = [value_bits(column, q) for q in column.q]
    for at, bits in exceptions.items():
        column.values[at] = bits


def check_statistics(column, times, unit):
    real = [i for i, bits in enumerate(column.values) if not is_nan(bits)]
    need(len(real) == column.count - column.nans, "number of NaN")
    ends = (column.present[real[0]], column.present[real[-1]]) if real else (column.present[0], column.present[-1])
    need(times[ends[0]] - times[0] == column.first_offset * unit, "first offset")
    need(times[-1] - times[ends[1]] == column.last_offset * unit, "last offset")
    if not column.doubles:
        q = column.q
        need(column.statistics == [min(q), max(q), sum(q), q[0], q[-1]], "statistics", column.statistics)
    elif real:
        values = [column.values[i] for i in real]
        doubles = [double_of(b) for b in values]
        low, high, total, first, last = column.statistics
        need((first, last) == (values[0], values[-1]), "first or last")
        need((double_of(low), double_of(high)) == (min(doubles), max(doubles)), "min or max")
        check_sum(double_of(total), doubles)


def check_sum(got, doubles):
    """Compensated, so near the true sum; with infinities, or beyond all doubles, whatever plain addition gives."""
    if any(d in (float("inf"), float("-inf")) for d in doubles):
        want = sum(doubles)
        need(got == want or (got != got and want != want), "sum with infinities")
        return
    if abs(got) == float("inf") or got != got:
        need(sum(abs(Fraction(d)) for d in doubles) > 2**1023, "sum out of range")
        return
    exact = sum(map(Fraction, doubles))
    size = sum(abs(Fraction(d)) for d in doubles)
    need(abs(Fraction(got) - exact) <= abs(exact) * Fraction(1, 2**52) + size * Fraction(1, 2**90), "sum")


class Chunk:
    """times (ns) and columns, each with id, present (rows) and values (bits of doubles)."""

    arrival_base = 0

    def __init__(self, data, key=None):
        need(len(data) >= 12 and data[:2] == b"Hc", "no chunk")
        need(data[2] == 1 and data[3] in (0, 1, 2, 3), "chunk of version", data[2], "flags", data[3])
        body = data[:-8]
        if key is not None:
            need(int.from_bytes(data[-8:], "little") == xxh3(body, xxh3(key)), "checksum of a chunk")
        cursor = Cursor(body, 4)
        times_size, span = self.read_head(cursor)
        self.columns = [Column(cursor, self.rows, span) for _ in range(self.take_columns(cursor))]
        self.read_body(cursor, times_size, span, bool(data[3] & 1))

    def read_body(self, cursor, times_size, span, has_arrivals):
        need(all(a.id < b.id for a, b in zip(self.columns, self.columns[1:])), "columns do not ascend")
        self.read_times(cursor.part(times_size), span)
        for place, column in enumerate(self.columns):
            column.present = read_map(cursor.part(column.map_size), column, place, self.columns, self.rows)
            read_column(cursor.part(column.size), column, place, self.columns)
            check_statistics(column, self.times, self.unit)
        self.arrivals, self.revisions = [0] * self.rows, []
        if has_arrivals:
            self.read_arrivals(cursor)
            self.read_revisions(cursor)
        cursor.done()

    def read_head(self, cursor):
        self.rows = cursor.varint(1, ROWS_MAX)
        unit = cursor.u8()
        need(unit < len(UNITS), "unit", unit)
        self.unit = UNITS[unit]
        self.first = cursor.zigzag()
        span = cursor.varint()
        need(span >= self.rows - 1, "span", span)
        need(-2**63 <= self.first * self.unit and (self.first + span) * self.unit < 2**63, "times out of range")
        return cursor.varint(), span

    @staticmethod
    def take_columns(cursor):
        count = cursor.u8()
        need(count <= COLUMNS_MAX, count, "columns")
        return count

    def read_offsets(self, cursor):
        return integers(cursor, self.rows)

    def read_times(self, cursor, span):
        offsets = self.read_offsets(cursor)
        cursor.done()
        need(offsets[0] == 0 and offsets[-1] == span, "times do not go from first to last")
        need(all(a < b for a, b in zip(offsets, offsets[1:])), "times do not ascend")
        self.times = [(self.first + o) * self.unit for o in offsets]
        need(self.unit == UNITS[-1] or any(t % (self.unit * 1000) for t in self.times), "not the coarsest unit")

    def read_arrivals(self, cursor):
        late = cursor.varint(0, self.rows)
        if late == 0:
            return
        present = range(self.rows)
        if late < self.rows:
            kind = namedtuple("Map", "map_size count")(cursor.varint(1), late)
            present = read_map(cursor.part(kind.map_size), kind, 0, [], self.rows)
        for row, arrival in zip(present, integers(cursor, late)):
            arrival += self.arrival_base
            need(0 < arrival < 2**32, "arrival", arrival)
            self.arrivals[row] = arrival

    def read_revisions(self, cursor):
        """(row, column id, arrival, bits, or None: when the current value came), older versions first."""
        row = 0
        for _ in range(cursor.varint(0, 4096)):
            row += cursor.varint(0, self.rows - 1)
            need(row < self.rows, "revision of row", row)
            head = cursor.u8()
            arrival = 0 if head & 128 else self.times[row] // 10**9 + cursor.zigzag()
            need(head & 128 or 0 < arrival < 2**32, "arrival", arrival)
            bits = None if head & 64 else cursor.number("Q")
            need(any(c.id == head & 63 and row in c.present for c in self.columns), "revision of no value")
            self.revisions.append((row, head & 63, arrival, bits))
        for a, b in zip(self.revisions, self.revisions[1:]):
            need(a[:2] < b[:2] or (a[:2] == b[:2] and a[3] is not None), "revisions out of order")
