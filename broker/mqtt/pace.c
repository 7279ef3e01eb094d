#include "broker/mqtt/pace.h"

void pace_on_read(struct pace *p, size_t bytes, int64_t heard_ms)
{
    p->reads++;
    p->bytes += bytes;
    p->clients += heard_ms < p->start_ms;
}

bool pace_on_turn(struct pace *p, int64_t now_ms)
{
    const int64_t span_ms = now_ms - p->start_ms;
    if (span_ms >= PACE_STRETCH_MS) {
        bool gathers = p->clients >= PACE_CLIENTS_MIN &&
                       p->reads >= (uint64_t)span_ms * PACE_READS_A_MS_MIN &&
                       p->bytes <= p->reads * PACE_READ_BYTES_MAX;
        *p = (struct pace){.start_ms = now_ms, .gathers = gathers};
    }
    return p->gathers;
}
