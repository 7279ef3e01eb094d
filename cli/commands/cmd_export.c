#include "cli/arguments.h"
#include "cli/command.h"
#include "cli/fetch.h"
#include "cli/server.h"

int cmd_export(int argc, char **argv)
{
    int format = 0, times = TIMESTAMP_RFC3339;
    struct fetch f = {.command = "export", .address = SERVER_DEFAULT};
    f.query.from_ns = TIMESTAMP_MIN_NS;
    f.query.to_ns = TIMESTAMP_MAX_NS;
    const struct option_row rows[] = {
        {"--from", OPTION_TIME, &f.query.from_ns, 0, 0, NULL, "TIME", "First time; the oldest."},
        {"--to", OPTION_TIME, &f.query.to_ns, 0, 0, NULL, "TIME", "Up to, not including; all."},
        {"--as-known-at", OPTION_TIME, &f.query.as_known_at_ns, 0, 0, NULL, "TIME",
         "Only what was known then, with the values it had."},
        {"--format", OPTION_CHOICE, &format, 0, 0, "csv|jsonl", NULL, "Default csv."},
        {"--time-format", OPTION_CHOICE, &times, 0, 0, "rfc3339|s|ms|us|ns", NULL, "Of the times."},
        {"-o", OPTION_TEXT, &f.path, 0, 0, NULL, "FILE", "Write FILE when whole; else stdout."},
        SERVER_OPTION(&f.address),
    };
    struct arguments o = {"export",
                          "FILTER",
                          "All points of the series a topic filter selects, as series,time,value.",
                          "  hejnal export 'krakow/air/#' --from 2026-01-01 -o air-2026.csv\n",
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
    f.query.filter = o.positional[0];
    f.format = format == 0 ? ROWS_CSV : ROWS_JSONL;
    f.times = (enum timestamp_format)times;
    return fetch_run(&f);
}
