#include "base/clock.h"

#include <time.h>

#include "base/check.h"

static int64_t read_clock(clockid_t id)
{
    struct timespec t;
    CHECK(clock_gettime(id, &t) == 0);
    return (int64_t)t.tv_sec * NS_PER_S + t.tv_nsec;
}

int64_t clock_wall_ns(void)
{
    return read_clock(CLOCK_REALTIME);
}

int64_t clock_now_ms(void)
{
    return read_clock(CLOCK_MONOTONIC) / NS_PER_MS;
}

int64_t clock_now_ns(void)
{
    return read_clock(CLOCK_MONOTONIC);
}
