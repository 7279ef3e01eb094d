/* One line per event on stderr, logfmt: `time level room: sentence key=value ...`.
 *
 * Any thread. Never called per message; peers' mistakes are counted, not logged line by line.
 * Secrets and payloads never stand in a log. */

#ifndef BASE_LOG_H
#define BASE_LOG_H

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

/* Lines below `least` are left out. Default LOG_INFO. */
void log_set_level(enum log_level least);

__attribute__((format(printf, 3, 4))) void log_line(enum log_level level, const char *room,
                                                    const char *format, ...);

#endif /* BASE_LOG_H */
