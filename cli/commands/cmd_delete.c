#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

#include "base/timestamp.h"
#include "cli/arguments.h"
#include "cli/command.h"
#include "cli/server.h"

/* How many series the filter selects now. */
static enum hejnal_result count_series(struct hejnal *h, const char *filter, uint64_t *count)
{
    struct hejnal_answer *answer = NULL;
    const char *path;
    *count = 0;
    enum hejnal_result result = hejnal_series(h, filter, &answer);
    while (result == HEJNAL_OK && (result = hejnal_next_series(answer, &path)) == HEJNAL_OK) {
        (*count)++;
    }
    hejnal_answer_close(answer);
    return result == HEJNAL_END ? HEJNAL_OK : result;
}

/* Only a y says yes. */
static bool confirm(uint64_t count)
{
    char line[16];
    (void)fprintf(stderr, "delete points of %" PRIu64 " series, for good? [y/N] ", count);
    return fgets(line, sizeof line, stdin) != NULL && (line[0] == 'y' || line[0] == 'Y');
}

static int run(struct hejnal *h, const struct hejnal_delete *d, bool ask)
{
    uint64_t count;
    enum hejnal_result result = ask ? count_series(h, d->filter, &count) : HEJNAL_OK;
    if (result == HEJNAL_OK && ask && count > 0 && !confirm(count)) {
        return command_fail(EXIT_FAILED, "delete", "nothing was deleted");
    }
    result = result == HEJNAL_OK ? hejnal_delete(h, d, &count) : result;
    if (result != HEJNAL_OK) {
        return server_fail("delete", h, result);
    }
    printf("%" PRIu64 " series\n", count);
    return EXIT_DONE;
}

int cmd_delete(int argc, char **argv)
{
    const char *address = SERVER_DEFAULT;
    int64_t from_ns = TIMESTAMP_MIN_NS, to_ns = INT64_MAX;
    bool yes = false;
    struct hejnal *h;
    const struct option_row rows[] = {
        {"--from", OPTION_TIME, &from_ns, 0, 0, NULL, "TIME", "From this on; default: all."},
        {"--to", OPTION_TIME, &to_ns, 0, 0, NULL, "TIME", "Up to, without this; default: all."},
        {"--yes", OPTION_FLAG, &yes, 0, 0, NULL, NULL, "Do not ask."},
        SERVER_OPTION(&address)};
    struct arguments o = {
        "delete",
        "FILTER",
        "Delete points of all series a topic filter selects. They are out of sight when it "
        "returns, for good;\nthe files shrink when they are sealed again (hejnal admin seal: "
        "now). What comes later stays.",
        "  hejnal delete 'krakow/air/171/#' --from 2026-11-01 --to 2026-11-08\n",
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
    if (from_ns >= to_ns) {
        return command_fail(EXIT_USAGE, "delete", "--from must be before --to");
    }
    if (!yes && isatty(STDIN_FILENO) == 0) {
        return command_fail(EXIT_USAGE, "delete", "nobody can be asked here; say --yes");
    }
    int code = server_connect("delete", address, &h);
    if (code == EXIT_DONE) {
        code = run(h, &(struct hejnal_delete){o.positional[0], from_ns, to_ns}, !yes);
        hejnal_close(h);
    }
    return code;
}
