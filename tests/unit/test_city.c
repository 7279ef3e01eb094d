#include "cli/city.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/test.h"

enum { DEVICES = 30, HOURS = 96 };

static const int64_t start_ns = INT64_C(1767225600000000000);
static const int64_t hour_ns = INT64_C(3600000000000);

static double member(struct bytes payload, const char *name)
{
    char text[CITY_PAYLOAD_BYTES_MAX + 1], key[40];
    memcpy(text, payload.at, payload.size);
    text[payload.size] = 0;
    (void)snprintf(key, sizeof key, "\"%s\":", name);
    const char *at = strstr(text, key);
    assert_non_null(at);
    return strtod(at + strlen(key), NULL);
}

static void the_same_seed_is_the_same_city(void **state)
{
    struct city *a, *b;
    const char *topic_a, *topic_b;
    struct bytes said_a, said_b;
    (void)state;
    assert_ok(city_create("krakow", DEVICES, 42, &a));
    assert_ok(city_create("krakow", DEVICES, 42, &b));
    for (int i = 0; i < DEVICES * 20; i++) {
        city_speak(a, (unsigned)(i % DEVICES), start_ns + i * hour_ns, &topic_a, &said_a);
        city_speak(b, (unsigned)(i % DEVICES), start_ns + i * hour_ns, &topic_b, &said_b);
        assert_string_equal(topic_a, topic_b);
        assert_true(bytes_equal(said_a, said_b));
    }
    city_destroy(a);
    city_destroy(b);
}

static void counters_only_grow_and_rivers_follow_rain(void **state)
{
    struct city *c;
    const char *topic;
    struct bytes said;
    double energy = 0, rain = 0, lowest = 1e9, highest = 0;
    (void)state;
    assert_ok(city_create("krakow", DEVICES, 7, &c));
    for (int h = 0; h < HOURS; h++) {
        int64_t now_ns = start_ns + h * hour_ns;
        city_speak(c, 3, now_ns, &topic, &said);
        assert_string_equal(topic, "krakow/energy/meter-01");
        assert_true(member(said, "energy_kwh") >= energy);
        energy = member(said, "energy_kwh");
        city_speak(c, 0, now_ns, &topic, &said);
        assert_string_equal(topic, "krakow/water/vistula-01");
        double level = member(said, "level");
        lowest = level < lowest ? level : lowest;
        highest = level > highest ? level : highest;
        rain += city_rain(c, now_ns);
    }
    assert_true(rain > 0);
    assert_true(highest - lowest > 0.05);
    city_destroy(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_seed_is_the_same_city),
        cmocka_unit_test(counters_only_grow_and_rivers_follow_rain),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
