#include "cli/aggregates.h"
#include "cli/arguments.h"
#include "cli/command.h"
#include "cli/every.h"
#include "cli/fetch.h"
#include "cli/server.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/zone.h"

/* What was given, before it is looked at. */
struct given {
    const char *from, *to, *every, *aggregates, *group_by, *time_zone, *where;
    int fill, format, times;
    int64_t fill_max_ns, gap_max_ns, limit, known_ns;
};

/* What the request points to. */
struct made {
    struct fetch fetch;
    struct aggregates aggregates;
    struct hejnal_key keys[HEJNAL_KEYS_MAX];
    char *key_text; /* The list of keys, cut into pieces. */
    struct zone *zone;
};

static const char example[] =
    "  hejnal query 'krakow/air/+/pm25' --from -1d --every 1h --agg mean,max,p95\n"
    "  hejnal query krakow/water/bielany/level --from 2026-11-01 --to 2026-11-02 --format csv\n"
    "  hejnal query 'krakow/energy/#' --from 2026-01-01 --every 1mo --tz Europe/Warsaw --agg "
    "increase --group-by district\n"
    "  hejnal query 'krakow/air/#' --from -7d --every 1d --agg mean,coverage --group-by '$3' "
    "--where 'unit==\"ug/m3\" && district!=\"Old\"'\n"
    "  hejnal query 'krakow/+/temperature' --from -6h --every 5m --fill previous --fill-max 1h\n";

static int usage(const char *what, const char *word, const char *right)
{
    return command_fail(EXIT_USAGE, "query", "%s '%s'; %s", what, word, right);
}

static int read_zone(const struct given *g, struct made *m)
{
    if (g->time_zone == NULL) {
        return EXIT_DONE;
    }
    if (g->every == NULL) {
        return command_fail(EXIT_USAGE, "query", "--tz needs buckets; e.g. --every 1d");
    }
    if (zone_open(bytes_of(g->time_zone), &m->zone) != OK) {
        return usage("unknown time zone", g->time_zone, "one is Europe/Warsaw");
    }
    m->fetch.query.time_zone = g->time_zone;
    m->fetch.zone = m->zone;
    return EXIT_DONE;
}

static int read_window(const struct given *g, struct made *m)
{
    static const char right[] = "use RFC 3339, 2026-11-23, now, -6h, or unix s, ms, us or ns";
    struct hejnal_query *q = &m->fetch.query;
    const int64_t now_ns = clock_wall_ns();
    if (g->from == NULL) {
        return command_fail(EXIT_USAGE, "query", "--from is missing; e.g. --from -6h");
    }
    if (every_read_time(g->from, m->zone, now_ns, &q->from_ns) != OK) {
        return usage("bad time", g->from, right);
    }
    q->to_ns = now_ns;
    if (g->to != NULL && every_read_time(g->to, m->zone, now_ns, &q->to_ns) != OK) {
        return usage("bad time", g->to, right);
    }
    return EXIT_DONE;
}

/* What makes sense with buckets only. */
static int check_points(const struct given *g)
{
    const char *option = g->aggregates != NULL ? "--agg"
                         : g->group_by != NULL ? "--group-by"
                         : g->fill != 0        ? "--fill"
                                               : NULL;
    if (option != NULL) {
        return command_fail(EXIT_USAGE, "query", "%s needs buckets; e.g. --every 1h", option);
    }
    return EXIT_DONE;
}

static int read_aggregates(const struct given *g, struct made *m)
{
    const char *wrong;
    m->aggregates.bits = HEJNAL_MEAN;
    if (g->aggregates != NULL) {
        const enum err e = aggregates_read(g->aggregates, &m->aggregates, &wrong);
        if (e == E_LIMIT) {
            return usage("too many percentiles at", wrong, "at most 8 in a query");
        }
        if (e != OK) {
            return usage("unknown aggregate", wrong, "--agg takes a list of " AGGREGATES_ALL);
        }
    }
    m->fetch.query.aggregates = m->aggregates.bits;
    m->fetch.query.percentiles = m->aggregates.percentiles;
    m->fetch.query.percentile_count = m->aggregates.percentile_count;
    m->fetch.titles.values = aggregates_titles(&m->aggregates, m->fetch.titles.value);
    m->fetch.titles.are_buckets = true;
    return EXIT_DONE;
}

static int read_buckets(const struct given *g, struct made *m)
{
    if (g->every == NULL) {
        return check_points(g);
    }
    const enum err e = every_read(g->every, g->time_zone != NULL, &m->fetch.query);
    if (e == E_LIMIT) {
        return usage("no length of the calendar", g->every, "--tz needs 1d, 1w, 1mo or 1y");
    }
    return e == OK ? read_aggregates(g, m) : usage("bad length of time", g->every, EVERY_RIGHT);
}

