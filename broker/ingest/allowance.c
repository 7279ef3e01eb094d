#include "broker/ingest/allowance.h"

enum { MILLI = 1000, PAUSE_MS_MAX = 1000000000 };

bool allowance_take(struct allowance *a, const struct allowance_limits *limits, int64_t now_ms)
{
    int64_t pause_ms = now_ms - a->at_ms;
    if (limits->burst == 0) {
        return true;
    }
    pause_ms = pause_ms < 0 ? 0 : pause_ms > PAUSE_MS_MAX ? PAUSE_MS_MAX : pause_ms;
    a->at_ms = now_ms;
    a->taken_milli -= pause_ms * limits->per_s; /* A second gives back MILLI of each. */
    a->taken_milli = a->taken_milli < 0 ? 0 : a->taken_milli;
    if (a->taken_milli + MILLI > limits->burst * MILLI) {
        return false;
    }
    a->taken_milli += MILLI;
    return true;
}
