#include "base/clock.h"
#include "cli/age.h"
#include "cli/arguments.h"
#include "cli/command.h"
#include "cli/server.h"
#include "cli/table.h"
#include "cli/value_cell.h"

#include <errno.h>
#include <string.h>

static enum err print_row(struct out *out, struct table *table, const struct hejnal_last *last)
{
    char age[AGE_BYTES_MAX];
    if (table == NULL) {
        out_csv(out, last->path);
        out_put(out, ",", 1);
        out_time(out, last->time_ns);
        out_put(out, ",", 1);
        value_cell_put(out, last->value, last->text);
        out_put(out, "\n", 1);
        return OK;
    }
    age_write(clock_wall_ns() - last->time_ns, age);
    TRY(table_cell(table, last->path));
    TRY(last->text != NULL ? table_cell(table, last->text) : table_number(table, last->value));
    TRY(table_time(table, last->time_ns));
    return table_cell(table, age);
}

/* `before_ns` 0: of all series; else of those that are silent since. */
static enum hejnal_result print_all(struct hejnal *h, const char *filter, int64_t before_ns,
                                    struct out *out, bool is_table)
{
    static const char *const titles[] = {"series", ">value", "time", ">age"};
    struct hejnal_answer *answer = NULL;
    struct table *table = NULL;
    struct hejnal_last last;
    enum hejnal_result result = hejnal_silent(h, filter, before_ns, &answer);
    bool any = false;
    while (result == HEJNAL_OK) {
        result = hejnal_next_last(answer, &last);
        bool good = result == HEJNAL_OK || result == HEJNAL_END;
        if (good && !any && is_table && table_create(out, titles, 4, &table) != OK) {
            result = HEJNAL_NO_MEMORY;
        }
        out_text(out, good && !any && !is_table ? "series,time,value\n" : "");
        any = true;
        if (result != HEJNAL_OK) {
            break;
        }
        result = print_row(out, table, &last) == OK ? HEJNAL_OK : HEJNAL_NO_MEMORY;
    }
    if (table != NULL) {
        table_finish(table);
    }
    hejnal_answer_close(answer);
    return result;
}

int cmd_last(int argc, char **argv)
{
    const char *address = SERVER_DEFAULT;
    int format = 0;
    int64_t older_ns = 0;
    struct hejnal *h;
    struct out *out;
    const struct option_row rows[] = {
        {"--format", OPTION_CHOICE, &format, 0, 0, "table|csv", NULL, "Default table."},
        {"--older-than", OPTION_LENGTH, &older_ns, 0, 0, NULL, "LENGTH",
         "Only series that are silent for longer: 1h."},
        SERVER_OPTION(&address),
    };
    struct arguments o = {
        "last",
        "FILTER",
        "The newest value, by event time, of every series a topic filter selects.",
        "  hejnal last 'krakow/water/#'\n"
        "  hejnal last 'krakow/#' --older-than 1h\n",
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
    int code = server_connect("last", address, &h);
    if (code != EXIT_DONE) {
        return code;
    }
    if (out_open(NULL, TIMESTAMP_RFC3339, &out) != OK) {
        hejnal_close(h);
        return command_fail(EXIT_FAILED, "last", "out of memory");
    }
    enum hejnal_result result = print_all(
        h, o.positional[0], older_ns > 0 ? clock_wall_ns() - older_ns : 0, out, format == 0);
    code = result == HEJNAL_END ? EXIT_DONE : server_fail("last", h, result);
    hejnal_close(h);
    if (out_close(out, true) != OK && code == EXIT_DONE) {
        code = command_fail(EXIT_FAILED, "last", "stdout: %s", strerrordesc_np(errno));
    }
    return code;
}
