#include "tests/lib/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/topic.h"
#include "broker/mqtt/match_cache.h"
#include "broker/mqtt/session.h"
#include "broker/mqtt/share.h"
#include "broker/mqtt/subscriptions.h"
#include "broker/mqtt/topic_tree.h"
#include "tests/lib/rng.h"

enum { SUBSCRIBERS = 12, FILTERS = 60, STEPS = 6000, TEXT_BYTES = 64 };

static int interests;

static void count_interest(void *context, struct bytes filter, uint64_t interest)
{
    (void)context;
    assert_true(topic_is_filter(filter));
    interests += interest > 0 ? 1 : -1;
}

/* A path of a few short levels; with wildcards when it is a filter. */
static struct bytes random_path(struct rng *r, bool is_filter, char text[TEXT_BYTES])
{
    static const char *const names[] = {"a", "b", "", "$SYS", "ab"};
    const unsigned levels = 1 + rng_below(r, 4);
    text[0] = 0;
    for (unsigned i = 0; i < levels; i++) {
        const char *level = names[rng_below(r, 5)];
        const unsigned wild = is_filter ? rng_below(r, 5) : 9;
        if (wild == 0) {
            level = "+";
        } else if (wild == 1 && i + 1 == levels) {
            level = "#";
        }
        size_t used = strlen(text);
        (void)snprintf(text + used, TEXT_BYTES - used, "%s%s", i > 0 ? "/" : "", level);
    }
    if (text[0] == 0) {
        (void)snprintf(text, TEXT_BYTES, "a");
    }
    return bytes_of(text);
}

/* The plain truth: who has which filter. */
struct model {
    char filters[FILTERS][TEXT_BYTES];
    bool has[SUBSCRIBERS][FILTERS];
    uint64_t loops[FILTERS];
};

static void check_match(const struct subscriptions *s, struct match_cache *cache,
                        const struct model *m, struct subscriber *subscribers, struct rng *r)
{
    char text[TEXT_BYTES];
    struct bytes topic = random_path(r, false, text);
    const struct match *match;
    uint32_t expected = 0;
    uint64_t loops = 0;

    assert_ok(match_cache_find(cache, topic, hash_bytes(topic), &match));
    for (unsigned f = 0; f < FILTERS; f++) {
        if (!topic_matches(bytes_of(m->filters[f]), topic)) {
            continue;
        }
        bool is_first = true; /* The list holds some filters twice. */
        for (unsigned g = 0; g < f; g++) {
            is_first = is_first && strcmp(m->filters[f], m->filters[g]) != 0;
        }
        for (unsigned i = 0; is_first && i < SUBSCRIBERS; i++) {
            expected += m->has[i][f];
        }
        loops |= m->loops[f];
    }
    assert_int_equal(match->count, expected);
    assert_int_equal(match->loops, loops);
    for (uint32_t i = 1; i < match->count; i++) {
        assert_true(match->items[i - 1]->subscriber <= match->items[i]->subscriber);
    }
    (void)s;
    (void)subscribers;
}

/* Filters that are equal stand for one subscription. */
static void set(struct model *m, unsigned who, unsigned filter, bool has)
{
    for (unsigned g = 0; g < FILTERS; g++) {
        if (strcmp(m->filters[filter], m->filters[g]) == 0) {
            m->has[who][g] = has;
        }
    }
}

static void set_loop(struct model *m, unsigned loop, unsigned filter, bool on)
{
    for (unsigned g = 0; g < FILTERS; g++) {
        if (strcmp(m->filters[filter], m->filters[g]) == 0) {
            uint64_t bit = UINT64_C(1) << loop;
            m->loops[g] = on ? m->loops[g] | bit : m->loops[g] & ~bit;
        }
    }
}

