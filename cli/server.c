#include "cli/server.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/command.h"

enum { HOST_BYTES_MAX = 256 };

/* Part "HOST:PORT"; false when it is not that. */
static int part_address(const char *address, char host[HOST_BYTES_MAX], unsigned *port)
{
    const char *colon = strrchr(address, ':');
    size_t size = colon != NULL ? (size_t)(colon - address) : 0;
    char *end = NULL;
    unsigned long number = colon != NULL ? strtoul(colon + 1, &end, 10) : 0;
    if (size == 0 || size >= HOST_BYTES_MAX || *end != 0 || number == 0 || number > 65535) {
        return 0;
    }
    int is_bracketed = address[0] == '[' && address[size - 1] == ']';
    memcpy(host, address + is_bracketed, size - 2 * (size_t)is_bracketed);
    host[size - 2 * (size_t)is_bracketed] = 0;
    *port = (unsigned)number;
    return 1;
}

int server_connect(const char *command, const char *address, struct hejnal **out)
{
    char host[HOST_BYTES_MAX];
    unsigned port;
    struct hejnal *h = NULL;

    if (!part_address(address, host, &port)) {
        return command_fail(EXIT_USAGE, command, "bad address '%s'; use HOST:PORT", address);
    }
    enum hejnal_result r = hejnal_connect(host, port, SERVER_TIMEOUT_MS, &h);
    if (r != HEJNAL_OK) {
        int code = command_fail(EXIT_FAILED, command, "%s: %s", address,
                                h != NULL ? hejnal_error(h) : hejnal_result_text(r));
        hejnal_close(h);
        return code;
    }
    *out = h;
    return EXIT_DONE;
}

int server_fail(const char *command, const struct hejnal *h, enum hejnal_result result)
{
    const char *text = hejnal_error(h);
    const char *field = hejnal_error_field(h);
    char where[128] = "";
    if (field[0] != 0 && hejnal_error_position(h) > 0) {
        (void)snprintf(where, sizeof where, " (%s, character %u)", field, hejnal_error_position(h));
    } else if (field[0] != 0) {
        (void)snprintf(where, sizeof where, " (%s)", field);
    }
    return command_fail(EXIT_FAILED, command, "%s%s",
                        text[0] != 0 ? text : hejnal_result_text(result), where);
}
