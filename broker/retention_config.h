/* The section "retention" of the config file: how long the points of which series are kept.
 *
 *   retention:
 *     - filter: krakow/air/#
 *       days: 365               # 0: for ever
 *
 * In order: the first rule whose filter selects a series decides, and where none does the setting
 * retention_days. A list, so not in the table of settings. */

#ifndef BROKER_RETENTION_CONFIG_H
#define BROKER_RETENTION_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "storage/erase/retention.h"

#define RETENTION_CONFIG_NAME "retention"

enum { RETENTION_DAYS_MAX = 36500 };

struct retention_config_rule {
    uint16_t size; /* Of the filter. */
    uint8_t filter[SERIES_PATH_BYTES_MAX];
    int64_t days; /* 0: for ever. */
};

struct retention_config { /* Zeroed: no rules. */
    unsigned count;
    struct retention_config_rule rule[RETENTION_RULES_MAX];
};

/* Read the value of the section. E_MALFORMED: complained of. */
struct config_yaml;
MUST_USE enum err retention_config_read(struct retention_config *c, struct config_yaml *y);

/* The rules as the store wants them, borrowing filters from `c`. */
void retention_config_rules(const struct retention_config *c,
                            struct retention_rule to[RETENTION_RULES_MAX]);

/* The longest that any series is kept, when others are kept for `others_days`; 0: for ever. */
int64_t retention_config_longest(const struct retention_config *c, int64_t others_days);

bool retention_config_same(const struct retention_config *a, const struct retention_config *b);

#endif /* BROKER_RETENTION_CONFIG_H */
