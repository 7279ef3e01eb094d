#include <string.h>

#include "cli/arguments.h"
#include "cli/command.h"
#include "cli/server.h"

int cmd_admin(int argc, char **argv)
{
    const char *address = SERVER_DEFAULT;
    struct hejnal *h;
    const struct option_row rows[] = {SERVER_OPTION(&address)};
    struct arguments o = {
        "admin",
        "checkpoint|seal",
        "Do it now, and return when it is done. checkpoint: move what is only in the "
        "journal\ninto partitions. seal: that, and merge all partitions into their smallest form.",
        "  hejnal admin checkpoint\n  hejnal admin seal\n",
        rows,
        1,
        1,
        1,
        0,
        {NULL}};
    enum err e = arguments_read(&o, argc, argv);
    if (e != OK) {
        return e == E_END ? EXIT_DONE : EXIT_USAGE;
    }
    const bool is_seal = strcmp(o.positional[0], "seal") == 0;
    if (!is_seal && strcmp(o.positional[0], "checkpoint") != 0) {
        return command_fail(EXIT_USAGE, "admin", "unknown '%s'; it takes checkpoint or seal",
                            o.positional[0]);
    }
    int code = server_connect("admin", address, &h);
    if (code != EXIT_DONE) {
        return code;
    }
    hejnal_set_timeout(h, -1);
    enum hejnal_result result = is_seal ? hejnal_seal(h) : hejnal_checkpoint(h);
    code = result == HEJNAL_OK ? EXIT_DONE : server_fail("admin", h, result);
    hejnal_close(h);
    return code;
}
