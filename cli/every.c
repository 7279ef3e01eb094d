#include "cli/every.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/timestamp.h"
#include "base/topic.h"
#include "base/zone.h"

enum { UNITS_MAX = 1000, DATE_BYTES = 10 /* 2026-11-23 */ };

static enum hejnal_unit unit_of(const char *name, bool has_zone)
{
    static const struct {
        const char *name;
        enum hejnal_unit unit;
    } units[] = {{"w", HEJNAL_WEEK}, {"mo", HEJNAL_MONTH}, {"y", HEJNAL_YEAR}};
    if (has_zone && strcmp(name, "d") == 0) {
        return HEJNAL_DAY;
    }
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (strcmp(name, units[i].name) == 0) {
            return units[i].unit;
        }
    }
    return HEJNAL_FIXED;
}

enum err every_read(const char *text, bool has_zone, struct hejnal_query *q)
{
    char *name;
    const unsigned long count = text[0] >= '0' && text[0] <= '9' ? strtoul(text, &name, 10) : 0;
    if (count == 0) {
        return E_MALFORMED;
    }
    const enum hejnal_unit unit = unit_of(name, has_zone);
    if (unit == HEJNAL_FIXED) {
        TRY(timestamp_read_length(bytes_of(text), &q->bucket_ns) == OK ? OK : E_MALFORMED);
        return has_zone ? E_LIMIT : OK;
    }
    if (count > UNITS_MAX) {
        return E_MALFORMED;
    }
    q->unit = unit;
    q->unit_count = (unsigned)count;
    return OK;
}

static enum err read_key(char *word, struct hejnal_key *key)
{
    char *end;
    *key = (struct hejnal_key){word, 0};
    if (word[0] != '$') {
        return word[0] == 0 ? E_MALFORMED : OK;
    }
    const long level = strtol(word + 1, &end, 10);
    if (end == word + 1 || *end != 0 || level == 0 || level > TOPIC_LEVELS_MAX ||
        level < -TOPIC_LEVELS_MAX) {
        return E_MALFORMED;
    }
    *key = (struct hejnal_key){NULL, (int)level};
    return OK;
}

enum err every_read_keys(char *text, struct hejnal_key keys[HEJNAL_KEYS_MAX], unsigned *count)
{
    unsigned found = 0;
    for (char *word = text; word != NULL;) {
        char *comma = strchr(word, ',');
        if (comma != NULL) {
            *comma = 0;
        }
        if (found == HEJNAL_KEYS_MAX) {
            return E_LIMIT;
        }
        TRY(read_key(word, &keys[found++]));
        word = comma == NULL ? NULL : comma + 1;
    }
    *count = found;
    return OK;
}

enum err every_read_time(const char *text, const struct zone *zone, int64_t now_ns,
                         int64_t *time_ns)
{
    int64_t found_ns;
    TRY(timestamp_read_human(bytes_of(text), now_ns, &found_ns));
    if (zone != NULL && strlen(text) == DATE_BYTES && text[4] == '-') {
        found_ns = zone_first(zone, found_ns / NS_PER_S) * NS_PER_S;
    }
    *time_ns = found_ns;
    return OK;
}
