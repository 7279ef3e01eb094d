#include "broker/retention_config.h"

#include <stdlib.h>
#include <string.h>

#include "base/topic.h"
#include "broker/config_yaml.h"

#define RULE_IS "a rule is 'filter: krakow/air/#' and 'days: 365'"

enum { SECONDS_A_DAY = 86400, DIGITS_MAX = 9 };

/* A rule being read. */
struct reading {
    struct config_yaml *yaml;
    struct config_place place;
    struct retention_config_rule *rule;
    bool has_filter, has_days;
};

static enum err refuse_value(struct reading *r, const char *name, const char *right)
{
    return config_yaml_refuse(r->yaml, config_yaml_place(r->yaml), "%s is '%.64s'; it must be %s",
                              name, config_yaml_text(r->yaml), right);
}

static enum err read_filter(struct reading *r)
{
    TRY(config_yaml_next_value(r->yaml));
    const struct bytes filter = bytes_of(config_yaml_text(r->yaml));
    if (filter.size == 0) {
        return refuse_value(r, "filter", "an MQTT topic filter; '#' alone stands in quotes");
    }
    if (filter.size > SERIES_PATH_BYTES_MAX || !topic_is_filter(filter)) {
        return refuse_value(r, "filter",
                            "an MQTT topic filter of 1 to 1024 bytes, like krakow/+/pm25 or "
                            "krakow/air/#");
    }
    r->rule->size = (uint16_t)filter.size;
    memcpy(r->rule->filter, filter.at, filter.size);
    return OK;
}

static enum err read_days(struct reading *r)
{
    TRY(config_yaml_next_value(r->yaml));
    const char *text = config_yaml_text(r->yaml);
    const size_t digits = strspn(text, "0123456789");
    if (digits == 0 || digits > DIGITS_MAX || text[digits] != 0 ||
        strtol(text, NULL, 10) > RETENTION_DAYS_MAX) {
        return refuse_value(r, "days", "a whole number from 0 to 36500 (0: for ever)");
    }
    r->rule->days = strtol(text, NULL, 10);
    return OK;
}
_Static_assert((int)RETENTION_DAYS_MAX == 36500 && (int)SERIES_PATH_BYTES_MAX == 1024,
               "as the sentences say");

static enum err read_key(struct reading *r)
{
    const char *name = config_yaml_text(r->yaml);
    const bool is_filter = strcmp(name, "filter") == 0;
    if (!is_filter && strcmp(name, "days") != 0) {
        return config_yaml_refuse(r->yaml, config_yaml_place(r->yaml), "unknown word '%.64s'; %s",
                                  name, RULE_IS);
    }
    bool *seen = is_filter ? &r->has_filter : &r->has_days;
    if (*seen) {
        return config_yaml_refuse(r->yaml, config_yaml_place(r->yaml),
                                  "'%s' is set twice in this rule; say it once", name);
    }
    *seen = true;
    return is_filter ? read_filter(r) : read_days(r);
}

static enum err read_keys(struct reading *r)
{
    enum config_node kind;
    for (;;) {
        TRY(config_yaml_next(r->yaml, &kind));
        if (kind == CONFIG_NODE_END) {
            break;
        }
        if (kind != CONFIG_NODE_TEXT) {
            return config_yaml_refuse(r->yaml, config_yaml_place(r->yaml), "%s", RULE_IS);
        }
        TRY(read_key(r));
    }
    if (r->has_filter && r->has_days) {
        return OK;
    }
    return config_yaml_refuse(r->yaml, r->place, "this rule has no '%s'; %s",
                              r->has_filter ? "days" : "filter", RULE_IS);
}

static struct bytes filter_of(const struct retention_config_rule *rule)
{
    return (struct bytes){rule->filter, rule->size};
}

/* One that can never decide is a mistake. */
static enum err check_new(struct reading *r, const struct retention_config *c)
{
    for (unsigned i = 0; i < c->count; i++) {
        if (bytes_equal(filter_of(&c->rule[i]), filter_of(r->rule))) {
            return config_yaml_refuse(r->yaml, r->place,
                                      "rule %u has this filter already, and the first decides; "
                                      "leave one out",
                                      i + 1);
        }
    }
    return OK;
}

static enum err read_rule(struct retention_config *c, struct config_yaml *y, enum config_node kind)
{
    const struct config_place place = config_yaml_place(y);
    if (kind != CONFIG_NODE_MAP) {
        return config_yaml_refuse(y, place, "no rule; %s", RULE_IS);
    }
    if (c->count == RETENTION_RULES_MAX) {
        return config_yaml_refuse(y, place, "one rule too many; there may be %d",
                                  RETENTION_RULES_MAX);
    }
    struct reading r = {.yaml = y, .place = place, .rule = &c->rule[c->count]};
    TRY(read_keys(&r));
    TRY(check_new(&r, c));
    c->count++;
    return OK;
}

enum err retention_config_read(struct retention_config *c, struct config_yaml *y)
{
    enum config_node kind;
    TRY(config_yaml_next(y, &kind));
    if (kind != CONFIG_NODE_LIST) {
        return config_yaml_refuse(y, config_yaml_place(y),
                                  "retention is a list of rules, each after a '-'; %s", RULE_IS);
    }
    for (;;) {
        TRY(config_yaml_next(y, &kind));
        if (kind == CONFIG_NODE_END) {
            return OK;
        }
        TRY(read_rule(c, y, kind));
    }
}

void retention_config_rules(const struct retention_config *c,
                            struct retention_rule to[RETENTION_RULES_MAX])
{
    for (unsigned i = 0; i < c->count; i++) {
        to[i] = (struct retention_rule){filter_of(&c->rule[i]), c->rule[i].days * SECONDS_A_DAY};
    }
}

int64_t retention_config_longest(const struct retention_config *c, int64_t others_days)
{
    int64_t longest = others_days;
    for (unsigned i = 0; i < c->count && longest != 0; i++) {
        const int64_t days = c->rule[i].days;
        longest = days == 0 || days > longest ? days : longest;
    }
    return longest;
}

bool retention_config_same(const struct retention_config *a, const struct retention_config *b)
{
    bool same = a->count == b->count;
    for (unsigned i = 0; same && i < a->count; i++) {
        same = a->rule[i].days == b->rule[i].days &&
               bytes_equal(filter_of(&a->rule[i]), filter_of(&b->rule[i]));
    }
    return same;
}
