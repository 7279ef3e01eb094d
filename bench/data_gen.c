/* A city's readings, made up: the same bytes for the same arguments on every machine.
 *
 * data_gen city SERIES POINTS SEED PREFIX     PREFIX.bin, .series, .lp (line protocol, times in ms)
 * data_gen year SEED PREFIX                   one sensor, a year of seconds; PREFIX.bin, .series
 *
 * A site has ten series of ten kinds; ten sites are a district. Points come in the order of their
 * times over all series, as they would arrive. Gauges wander (AR(1), some with a daily wave) and
 * are rounded to the digits a sensor has; counters only grow. Half of the series stamp their own
 * clock's milliseconds around the schedule (normal, 30 ms), a quarter whole seconds of which one in
 * twenty is a second late, a quarter the exact schedule. */

#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "bench/dataset.h"

#define T0_MS   INT64_C(1767225600000) /* 2026-01-01 */
#define YEAR_MS INT64_C(1735689600000) /* 2025-01-01 */

enum { KINDS = 10, SITES_IN_DISTRICT = 10, DAY_MS = 86400000, FILE_BUFFER_BYTES = 1 << 20 };
enum { YEAR_POINTS = 365 * 86400 };

/* Base, wave and noise in units of the last digit; of a counter, noise and mean of its steps. */
static const struct kind {
    const char *name;
    int64_t interval_ms;
    unsigned digits;
    bool is_counter;
    double base, wave, noise;
} kinds[KINDS] = {
    {"power_kw", 10000, 3, false, 42000, 15000, 150},
    {"voltage_v", 10000, 1, false, 2300, 20, 7},
    {"flow_m3h", 10000, 2, false, 3500, 1500, 40},
    {"vib_mms", 10000, 3, false, 2400, 0, 60},
    {"pm10", 60000, 1, false, 400, 150, 10},
    {"temp_c", 60000, 1, false, 85, 60, 3},
    {"hum_pct", 60000, 1, false, 700, -150, 6},
    {"level_m", 60000, 3, false, 1850, 60, 8},
    {"energy_kwh", 900000, 3, true, 1000000, 500, 150},
    {"water_m3", 900000, 3, true, 200000, 60, 30},
};

enum clock_kind { CLOCK_JITTER, CLOCK_JITTER_TOO, CLOCK_SECONDS, CLOCK_EXACT, CLOCKS };

struct series {
    int64_t start_ms, time_ms; /* Of the schedule; of the next point. */
    int64_t total;             /* Of a counter. */
    uint32_t index, done;
    double swing; /* What AR(1) adds now. */
};

struct city {
    uint32_t count, points;
    struct series *series;
    struct series **heap; /* By time of the next point; heap[0] is first. */
    uint64_t random;
    FILE *bin, *lp;
    char **tags; /* Of line protocol, a text for each series. */
};

