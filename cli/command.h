/* The commands of `hejnal`: one function each, found by name in the table of main.c.
 *
 * Exit codes: 0 done, 1 failed, 2 usage. Data goes to stdout; progress and messages to stderr. */

#ifndef CLI_COMMAND_H
#define CLI_COMMAND_H

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

/* X(name, arguments, one sentence) */
#define COMMAND_MAP(X)                                                                             \
    X(pub, "TOPIC VALUE|-", "Publish a value, or a payload per line of stdin.")                    \
    X(sub, "FILTER...", "Print messages as they are published.")                                   \
    X(query, "FILTER", "Points, or aggregates in buckets of time.")                                \
    X(last, "FILTER", "The newest value of every series.")                                         \
    X(series, "[FILTER]", "Which series there are.")                                               \
    X(tag, "FILTER KEY=VALUE...", "Say what series are: their unit, site, place.")                 \
    X(export, "FILTER", "All points as CSV or JSON lines.")                                        \
    X(import, "FILE", "Store points from a CSV file.")                                             \
    X(replay, "FILE", "Publish a data file over MQTT as its devices would.")                       \
    X(simulate, "", "Publish as a whole city would.")                                              \
    X(agent, "", "Publish this machine's own telemetry.")                                          \
    X(stats, "", "Counters and sizes of the server.")                                              \
    X(rejects, "", "Messages that were forwarded but not stored, and why.")                        \
    X(check, "DIR", "Verify a store directory, offline.")                                          \
    X(delete, "FILTER", "Delete points, for good.")                                                \
    X(backup, "DIR", "Copy the store of a running server, consistently.")                          \
    X(admin, "checkpoint", "Do maintenance now.")

#define COMMAND_DECLARE(name, arguments, sentence) int cmd_##name(int argc, char **argv);
COMMAND_MAP(COMMAND_DECLARE)
#undef COMMAND_DECLARE

/* Print one line "hejnal COMMAND: ..." on stderr; returns `code` for `return fail(...)`. */
__attribute__((format(printf, 3, 4))) int command_fail(int code, const char *command,
                                                       const char *format, ...);

#endif /* CLI_COMMAND_H */
