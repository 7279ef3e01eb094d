#include "cli/aggregates.h"

#include <stdio.h>
#include <string.h>

#include "base/number.h"

static const char *const names[HEJNAL_AGGREGATES_MAX] = {"count", "sum",      "mean", "min",
                                                         "max",   "first",    "last", "stddev",
                                                         "twa",   "increase", "rate", "coverage"};

/* "p95", "p99.9", "median". */
static bool read_percentile(const char *word, size_t size, double *percent)
{
    struct number n;
    if (size == strlen("median") && memcmp(word, "median", size) == 0) {
        *percent = 50;
        return true;
    }
    if (size < 2 || size >= AGGREGATES_TITLE_BYTES || word[0] != 'p' ||
        number_read((struct bytes){(const uint8_t *)word + 1, size - 1}, &n) != OK ||
        !(n.value >= 0 && n.value <= 100)) {
        return false;
    }
    *percent = n.value;
    return true;
}

static enum err add_word(struct aggregates *a, const char *word, size_t size)
{
    double percent;
    for (unsigned i = 0; i < HEJNAL_AGGREGATES_MAX; i++) {
        if (strlen(names[i]) == size && memcmp(names[i], word, size) == 0) {
            a->bits |= 1U << i;
            return OK;
        }
    }
    if (!read_percentile(word, size, &percent)) {
        return E_MALFORMED;
    }
    if (a->percentile_count == HEJNAL_PERCENTILES_MAX) {
        return E_LIMIT;
    }
    a->percentiles[a->percentile_count] = percent;
    (void)snprintf(a->names[a->percentile_count++], AGGREGATES_TITLE_BYTES, "%.*s", (int)size,
                   word);
    return OK;
}

enum err aggregates_read(const char *text, struct aggregates *out, const char **wrong)
{
    static char kept[32];
    struct aggregates found = {.bits = 0};
    for (const char *at = text;; at++) {
        const size_t size = strcspn(at, ",");
        const enum err e = add_word(&found, at, size);
        if (e != OK) {
            (void)snprintf(kept, sizeof kept, "%.*s", (int)size, at);
            *wrong = kept;
            return e;
        }
        at += size;
        if (*at == 0) {
            *out = found;
            return OK;
        }
    }
}

unsigned aggregates_titles(const struct aggregates *a, const char *titles[HEJNAL_VALUES_MAX])
{
    unsigned count = 0;
    for (unsigned i = 0; i < HEJNAL_AGGREGATES_MAX; i++) {
        if ((a->bits >> i & 1) != 0) {
            titles[count++] = names[i];
        }
    }
    for (unsigned i = 0; i < a->percentile_count; i++) {
        titles[count++] = a->names[i];
    }
    return count;
}
