/* What all commands that speak the query protocol share: finding the server, telling its errors. */

#ifndef CLI_SERVER_H
#define CLI_SERVER_H

#include "clients/hejnal.h"

#define SERVER_DEFAULT "127.0.0.1:4380"
#define SERVER_OPTION(into)                                                                        \
    {                                                                                              \
        "--server", OPTION_TEXT, into, 0, 0, NULL, "HOST:PORT", "Default 127.0.0.1:4380."          \
    }

enum { SERVER_TIMEOUT_MS = 60000 };

/* Connect to "HOST:PORT" ("[::1]:PORT" too). EXIT_DONE, or the exit code after one line on stderr.
 */
int server_connect(const char *command, const char *address, struct hejnal **out);

/* Tell why a call failed, with field and position; returns EXIT_FAILED. */
int server_fail(const char *command, const struct hejnal *h, enum hejnal_result result);

#endif /* CLI_SERVER_H */
