/* One small enum of errors for the whole house.
 *
 * A code says what the CALLER can do, never which library failed: a door (the one file that talks
 * to a foreign library) translates foreign codes before they leave it. Programmer mistakes are not
 * errors: they are CHECKed and stop the process. */

#ifndef BASE_ERR_H
#define BASE_ERR_H

#define MUST_USE __attribute__((warn_unused_result))

/* X(code, text for people, what the caller does) */
#define ERR_MAP(X)                                                                                 \
    X(OK, "ok", "go on")                                                                           \
    X(E_MORE, "need more bytes", "read again, then retry")                                         \
    X(E_BUSY, "no room right now", "push back: stop reading, retry after a tick")                  \
    X(E_END, "no more items", "leave the loop")                                                    \
    X(E_NOT_FOUND, "not found", "answer with nothing")                                             \
    X(E_MALFORMED, "bytes break the format", "refuse them; close this peer where asked to")        \
    X(E_LIMIT, "over a configured limit", "refuse this item, keep the peer")                       \
    X(E_DENIED, "not allowed", "refuse, count, keep the peer")                                     \
    X(E_CORRUPT, "stored bytes fail their checksum", "quarantine the item, raise an alarm")        \
    X(E_VERSION, "a version this build does not know", "refuse, name both versions")               \
    X(E_NO_SPACE, "disk or map is full", "stop taking writes, keep answering reads")               \
    X(E_NO_MEMORY, "out of memory", "drop this work, keep the process")                            \
    X(E_IO, "the disk or the network failed", "retry later, or reopen and replay")

#define ERR_ENUM(code, text, remedy) code,
enum err { ERR_MAP(ERR_ENUM) ERR_COUNT };
#undef ERR_ENUM

/* Name of the code ("E_MORE"); never NULL. */
const char *err_name(enum err e);

/* Text for a log line; never NULL. */
const char *err_text(enum err e);

/* Leave early with the error; only where the function holds nothing to release. */
#define TRY(expression)                                                                            \
    do {                                                                                           \
        enum err try_error = (expression);                                                         \
        if (try_error != OK) {                                                                     \
            return try_error;                                                                      \
        }                                                                                          \
    } while (0)

#endif /* BASE_ERR_H */
