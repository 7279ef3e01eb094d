#include "storage/read/buckets.h"

#include "base/civil.h"
#include "base/clock.h"
#include "base/zone.h"

static struct bucket find_fixed(int64_t length_ns, int64_t time_ns)
{
    const int64_t rest = time_ns % length_ns;
    const int64_t back = rest < 0 ? rest + length_ns : rest;
    struct bucket out;
    if (__builtin_sub_overflow(time_ns, back, &out.start_ns)) {
        out.start_ns = INT64_MIN;
        out.end_ns = time_ns + (length_ns - back);
    } else if (__builtin_add_overflow(out.start_ns, length_ns, &out.end_ns)) {
        out.end_ns = INT64_MAX;
    }
    return out;
}

/* Which bucket a day (since 1970) belongs to. */
static int64_t index_of(const struct buckets *b, int64_t day)
{
    struct civil c;
    switch (b->unit) {
    case BUCKET_WEEK:
        return civil_floor(day + 3, 7 * b->length); /* 1970-01-01 was a Thursday. */
    case BUCKET_MONTH:
        c = civil_of(day);
        return civil_floor(c.year * 12 + (int64_t)c.month - 1, b->length);
    case BUCKET_YEAR:
        c = civil_of(day);
        return civil_floor(c.year, b->length);
    case BUCKET_DAY:
    case BUCKET_FIXED:
    default:
        return civil_floor(day, b->length);
    }
}

/* The first day of a bucket. */
static int64_t day_of(const struct buckets *b, int64_t index)
{
    const int64_t at = index * b->length;
    switch (b->unit) {
    case BUCKET_WEEK:
        return at * 7 - 3;
    case BUCKET_MONTH: {
        const int64_t year = civil_floor(at, 12);
        return civil_days((struct civil){year, (unsigned)(at - year * 12) + 1, 1});
    }
    case BUCKET_YEAR:
        return civil_days((struct civil){at, 1, 1});
    case BUCKET_DAY:
    case BUCKET_FIXED:
    default:
        return at;
    }
}

static int64_t start_s(const struct buckets *b, int64_t index)
{
    const int64_t local_s = day_of(b, index) * DAY_S;
    return b->zone == NULL ? local_s : zone_first(b->zone, local_s);
}

static int64_t to_ns(int64_t time_s)
{
    int64_t time_ns;
    if (__builtin_mul_overflow(time_s, NS_PER_S, &time_ns)) {
        return time_s < 0 ? INT64_MIN : INT64_MAX;
    }
    return time_ns;
}

struct bucket buckets_find(const struct buckets *b, int64_t time_ns)
{
    if (b->unit == BUCKET_FIXED) {
        return find_fixed(b->length, time_ns);
    }
    const int64_t time_s = civil_floor(time_ns, NS_PER_S);
    const int64_t ahead_s = b->zone == NULL ? 0 : zone_ahead(b->zone, time_s);
    int64_t index = index_of(b, civil_floor(time_s + ahead_s, DAY_S));
    /* The clock's date may be back on a day that has ended: it was set back past midnight. */
    int64_t end_s = start_s(b, index + 1);
    while (end_s <= time_s) {
        index++;
        end_s = start_s(b, index + 1);
    }
    return (struct bucket){to_ns(start_s(b, index)), to_ns(end_s)};
}