/* splitmix64 */
static uint64_t next_random(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

/* In (0, 1]. */
static double next_fraction(uint64_t *state)
{
    return (double)((next_random(state) >> 11) + 1) * 0x1p-53;
}

static double next_normal(uint64_t *state)
{
    double radius = sqrt(-2 * log(next_fraction(state)));
    return radius * cos(2 * M_PI * next_fraction(state));
}

static FILE *create(const char *prefix, const char *ending)
{
    char path[1024];
    (void)snprintf(path, sizeof path, "%s.%s", prefix, ending);
    FILE *file = fopen(path, "we");
    if (file == NULL || setvbuf(file, NULL, _IOFBF, FILE_BUFFER_BYTES) != 0) {
        perror(path);
        exit(1);
    }
    return file;
}

static void finish(FILE *file)
{
    if (file != NULL && (ferror(file) != 0 || fclose(file) != 0)) {
        perror("writing");
        exit(1);
    }
}

static void put_point(FILE *bin, uint32_t series, int64_t time_ms, double value)
{
    const struct dataset_point point = {series, time_ms, value};
    (void)fwrite(&point, sizeof point, 1, bin);
}

static const struct kind *kind_of(const struct series *s)
{
    return &kinds[s->index % KINDS];
}

/* When the next point is stamped. */
static int64_t stamp(struct city *c, const struct series *s)
{
    const int64_t due_ms = s->start_ms + s->done * kind_of(s)->interval_ms;
    switch ((enum clock_kind)(s->index / KINDS % CLOCKS)) {
    case CLOCK_SECONDS:
        return due_ms / 1000 * 1000 + (next_random(&c->random) % 20 == 0 ? 1000 : 0);
    case CLOCK_EXACT:
        return due_ms;
    case CLOCK_JITTER:
    case CLOCK_JITTER_TOO:
    case CLOCKS:
    default:
        return due_ms + lround(30 * next_normal(&c->random));
    }
}

/* The next reading, in units of the last digit. */
static int64_t read_sensor(struct city *c, struct series *s)
{
    const struct kind *k = kind_of(s);
    if (k->is_counter) {
        int64_t step = lround(k->wave + k->noise * next_normal(&c->random));
        s->total += step > 0 ? step : 0;
        return s->total;
    }
    double phase = 2 * M_PI * (double)(s->time_ms % DAY_MS) / DAY_MS;
    s->swing = 0.98 * s->swing + k->noise * next_normal(&c->random);
    return lround(k->base + k->wave * sin(phase) + s->swing);
}

static bool is_before(const struct series *a, const struct series *b)
{
    return a->time_ms < b->time_ms || (a->time_ms == b->time_ms && a->index < b->index);
}

/* Let heap[at] sink to its place. */
static void sink(struct city *c, uint32_t at)
{
    struct series *s = c->heap[at];
    for (uint32_t child; (child = 2 * at + 1) < c->count; at = child) {
        if (child + 1 < c->count && is_before(c->heap[child + 1], c->heap[child])) {
            child++;
        }
        if (!is_before(c->heap[child], s)) {
            break;
        }
        c->heap[at] = c->heap[child];
    }
    c->heap[at] = s;
}

static char *copy_text(const char *text)
{
    char *copy = strdup(text);
    CHECK(copy != NULL);
    return copy;
}

/* The place of a series in the city, and its first moment. */
static void open_series(struct city *c, uint32_t index, FILE *names)
{
    char tags[128];
    struct series *s = &c->series[index];
    const uint32_t site = index / KINDS, district = site / SITES_IN_DISTRICT;
    *s = (struct series){.index = index};
    const struct kind *k = kind_of(s);
    s->start_ms = T0_MS + (int64_t)(next_random(&c->random) % (uint64_t)k->interval_ms);
    s->total = (int64_t)(k->base * next_fraction(&c->random));
    s->time_ms = stamp(c, s);
    c->heap[index] = s;
    (void)fprintf(names, "city/d%04" PRIu32 "/s%05" PRIu32 "/%s\n", district, site, k->name);
    (void)snprintf(tags, sizeof tags,
                   "reading,kind=%s,district=d%04" PRIu32 ",site=s%05" PRIu32 " value=", k->name,
                   district, site);
    c->tags[index] = copy_text(tags);
}

static void open_city(struct city *c, const char *prefix)
{
    FILE *names = create(prefix, "series");
    c->series = calloc(c->count, sizeof *c->series);
    c->heap = calloc(c->count, sizeof(struct series *));
    c->tags = calloc(c->count, sizeof(char *));
    CHECK(c->series != NULL && c->heap != NULL && c->tags != NULL);
    c->bin = create(prefix, "bin");
    c->lp = create(prefix, "lp");
    for (uint32_t i = 0; i < c->count; i++) {
        open_series(c, i, names);
    }
    for (uint32_t i = c->count / 2 + 1; i-- > 0;) {
        sink(c, i);
    }
    finish(names);
}

static void put_reading(struct city *c, const struct series *s, int64_t reading)
{
    static const int64_t powers[] = {1, 10, 100, 1000};
    const int64_t power = powers[kind_of(s)->digits];
    const int64_t size = reading < 0 ? -reading : reading;
    put_point(c->bin, s->index, s->time_ms, (double)reading / (double)power);
    (void)fprintf(c->lp, "%s%s%" PRId64 ".%0*" PRId64 " %" PRId64 "\n", c->tags[s->index],
                  reading < 0 ? "-" : "", size / power, (int)kind_of(s)->digits, size % power,
                  s->time_ms);
}

static void write_city(struct city *c)
{
    while (c->count > 0) {
        struct series *s = c->heap[0];
        put_reading(c, s, read_sensor(c, s));
        if (++s->done < c->points) {
            s->time_ms = stamp(c, s);
        } else {
            c->heap[0] = c->heap[--c->count];
        }
        sink(c, 0);
    }
    finish(c->bin);
    finish(c->lp);
}

static void write_year(uint64_t seed, const char *prefix)
{
    FILE *names = create(prefix, "series"), *bin = create(prefix, "bin");
    double swing = 0;
    (void)fprintf(names, "city/year/voltage_v\n");
    for (int64_t i = 0; i < YEAR_POINTS; i++) {
        const double phase = 2 * M_PI * (double)(i % (DAY_MS / 1000)) / (DAY_MS / 1000.0);
        swing = 0.98 * swing + 4 * next_normal(&seed);
        put_point(bin, 0, YEAR_MS + i * 1000, (double)lround(2300 + 20 * sin(phase) + swing) / 10);
    }
    finish(names);
    finish(bin);
}

int main(int argc, char **argv)
{
    if (argc == 6 && strcmp(argv[1], "city") == 0) {
        struct city c = {.count = (uint32_t)strtoul(argv[2], NULL, 10),
                         .points = (uint32_t)strtoul(argv[3], NULL, 10),
                         .random = strtoull(argv[4], NULL, 10)};
        CHECK(c.count > 0 && c.points > 0);
        open_city(&c, argv[5]);
        write_city(&c);
        return 0;
    }
    if (argc == 4 && strcmp(argv[1], "year") == 0) {
        write_year(strtoull(argv[2], NULL, 10), argv[3]);
        return 0;
    }
    (void)fprintf(stderr, "usage: data_gen city SERIES POINTS SEED PREFIX | year SEED PREFIX\n");
    return 2;
}
