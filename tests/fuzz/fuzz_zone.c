/* Any bytes as a time zone file, and as the rule at the end of one. A zone that is taken answers
 * every question, and calendar buckets tile time in it. */

#include "base/zone.h"

#include "base/check.h"
#include "base/zone_rule.h"
#include "storage/read/buckets.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_time(const struct zone *z, int64_t time_s)
{
    const int32_t ahead_s = zone_ahead(z, time_s);
    CHECK(ahead_s > -26 * 3600 && ahead_s < 26 * 3600);
    CHECK(zone_first(z, time_s + ahead_s) <= time_s);
    for (enum bucket_unit unit = BUCKET_DAY; unit <= BUCKET_YEAR; unit++) {
        const struct buckets b = {unit, 1, z};
        const int64_t time_ns = time_s * 1000000000;
        const struct bucket found = buckets_find(&b, time_ns);
        CHECK(found.start_ns <= time_ns && time_ns < found.end_ns);
        CHECK(buckets_find(&b, found.end_ns).start_ns == found.end_ns);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const int64_t times_s[] = {-86400, 0, 951782400, 1711846799, 1792000000, 7258118399};
    struct zone *z = NULL;
    struct zone_rule rule;
    if (zone_read((struct bytes){data, size}, &z) == OK) {
        for (unsigned i = 0; i < sizeof times_s / sizeof times_s[0]; i++) {
            check_time(z, times_s[i]);
        }
        zone_close(z);
    }
    if (zone_rule_read((struct bytes){data, size}, &rule) == OK && rule.has_summer) {
        for (int64_t year = 1999; year < 2005; year++) {
            const int64_t start_s = zone_day_time(&rule.to_summer, year, rule.standard_s);
            CHECK(start_s < zone_day_time(&rule.to_summer, year + 1, rule.standard_s));
        }
    }
    return 0;
}
