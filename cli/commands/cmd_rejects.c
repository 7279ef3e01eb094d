#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/timestamp.h"
#include "cli/arguments.h"
#include "cli/command.h"
#include "cli/server.h"
#include "cli/visible.h"

enum { PAYLOAD_SHOWN = 60 };

static void print_payload(const struct hejnal_reject *r)
{
    size_t shown = r->payload_bytes < PAYLOAD_SHOWN ? r->payload_bytes : PAYLOAD_SHOWN;
    (void)fputs("    ", stdout);
    for (size_t i = 0; i < shown; i++) {
        int c = r->payload[i];
        if (isprint(c) != 0) {
            (void)putchar(c);
        } else {
            printf("\\x%02x", (unsigned)c);
        }
    }
    printf("%s\n", shown < r->payload_full_bytes ? "..." : "");
}

int cmd_rejects(int argc, char **argv)
{
    const char *address = SERVER_DEFAULT;
    struct hejnal *h;
    struct hejnal_answer *answer = NULL;
    struct hejnal_reject r;
    const struct option_row rows[] = {SERVER_OPTION(&address)};
    struct arguments o = {
        "rejects",
        "",
        "The last messages that were forwarded but not stored, newest first: when, "
        "on which\ntopic, why, and how the payload starts.",
        "  hejnal rejects\n",
        rows,
        1,
        0,
        0,
        0,
        {NULL}};
    enum err e = arguments_read(&o, argc, argv);
    if (e != OK) {
        return e == E_END ? EXIT_DONE : EXIT_USAGE;
    }
    int code = server_connect("rejects", address, &h);
    if (code != EXIT_DONE) {
        return code;
    }
    enum hejnal_result result = hejnal_rejects(h, &answer);
    while (result == HEJNAL_OK && (result = hejnal_next_reject(answer, &r)) == HEJNAL_OK) {
        char when[TIMESTAMP_TEXT_BYTES_MAX + 1];
        when[timestamp_write(r.time_ns, TIMESTAMP_RFC3339, when)] = 0;
        char *topic = visible_text(bytes_of(r.topic));
        printf("%s  %s: %s\n", when, topic != NULL ? topic : "", r.reason);
        free(topic);
        print_payload(&r);
    }
    code = result == HEJNAL_END ? EXIT_DONE : server_fail("rejects", h, result);
    hejnal_answer_close(answer);
    hejnal_close(h);
    return code;
}
