#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli/arguments.h"
#include "cli/command.h"
#include "cli/server.h"
#include "cli/visible.h"

int cmd_series(int argc, char **argv)
{
    const char *address = SERVER_DEFAULT, *path;
    struct hejnal *h;
    struct hejnal_answer *answer = NULL;
    const struct option_row rows[] = {SERVER_OPTION(&address)};
    struct arguments o = {"series",
                          "[FILTER]",
                          "The paths of the series a topic filter selects; without one, of all.",
                          "  hejnal series 'krakow/+/bielany/#'\n",
                          rows,
                          1,
                          0,
                          1,
                          0,
                          {NULL}};
    enum err e = arguments_read(&o, argc, argv);
    if (e != OK) {
        return e == E_END ? EXIT_DONE : EXIT_USAGE;
    }
    int code = server_connect("series", address, &h);
    if (code != EXIT_DONE) {
        return code;
    }
    const bool is_terminal = isatty(STDOUT_FILENO) != 0;
    enum hejnal_result result =
        hejnal_series(h, o.positional_count > 0 ? o.positional[0] : "#", &answer);
    while (result == HEJNAL_OK && (result = hejnal_next_series(answer, &path)) == HEJNAL_OK) {
        char *shown = is_terminal ? visible_text(bytes_of(path)) : NULL;
        (void)puts(shown != NULL ? shown : path);
        free(shown);
    }
    code = result == HEJNAL_END ? EXIT_DONE : server_fail("series", h, result);
    hejnal_answer_close(answer);
    hejnal_close(h);
    return code;
}
