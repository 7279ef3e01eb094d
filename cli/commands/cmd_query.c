#include "cli/aggregates.h"
#include "cli/arguments.h"
#include "cli/command.h"
#include "cli/fetch.h"
#include "cli/server.h"

#include "base/clock.h"

int cmd_query(int argc, char **argv)
{
    const char *aggregates = NULL, *wrong;
    int format = ROWS_TABLE, times = TIMESTAMP_RFC3339;
    int64_t limit = 0, every = 0;
    struct fetch f = {.command = "query", .address = SERVER_DEFAULT};
    f.query.from_ns = INT64_MIN;
    f.query.to_ns = INT64_MIN;
    const struct option_row rows[] = {
        {"--from", OPTION_TIME, &f.query.from_ns, 0, 0, NULL, "TIME", "First time; needed."},
        {"--to", OPTION_TIME, &f.query.to_ns, 0, 0, NULL, "TIME", "Up to, not including; now."},
        {"--every", OPTION_LENGTH, &every, 0, 0, NULL, "LENGTH",
         "Buckets of this length: 5m, 1h, 1d."},
        {"--agg", OPTION_TEXT, &aggregates, 0, 0, NULL, "LIST", "Of " AGGREGATES_ALL "; mean."},
        {"--format", OPTION_CHOICE, &format, 0, 0, ROWS_FORMATS, NULL, "Default table."},
        {"--time-format", OPTION_CHOICE, &times, 0, 0, "rfc3339|s|ms|us|ns", NULL,
         "Of all formats but table."},
        {"--limit", OPTION_NUMBER, &limit, 1, INT64_MAX, NULL, "N", "At most N rows."},
        SERVER_OPTION(&f.address),
    };
    struct arguments o = {
        "query",
        "FILTER",
        "Points, or their aggregates in buckets of time, of all series a topic filter selects.",
        "  hejnal query 'krakow/air/+/pm25' --from -1d --every 1h --agg mean,max\n"
        "  hejnal query krakow/water/bielany/level --from 2026-11-01 --to 2026-11-02 --format "
        "csv\n",
        rows,
        sizeof rows / sizeof rows[0],
        1,
        1,
        0,
        {NULL}};
    enum err e = arguments_read(&o, argc, argv);
    if (e != OK) {
        return e == E_END ? EXIT_DONE : EXIT_USAGE;
    }
    if (f.query.from_ns == INT64_MIN) {
        return command_fail(EXIT_USAGE, "query", "--from is missing; e.g. --from -6h");
    }
    if (aggregates != NULL && every == 0) {
        return command_fail(EXIT_USAGE, "query", "--agg needs buckets; e.g. --every 1h");
    }
    f.query.aggregates = every > 0 ? HEJNAL_MEAN : 0;
    if (aggregates != NULL && aggregates_read(aggregates, &f.query.aggregates, &wrong) != OK) {
        return command_fail(EXIT_USAGE, "query", "unknown aggregate '%s'; --agg takes a list of %s",
                            wrong, AGGREGATES_ALL);
    }
    f.query.filter = o.positional[0];
    f.query.to_ns = f.query.to_ns == INT64_MIN ? clock_wall_ns() : f.query.to_ns;
    f.query.bucket_ns = every;
    f.query.rows_max = (uint64_t)limit;
    f.format = (enum rows_format)format;
    f.times = (enum timestamp_format)times;
    return fetch_run(&f);
}