static int read_keys(const struct given *g, struct made *m)
{
    struct rows_titles *titles = &m->fetch.titles;
    if (g->group_by == NULL) {
        return EXIT_DONE;
    }
    m->key_text = strdup(g->group_by);
    if (m->key_text == NULL) {
        return command_fail(EXIT_FAILED, "query", "out of memory");
    }
    if (every_read_keys(m->key_text, m->keys, &titles->keys) != OK) {
        return usage("bad list", g->group_by,
                     "--group-by takes up to 4 tags and levels: site,$2,$-1");
    }
    m->fetch.query.keys = m->keys;
    m->fetch.query.key_count = titles->keys;
    const char *at = m->key_text; /* Pieces with a 0 behind each. */
    for (unsigned i = 0; i < titles->keys; i++) {
        titles->key[i] = at;
        at += strlen(at) + 1;
    }
    return EXIT_DONE;
}

static int make(const struct given *g, struct made *m)
{
    static int (*const steps[])(const struct given *, struct made *) = {read_zone, read_window,
                                                                        read_buckets, read_keys};
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        const int code = steps[i](g, m);
        if (code != EXIT_DONE) {
            return code;
        }
    }
    struct hejnal_query *q = &m->fetch.query;
    q->fill = (enum hejnal_fill)g->fill;
    q->fill_max_ns = g->fill_max_ns;
    q->as_known_at_ns = g->known_ns;
    q->gap_max_ns = g->gap_max_ns;
    q->where = g->where;
    q->rows_max = (uint64_t)g->limit;
    m->fetch.format = (enum rows_format)g->format;
    m->fetch.times = (enum timestamp_format)g->times;
    return EXIT_DONE;
}

int cmd_query(int argc, char **argv)
{
    struct given g = {.format = ROWS_TABLE, .times = TIMESTAMP_RFC3339};
    struct made m = {.fetch = {.command = "query", .address = SERVER_DEFAULT}};
    const struct option_row rows[] = {
        {"--from", OPTION_TEXT, &g.from, 0, 0, NULL, "TIME",
         "First time; needed. RFC 3339, 2026-11-23, -6h, unix time."},
        {"--to", OPTION_TEXT, &g.to, 0, 0, NULL, "TIME", "Up to, not including; now."},
        {"--as-known-at", OPTION_TIME, &g.known_ns, 0, 0, NULL, "TIME",
         "Only what was known then, with the values it had."},
        {"--every", OPTION_TEXT, &g.every, 0, 0, NULL, "LENGTH",
         "Buckets of this length: 5m, 1h, 1d, 1w, 1mo, 1y."},
        {"--agg", OPTION_TEXT, &g.aggregates, 0, 0, NULL, "LIST", "Of " AGGREGATES_ALL "; mean."},
        {"--group-by", OPTION_TEXT, &g.group_by, 0, 0, NULL, "LIST",
         "Gather series by tags and levels of their path: site,$2,$-1."},
        {"--tz", OPTION_TEXT, &g.time_zone, 0, 0, NULL, "ZONE",
         "Days, weeks, months and years of this time zone: Europe/Warsaw; UTC."},
        {"--fill", OPTION_CHOICE, &g.fill, 0, 0, "none|null|previous|linear", NULL,
         "What becomes of empty buckets; none: they are left out."},
        {"--fill-max", OPTION_LENGTH, &g.fill_max_ns, 0, 0, NULL, "LENGTH",
         "Fill no longer gap than this; previous looks so far back before --from."},
        {"--gap-max", OPTION_LENGTH, &g.gap_max_ns, 0, 0, NULL, "LENGTH",
         "How long a value stands for twa (1h), how far points of an increase are apart (7d)."},
        {"--where", OPTION_TEXT, &g.where, 0, 0, NULL, "CONDITION",
         "Only series whose tags are so: 'unit==\"m\" && lat>50.05'."},
        {"--format", OPTION_CHOICE, &g.format, 0, 0, ROWS_FORMATS, NULL, "Default table."},
        {"--time-format", OPTION_CHOICE, &g.times, 0, 0, "rfc3339|s|ms|us|ns", NULL,
         "Of all formats but table."},
        {"--limit", OPTION_NUMBER, &g.limit, 1, INT64_MAX, NULL, "N", "At most N rows."},
        SERVER_OPTION(&m.fetch.address),
    };
    struct arguments o = {
        "query",
        "FILTER",
        "Points, or their aggregates in buckets of time, of all series a topic filter selects.",
        example,
        rows,
        sizeof rows / sizeof rows[0],
        1,
        1,
        0,
        {NULL}};
    const enum err e = arguments_read(&o, argc, argv);
    if (e != OK) {
        return e == E_END ? EXIT_DONE : EXIT_USAGE;
    }
    m.fetch.query.filter = o.positional[0];
    int code = make(&g, &m);
    code = code == EXIT_DONE ? fetch_run(&m.fetch) : code;
    zone_close(m.zone);
    free(m.key_text);
    return code;
}
