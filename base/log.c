#include "base/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

enum { LINE_BYTES_MAX = 1024 };

static atomic_int least_level = LOG_INFO;

static const char *const names[] = {"debug", "info", "warn", "error"};

void log_set_level(enum log_level least)
{
    atomic_store(&least_level, (int)least);
}

void log_line(enum log_level level, const char *room, const char *format, ...)
{
    char line[LINE_BYTES_MAX];
    struct tm utc;
    va_list args;
    int64_t now_ns = clock_wall_ns();
    time_t seconds = (time_t)(now_ns / NS_PER_S);

    if ((int)level < atomic_load_explicit(&least_level, memory_order_relaxed)) {
        return;
    }
    (void)gmtime_r(&seconds, &utc);
    size_t size = strftime(line, sizeof line, "%Y-%m-%dT%H:%M:%S", &utc);
    size +=
        (size_t)snprintf(line + size, sizeof line - size,
                         ".%03dZ %s %s: ", (int)(now_ns / NS_PER_MS % 1000), names[level], room);
    va_start(args, format);
    int wanted = vsnprintf(line + size, sizeof line - size - 1, format, args);
    va_end(args);
    size += wanted < 0 ? 0 : (size_t)wanted;
    size = size < sizeof line - 2 ? size : sizeof line - 2;
    line[size++] = '\n';
    (void)!write(STDERR_FILENO, line, size); /* Nowhere left to report a failing stderr. */
}
