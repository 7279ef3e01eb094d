/* Every setting of the daemon, once: name, default, bounds, unit and sentence in one table. The
 * struct, the config file, the command line and --help all come from it. Only the rules of
 * retention, a list, stand beside it, and in the file alone.
 *
 * main() fills one struct config, checks it and hands it down as const; nobody changes it after. */

#ifndef BROKER_CONFIG_H
#define BROKER_CONFIG_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"
#include "base/log.h"
#include "broker/retention_config.h"

enum { CONFIG_TEXT_BYTES_MAX = 1024, CONFIG_COMPLAINT_BYTES_MAX = 2048 };

/* NUMBER(name, default, least, most, unit, sentence)
 * TEXT(name, default, choices, sentence); choices "": anything but nothing. */
#define CONFIG_MAP(NUMBER, TEXT)                                                                   \
    TEXT(bind, "127.0.0.1", "", "Address to listen on; 0.0.0.0 or '::' for all.")                  \
    NUMBER(mqtt_port, 1883, 0, 65535, "", "Where devices connect; 0 picks a free port.")           \
    NUMBER(query_port, 4380, 0, 65535, "", "Where queries connect; 0 picks a free port.")          \
    TEXT(data, "./hejnal-data", "", "Directory of the store; made if absent.")                     \
    TEXT(log_level, "info", "debug info warn error", "Least important lines to log.")              \
    NUMBER(loops, 0, 0, 64, "", "Network threads; 0: one for each core.")                          \
    NUMBER(workers, 2, 1, 64, "", "Threads for queries and checkpoints.")                          \
    NUMBER(connections_max, 100000, 1, 10000000, "", "MQTT connections open at once.")             \
    NUMBER(connect_timeout_s, 10, 1, 3600, "s", "Time a client has for its CONNECT.")              \
    NUMBER(keep_alive_max_s, 0, 0, 65535, "s", "Longest keep alive granted; 0: any.")              \
    NUMBER(packet_bytes_max, 1048576, 128, 268435455, "bytes", "Longest MQTT packet accepted.")    \
    NUMBER(receive_maximum, 1024, 1, 65535, "", "Publishes of a client not acknowledged yet.")     \
    NUMBER(inflight_max, 128, 1, 65535, "", "Messages to a client not acknowledged yet.")          \
    NUMBER(topic_alias_max, 32, 0, 65535, "",                                                      \
           "Topic aliases a client may use, and that it is sent.")                                 \
    NUMBER(output_bytes_max, 4194304, 65536, 1073741824, "bytes", "Unsent bytes of a connection.") \
    NUMBER(sessions_max, 200000, 1, 10000000, "", "Sessions kept, connected or not.")              \
    NUMBER(session_expiry_max_s, 604800, 0, 4294967295, "s",                                       \
           "Longest a session outlives its "                                                       \
           "connection.")                                                                          \
    NUMBER(session_queue_messages_max, 1000, 0, 10000000, "", "Messages waiting in a session.")    \
    NUMBER(session_queue_bytes_max, 1048576, 0, 1073741824, "bytes", "Their size together.")       \
    NUMBER(subscriptions_max, 1000, 1, 1000000, "", "Subscriptions of one client.")                \
    NUMBER(retained_messages_max, 1000000, 0, 100000000, "", "Retained messages kept.")            \
    NUMBER(retained_bytes_max, 268435456, 0, 1099511627776, "bytes", "Their size together.")       \
    NUMBER(sys_interval_s, 10, 0, 3600, "s", "How often $SYS is published; 0: never.")             \
    NUMBER(query_connections_max, 1000, 1, 1000000, "", "Query connections open at once.")         \
    NUMBER(query_series_max, 1000000, 1, 100000000, "", "Series one query may select.")            \
    NUMBER(query_timeout_s, 30, 1, 86400, "s", "Time a client may leave answers unread.")          \
    NUMBER(series_max, 1000000, 1, 100000000, "", "Series the store takes.")                       \
    NUMBER(texts_max, 100000, 0, 16777216, "", "Distinct texts the store takes.")                  \
    TEXT(store_text, "off", "off on", "Whether texts in messages are values.")                     \
    NUMBER(text_bytes_max, 64, 1, 1024, "bytes", "Longest text in a message that is a value.")     \
    NUMBER(client_series_burst, 200000, 0, 100000000, "",                                          \
           "New series a client may bring at once; 0: any.")                                       \
    NUMBER(client_series_per_s, 1000, 0, 1000000, "1/s", "And a second after that.")               \
    NUMBER(partition_days, 7, 1, 3650, "days", "Length of a partition of a new store.")            \
    NUMBER(late_hours, 24, 0, 87600, "h",                                                          \
           "How long a partition waits for late data to be sealed.")                               \
    NUMBER(retention_days, 0, 0, 36500, "days",                                                    \
           "Age at which points go that no rule says otherwise of; 0: never.")                     \
    NUMBER(journal_mb, 64, 1, 1048576, "MiB", "Journal size that starts a checkpoint.")            \
    NUMBER(journal_max_mb, 1024, 4, 1048576, "MiB", "Journal size at which writing stops.")        \
    NUMBER(head_mb, 48, 1, 1048576, "MiB", "New points in memory that start one, too.")            \
    NUMBER(ingest_buffers, 64, 4, 65536, "", "Batches of 64 KiB under way for each loop.")

#define CONFIG_NUMBER(name, fallback, least, most, unit, sentence) int64_t name;
#define CONFIG_TEXT(name, fallback, choices, sentence)             char name[CONFIG_TEXT_BYTES_MAX];
struct config {
    CONFIG_MAP(CONFIG_NUMBER, CONFIG_TEXT)
    struct retention_config retention;
};
#undef CONFIG_NUMBER
#undef CONFIG_TEXT

#define CONFIG_COUNT(...) +1 // NOLINT(bugprone-macro-parentheses): a term of the sum below
enum { CONFIG_SETTINGS = CONFIG_MAP(CONFIG_COUNT, CONFIG_COUNT) };
#undef CONFIG_COUNT

/* Every setting at its default. */
void config_init(struct config *c);

/* Name of setting 0..CONFIG_SETTINGS-1, and its place by name. E_NOT_FOUND. */
const char *config_name(unsigned index);
MUST_USE enum err config_find(const char *name, unsigned *index);

/* Set one from text. E_MALFORMED: not of its kind, E_LIMIT: out of bounds. */
MUST_USE enum err config_set(struct config *c, unsigned index, const char *text);

/* What would be right for a setting: "a whole number from 0 to 65535". */
void config_describe(unsigned index, char *to, size_t size);

/* Rules between settings. E_LIMIT: `complaint` says which. */
MUST_USE enum err config_check(const struct config *c, char complaint[CONFIG_COMPLAINT_BYTES_MAX]);

/* Whether two configs agree on a setting. */
bool config_same(const struct config *a, const struct config *b, unsigned index);

enum log_level config_log_level(const struct config *c);

/* The table as people read it, for --help. */
void config_print(FILE *to);

#endif /* BROKER_CONFIG_H */