static void a_match_is_what_topic_matches_says(void **state)
{
    (void)state;
    struct rng r = {7};
    static struct model m;
    struct subscriber subscribers[SUBSCRIBERS] = {0};
    struct subscriptions *s;
    struct match_cache *cache;
    bool existed;

    assert_ok(subscriptions_create(count_interest, NULL, &s));
    assert_ok(match_cache_create(s, &cache));
    for (unsigned f = 0; f < FILTERS; f++) {
        do {
            (void)random_path(&r, true, m.filters[f]);
        } while (!topic_is_filter(bytes_of(m.filters[f])));
    }
    for (unsigned i = 0; i < STEPS; i++) {
        unsigned who = rng_below(&r, SUBSCRIBERS), f = rng_below(&r, FILTERS);
        struct bytes filter = bytes_of(m.filters[f]);
        struct subscription_options options = {.qos = (uint8_t)rng_below(&r, 2)};
        switch (rng_below(&r, 5)) {
        case 0:
            assert_ok(subscriptions_put(s, &subscribers[who], filter, &options, &existed));
            assert_int_equal(existed, m.has[who][f]);
            set(&m, who, f, true);
            break;
        case 1:
            assert_int_equal(subscriptions_remove(s, &subscribers[who], filter),
                             m.has[who][f] ? OK : E_NOT_FOUND);
            set(&m, who, f, false);
            break;
        case 2:
            assert_ok(subscriptions_interest(s, filter, who, i & 1));
            set_loop(&m, who, f, (i & 1) != 0);
            break;
        default:
            assert_int_equal(subscriptions_find(s, &subscribers[who], filter) != NULL,
                             m.has[who][f]);
            check_match(s, cache, &m, subscribers, &r);
        }
    }
    for (unsigned i = 0; i < SUBSCRIBERS; i++) {
        subscriptions_clear(s, &subscribers[i]);
        assert_int_equal(subscribers[i].count, 0);
    }
    assert_int_equal(interests, 0);
    for (unsigned f = 0; f < FILTERS; f++) {
        for (unsigned l = 0; l < SUBSCRIBERS; l++) {
            assert_ok(subscriptions_interest(s, bytes_of(m.filters[f]), l, 0));
        }
    }
    assert_true(subscriptions_is_empty(s));
    match_cache_destroy(cache);
    subscriptions_destroy(s);
}

static void count_visit(void *context, void *value)
{
    (void)value;
    *(unsigned *)context += 1;
}

static void a_selection_is_what_topic_matches_says(void **state)
{
    (void)state;
    enum { NAMES = 300 };
    static char names[NAMES][TEXT_BYTES];
    struct rng r = {11};
    struct topic_tree t;
    struct topic_node *node;
    char text[TEXT_BYTES];

    assert_ok(topic_tree_init(&t));
    for (unsigned i = 0; i < NAMES; i++) {
        assert_ok(topic_tree_add(&t, random_path(&r, false, names[i]), &node));
        node->value = node;
    }
    for (unsigned i = 0; i < STEPS; i++) {
        struct bytes filter = random_path(&r, true, text);
        unsigned got = 0, expected = 0;
        if (!topic_is_filter(filter)) {
            continue;
        }
        topic_tree_select(&t, filter, count_visit, &got);
        for (unsigned k = 0; k < NAMES; k++) {
            bool is_first = true;
            for (unsigned l = 0; l < k && is_first; l++) {
                is_first = strcmp(names[k], names[l]) != 0;
            }
            expected += is_first && topic_matches(filter, bytes_of(names[k]));
        }
        assert_int_equal(got, expected);
    }
    for (unsigned i = 0; i < NAMES; i++) {
        node = topic_tree_find(&t, bytes_of(names[i]));
        if (node != NULL) {
            node->value = NULL;
            topic_tree_prune(&t, node);
        }
    }
    assert_int_equal(t.node_count, 0);
    topic_tree_fini(&t);
}

static uint64_t last_told;

static void note_interest(void *context, struct bytes filter, uint64_t interest)
{
    (void)context;
    (void)filter;
    last_told = interest;
}

/* Of so many members, those connected. */
static uint64_t interest_of(uint32_t here, uint32_t members)
{
    return (uint64_t)here << 32 | members;
}

