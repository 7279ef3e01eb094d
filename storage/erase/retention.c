#include "storage/erase/retention.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/thread.h"
#include "storage/memory/segments.h"
#include "storage/part/part_name.h"

struct rule {
    size_t size;
    uint8_t filter[SERIES_PATH_BYTES_MAX];
    int64_t keep_ns; /* 0: for ever. */
    _Atomic int64_t horizon_ns;
};

/* What is known of a group: nothing, that it is mixed, or its rule. Of a series of a mixed one:
 * nothing, or its rule. */
enum { GROUP_UNKNOWN, GROUP_MIXED, GROUP_RULE };

struct retention {
    int64_t period_s;
    _Atomic uint64_t generation;
    struct lock lock;       /* Guards reserving. */
    struct segments groups; /* atomic_uchar: GROUP_UNKNOWN, GROUP_MIXED, GROUP_RULE + rule. */
    struct segments series; /* Of mixed groups, GROUP_COLUMNS_MAX atomic_uchar each. */
    size_t count;           /* Of rules; one more behind them is the default. */
    _Atomic int64_t latest_ns;
    struct rule rules[];
};
_Static_assert((int)RETENTION_RULES_MAX + 1 + (int)GROUP_RULE <= UINT8_MAX, "fits a byte");

enum err retention_create(const struct retention_options *options, struct retention **out)
{
    const size_t count = options->rule_count;
    if (count > RETENTION_RULES_MAX) {
        return E_LIMIT;
    }
    struct retention *r = calloc(1, sizeof *r + (count + 1) * sizeof r->rules[0]);
    if (r == NULL) {
        return E_NO_MEMORY;
    }
    lock_init(&r->lock);
    atomic_init(&r->latest_ns, RETENTION_FOR_EVER);
    r->count = count;
    r->period_s = options->period_s;
    for (size_t i = 0; i <= count; i++) {
        struct rule *rule = &r->rules[i];
        rule->keep_ns = (i < count ? options->rules[i].keep_s : options->keep_s) * NS_PER_S;
        rule->size = i < count ? options->rules[i].filter.size : 0;
        memcpy(rule->filter, i < count ? options->rules[i].filter.at : rule->filter, rule->size);
        atomic_init(&rule->horizon_ns, RETENTION_FOR_EVER);
    }
    *out = r;
    return OK;
}

void retention_destroy(struct retention *r)
{
    if (r != NULL) {
        segments_fini(&r->groups);
        segments_fini(&r->series);
        lock_fini(&r->lock);
        free(r);
    }
}

/* -- Horizons --------------------------------------------------------------------------------- */

static int64_t horizon_of(const struct rule *rule)
{
    return atomic_load_explicit(&rule->horizon_ns, memory_order_relaxed);
}

/* Start of the period a horizon lies in: all before it is over as a whole. */
static int64_t whole_of(const struct retention *r, int64_t horizon_ns)
{
    return horizon_ns < 0 ? horizon_ns : part_period_of(horizon_ns, r->period_s).start_ns;
}

void retention_move(struct retention *r, int64_t wall_ns)
{
    bool passed = atomic_load(&r->generation) == 0;
    for (size_t i = 0; i <= r->count; i++) {
        struct rule *rule = &r->rules[i];
        const int64_t before_ns = horizon_of(rule), horizon_ns = wall_ns - rule->keep_ns;
        if (rule->keep_ns > 0 && horizon_ns > before_ns) {
            passed |= whole_of(r, before_ns) != whole_of(r, horizon_ns);
            atomic_store_explicit(&rule->horizon_ns, horizon_ns, memory_order_relaxed);
            if (horizon_ns > retention_latest(r)) {
                atomic_store_explicit(&r->latest_ns, horizon_ns, memory_order_relaxed);
            }
        }
    }
    if (passed) {
        atomic_fetch_add(&r->generation, 1);
    }
}

int64_t retention_least(const struct retention *r)
{
    int64_t least_ns = INT64_MAX;
    for (size_t i = 0; i <= r->count; i++) {
        const int64_t horizon_ns = horizon_of(&r->rules[i]);
        least_ns = horizon_ns < least_ns ? horizon_ns : least_ns;
    }
    return least_ns;
}

int64_t retention_latest(const struct retention *r)
{
    return atomic_load_explicit(&r->latest_ns, memory_order_relaxed);
}

bool retention_shrinks(const struct retention *r, int64_t from_ns, int64_t to_ns)
{
    const int64_t least_ns = retention_least(r);
    for (size_t i = 0; i <= r->count && least_ns < to_ns; i++) {
        const int64_t horizon_ns = horizon_of(&r->rules[i]);
        if (horizon_ns > least_ns && whole_of(r, horizon_ns) > from_ns) {
            return true;
        }
    }
    return false;
}

uint64_t retention_generation(const struct retention *r)
{
    return atomic_load(&r->generation);
}

/* -- Rules of groups -------------------------------------------------------------------------- */

/* Whether a filter selects all series of a topic, whatever their names; none; or it depends. */
enum verdict { SELECTS_NONE, SELECTS_SOME, SELECTS_ALL };

static struct bytes take_level(struct bytes *rest, bool *more)
{
    size_t size = 0;
    while (size < rest->size && rest->at[size] != '/') {
        size++;
    }
    const struct bytes level = {rest->at, size};
    *more = size < rest->size;
    *rest = *more ? (struct bytes){rest->at + size + 1, rest->size - size - 1}
                  : (struct bytes){rest->at + size, 0};
    return level;
}

