#include "cli/age.h"

#include <stdio.h>

#include "base/clock.h"

void age_write(int64_t age_ns, char to[AGE_BYTES_MAX])
{
    static const struct {
        int64_t seconds;
        char unit;
    } units[] = {{86400, 'd'}, {3600, 'h'}, {60, 'm'}, {1, 's'}};
    const char *sign = age_ns < 0 ? "in " : "";
    int64_t seconds = (age_ns < 0 ? -(age_ns + 1) : age_ns) / NS_PER_S;
    unsigned i = 0;
    while (i < 3 && seconds < 2 * units[i].seconds) {
        i++;
    }
    (void)snprintf(to, AGE_BYTES_MAX, "%s%lld%c", sign, (long long)(seconds / units[i].seconds),
                   units[i].unit);
}

void size_write(double bytes, char to[AGE_BYTES_MAX])
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    unsigned i = 0;
    for (; bytes >= 1024 && i < 4; i++) {
        bytes /= 1024;
    }
    (void)snprintf(to, AGE_BYTES_MAX, i == 0 ? "%.0f %s" : "%.1f %s", bytes, units[i]);
}
