#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/arguments.h"
#include "cli/command.h"
#include "cli/server.h"

/* KEY=VALUE, taken apart in `text`, which is the caller's. E_MALFORMED. */
static enum err take_tag(char *text, struct hejnal_tag *tag)
{
    char *equals = strchr(text, '=');
    if (equals == NULL || equals == text) {
        return E_MALFORMED;
    }
    *equals = 0;
    *tag = (struct hejnal_tag){text, equals + 1};
    return OK;
}

static int change(const char *address, const char *filter, const struct hejnal_tag *tags,
                  size_t count)
{
    struct hejnal *h;
    uint64_t changed = 0;
    int code = server_connect("tag", address, &h);
    if (code != EXIT_DONE) {
        return code;
    }
    hejnal_set_timeout(h, -1); /* All series of a city take their time. */
    const enum hejnal_result result = hejnal_tag(h, filter, tags, count, &changed);
    if (result == HEJNAL_OK) {
        printf("%" PRIu64 " series changed\n", changed);
    } else {
        code = server_fail("tag", h, result);
    }
    hejnal_close(h);
    return code;
}

int cmd_tag(int argc, char **argv)
{
    const char *address = SERVER_DEFAULT;
    const struct option_row rows[] = {SERVER_OPTION(&address)};
    struct arguments o = {
        "tag",
        "FILTER KEY=VALUE...",
        "Set tags of all series a topic filter selects, or, with nothing behind the `=`, take "
        "them away.\nPrints how many series changed; returns when that is on disk.",
        "  hejnal tag 'krakow/air/+/pm25' unit=ug/m3 domain=air\n"
        "  hejnal tag 'krakow/air/171/#' site=\n",
        rows,
        1,
        2,
        ARGUMENTS_POSITIONAL_MAX,
        0,
        {NULL}};
    char *text[ARGUMENTS_POSITIONAL_MAX] = {NULL};
    struct hejnal_tag tags[ARGUMENTS_POSITIONAL_MAX];
    enum err e = arguments_read(&o, argc, argv);
    if (e != OK) {
        return e == E_END ? EXIT_DONE : EXIT_USAGE;
    }
    int code = EXIT_DONE;
    const unsigned count = o.positional_count - 1;
    for (unsigned i = 0; i < count && code == EXIT_DONE; i++) {
        text[i] = strdup(o.positional[i + 1]);
        if (text[i] == NULL) {
            code = command_fail(EXIT_FAILED, "tag", "out of memory");
        } else if (take_tag(text[i], &tags[i]) != OK) {
            code = command_fail(EXIT_USAGE, "tag", "'%s': a tag is written KEY=VALUE",
                                o.positional[i + 1]);
        }
    }
    code = code == EXIT_DONE ? change(address, o.positional[0], tags, count) : code;
    for (unsigned i = 0; i < count; i++) {
        free(text[i]);
    }
    return code;
}