static enum verdict judge(struct bytes filter, struct bytes topic)
{
    bool more_filter = true, more_topic = true;
    if (topic.at[0] == '$' && (filter.at[0] == '+' || filter.at[0] == '#')) {
        return SELECTS_NONE;
    }
    while (more_filter) {
        const struct bytes wanted = take_level(&filter, &more_filter);
        if (bytes_equal(wanted, bytes_of("#"))) {
            return SELECTS_ALL;
        }
        if (!more_topic) {
            return SELECTS_SOME; /* A name may have this level. */
        }
        const struct bytes level = take_level(&topic, &more_topic);
        if (!bytes_equal(wanted, bytes_of("+")) && !bytes_equal(wanted, level)) {
            return SELECTS_NONE;
        }
    }
    return more_topic ? SELECTS_NONE : SELECTS_SOME;
}

static struct bytes filter_of(const struct rule *rule)
{
    return (struct bytes){rule->filter, rule->size};
}

static uint8_t judge_group(const struct retention *r, struct bytes topic)
{
    for (size_t i = 0; i < r->count; i++) {
        const enum verdict v = judge(filter_of(&r->rules[i]), topic);
        if (v != SELECTS_NONE) {
            return v == SELECTS_ALL ? (uint8_t)(GROUP_RULE + i) : GROUP_MIXED;
        }
    }
    return (uint8_t)(GROUP_RULE + r->count);
}

/* Room to remember it; NULL: there is none, and it is found out every time. */
static atomic_uchar *reserve(struct retention *r, struct segments *all, size_t bytes,
                             uint32_t group)
{
    atomic_uchar *slot = segments_find(all, bytes, group);
    if (slot == NULL) {
        void *made = NULL;
        lock_take(&r->lock);
        if (segments_reserve(all, bytes, group, &made) == OK) {
            slot = made;
        }
        lock_drop(&r->lock);
    }
    return slot;
}

/* What a slot says; with none, or nothing in it, GROUP_UNKNOWN. */
static uint8_t recall(const atomic_uchar *slot)
{
    return slot == NULL ? (uint8_t)GROUP_UNKNOWN : atomic_load_explicit(slot, memory_order_relaxed);
}

static uint8_t remember(atomic_uchar *slot, uint8_t found)
{
    if (slot != NULL) {
        atomic_store_explicit(slot, found, memory_order_relaxed);
    }
    return found;
}

static uint8_t find_group(struct retention *r, const struct catalogue *c, uint32_t group)
{
    if (r->count == 0) {
        return GROUP_RULE;
    }
    atomic_uchar *slot = reserve(r, &r->groups, sizeof *slot, group);
    const uint8_t known = recall(slot);
    const struct group *g = known == GROUP_UNKNOWN ? catalogue_group(c, group) : NULL;
    if (known != GROUP_UNKNOWN) {
        return known;
    }
    return g == NULL ? (uint8_t)(GROUP_RULE + r->count) : remember(slot, judge_group(r, g->topic));
}

static size_t rule_of_path(const struct retention *r, struct bytes path)
{
    size_t i = 0;
    while (i < r->count && !topic_matches(filter_of(&r->rules[i]), path)) {
        i++;
    }
    return i;
}

/* Of a series of a mixed group. */
static const struct rule *rule_of_series(struct retention *r, const struct catalogue *c,
                                         struct series_ref ref)
{
    atomic_uchar *slot = reserve(r, &r->series, GROUP_COLUMNS_MAX * sizeof *slot, ref.group);
    slot = slot == NULL ? NULL : slot + ref.column;
    uint8_t found = recall(slot);
    if (found == GROUP_UNKNOWN) {
        uint8_t path[SERIES_PATH_BYTES_MAX];
        const size_t size = catalogue_path(c, ref, path);
        const size_t rule = rule_of_path(r, (struct bytes){path, size});
        found = remember(slot, (uint8_t)(GROUP_RULE + rule));
    }
    return &r->rules[found - GROUP_RULE];
}

int64_t retention_horizon(struct retention *r, const struct catalogue *c, struct series_ref ref)
{
    const uint8_t group = find_group(r, c, ref.group);
    return horizon_of(group == GROUP_MIXED ? rule_of_series(r, c, ref)
                                           : &r->rules[group - GROUP_RULE]);
}

int64_t retention_horizon_of_path(const struct retention *r, struct bytes path)
{
    return horizon_of(&r->rules[rule_of_path(r, path)]);
}

static enum err cut(const struct retention *r, const struct rule *rule, bool whole,
                    uint64_t columns, struct cuts *out)
{
    const int64_t horizon_ns = horizon_of(rule);
    const int64_t end_ns = whole ? whole_of(r, horizon_ns) : horizon_ns;
    const struct cut one = {UINT64_MAX, INT64_MIN, end_ns, columns, NULL, 0};
    return end_ns == RETENTION_FOR_EVER ? OK : cuts_add(out, &one);
}

enum err retention_cut_group(struct retention *r, const struct catalogue *c, uint32_t group,
                             bool whole, struct cuts *out)
{
    const uint8_t found = find_group(r, c, group);
    const struct group *g = catalogue_group(c, group);
    if (found != GROUP_MIXED) {
        return cut(r, &r->rules[found - GROUP_RULE], whole, UINT64_MAX, out);
    }
    const unsigned end = atomic_load_explicit(&g->columns, memory_order_acquire);
    for (unsigned i = 0; i < end; i++) {
        const struct series_ref ref = {group, (uint8_t)i};
        TRY(cut(r, rule_of_series(r, c, ref), whole, UINT64_C(1) << i, out));
    }
    return OK;
}