/* How often loops 0 and 2 are chosen in 600 turns. */
static void count_turns(struct share *share, unsigned turns[3])
{
    memset(turns, 0, 3 * sizeof turns[0]);
    for (unsigned i = 0; i < 600; i++) {
        unsigned loop = share_choose_loop(share, 0);
        assert_true(loop == 0 || loop == 2);
        turns[loop]++;
    }
}

static void members_of_a_share_take_turns_wherever_they_are(void **state)
{
    (void)state;
    const struct subscription_options options = {.qos = 1};
    const struct bytes filter = bytes_of("$share/g/a/+");
    struct subscriptions *s;
    struct session *members[2];
    struct match m = {0};
    bool existed;
    unsigned turns[3], mine[2] = {0};

    assert_ok(subscriptions_create(note_interest, NULL, &s));
    for (unsigned i = 0; i < 2; i++) {
        assert_ok(session_create(bytes_of("x"), &members[i]));
        subscriptions_set_here(s, &members[i]->subscriber, true);
        assert_ok(subscriptions_put(s, &members[i]->subscriber, filter, &options, &existed));
        assert_true(last_told == interest_of(i + 1, i + 1));
    }
    assert_ok(subscriptions_interest(s, filter, 2, interest_of(4, 4)));
    assert_ok(subscriptions_match(s, bytes_of("a/b"), &m));
    assert_int_equal(m.count, 0);
    assert_int_equal(m.loops, 0);
    assert_int_equal(m.share_count, 1);
    count_turns(m.shares[0], turns);
    assert_true(turns[0] == 200 && turns[2] == 400);
    for (unsigned i = 0; i < 200; i++) {
        mine[session_of(share_choose_member(m.shares[0])->subscriber) == members[1]]++;
    }
    assert_int_equal(mine[0], 100);
    /* Those who are connected are preferred, wherever they are. */
    subscriptions_set_here(s, &members[0]->subscriber, false);
    assert_true(last_told == interest_of(1, 2));
    for (unsigned i = 0; i < 10; i++) {
        assert_ptr_equal(share_choose_member(m.shares[0])->subscriber, &members[1]->subscriber);
    }
    count_turns(m.shares[0], turns);
    assert_true(turns[0] == 120 && turns[2] == 480);
    assert_ok(subscriptions_interest(s, filter, 2, interest_of(0, 4)));
    count_turns(m.shares[0], turns);
    assert_true(turns[0] == 600);
    subscriptions_set_here(s, &members[1]->subscriber, false);
    count_turns(m.shares[0], turns);
    assert_true(turns[0] == 200 && turns[2] == 400);
    for (unsigned i = 0; i < 2; i++) {
        assert_non_null(subscriptions_find(s, &members[i]->subscriber, filter));
        subscriptions_clear(s, &members[i]->subscriber);
        session_destroy(members[i]);
    }
    assert_true(last_told == 0);
    assert_non_null(subscriptions_share(s, filter));
    assert_ok(subscriptions_interest(s, filter, 2, 0));
    assert_null(subscriptions_share(s, filter));
    assert_true(subscriptions_is_empty(s));
    match_fini(&m);
    subscriptions_destroy(s);
}

static void a_share_needs_a_group_and_a_filter(void **state)
{
    (void)state;
    static const char *const bad[] = {"$share/",    "$share/g",    "$share/g/",  "$share//a",
                                      "$share/+/a", "$share/g#/a", "$share/g/a#"};
    const struct subscription_options options = {0};
    struct subscriptions *s;
    struct subscriber who = {0};
    bool existed;
    assert_ok(subscriptions_create(note_interest, NULL, &s));
    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(subscriptions_put(s, &who, bytes_of(bad[i]), &options, &existed),
                         E_MALFORMED);
        assert_int_equal(subscriptions_remove(s, &who, bytes_of(bad[i])), E_NOT_FOUND);
    }
    assert_true(subscriptions_is_empty(s));
    subscriptions_destroy(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_match_is_what_topic_matches_says),
        cmocka_unit_test(a_selection_is_what_topic_matches_says),
        cmocka_unit_test(members_of_a_share_take_turns_wherever_they_are),
        cmocka_unit_test(a_share_needs_a_group_and_a_filter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
