#include "cli/city.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/clock.h"

enum { RAIN_BLOCK_S = 6 * 3600, DAY_S = 86400 };

struct device {
    char topic[CITY_TOPIC_BYTES_MAX];
    unsigned kind;
    uint64_t random;
    int64_t last_ns; /* 0: never spoke. */
    double level;    /* Level, charge, noise: what the kind remembers. */
    double counter;  /* Energy, rain, hours: what only grows. */
    double scale;    /* How this one differs from its kind. */
};

struct city {
    uint64_t seed;
    unsigned devices;
    char payload[CITY_PAYLOAD_BYTES_MAX];
    struct device device[];
};

/* What a device says: `passed_s` since it spoke last (at most an hour). Returns the payload's size.
 */
typedef int speak(struct city *c, struct device *d, int64_t time_ns, double passed_s);

static uint64_t mix(uint64_t z) /* splitmix64's output, Steele et al., OOPSLA 2014 */
{
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

/* 0 <= x < 1 */
static double chance(uint64_t *state)
{
    *state += 0x9e3779b97f4a7c15;
    return (double)(mix(*state) >> 11) * 0x1p-53;
}

/* About normal, mean 0, deviation 1: twelve uniform ones. */
static double noise(struct device *d)
{
    double sum = -6;
    for (int i = 0; i < 12; i++) {
        sum += chance(&d->random);
    }
    return sum;
}

/* -1..1 over a day, highest at `peak_h` o'clock UTC. */
static double daily(int64_t time_ns, double peak_h)
{
    double hour = (double)(time_ns / NS_PER_S % DAY_S) / 3600;
    return cos((hour - peak_h) * (2 * M_PI / 24));
}

double city_rain(const struct city *c, int64_t time_ns)
{
    int64_t second = time_ns / NS_PER_S;
    uint64_t state = c->seed ^ (uint64_t)(second / RAIN_BLOCK_S) * 0x9e3779b97f4a7c15;
    if (chance(&state) > 0.3) {
        return 0; /* Seven of ten blocks are dry. */
    }
    double peak = 1 + 14 * chance(&state) * chance(&state);
    double phase = (double)(second % RAIN_BLOCK_S) / RAIN_BLOCK_S;
    return peak * sin(phase * M_PI) * sin(phase * M_PI);
}

static long long millis(int64_t time_ns)
{
    return (long long)(time_ns / NS_PER_MS);
}

static int speak_river(struct city *c, struct device *d, int64_t time_ns, double passed_s)
{
    double lag_s = 3600 * (1 + 3 * d->scale);
    double rain = city_rain(c, time_ns - (int64_t)lag_s * NS_PER_S);
    d->level += passed_s / 3600 * (0.12 * rain - 0.06 * d->level);
    return snprintf(c->payload, sizeof c->payload, "{\"time\":%lld,\"level\":%.3f,\"flow\":%.1f}",
                    millis(time_ns), 1.2 + 2 * d->scale + d->level + 0.002 * noise(d),
                    40 * (0.5 + d->scale) * (1 + d->level) * (1 + d->level));
}

static int speak_rain(struct city *c, struct device *d, int64_t time_ns, double passed_s)
{
    d->counter += city_rain(c, time_ns) * (0.7 + 0.6 * d->scale) * passed_s / 3600;
    return snprintf(c->payload, sizeof c->payload, "{\"time\":%lld,\"total_mm\":%.1f}",
                    millis(time_ns), floor(d->counter * 5) / 5);
}

static int speak_air(struct city *c, struct device *d, int64_t time_ns, double passed_s)
{
    d->level += (noise(d) * 4 - d->level * 0.1) * fmin(1, passed_s / 60);
    double wash = 1 / (1 + 0.3 * city_rain(c, time_ns));
    double pm25 = fmax(1, (24 + 14 * d->scale + 9 * daily(time_ns, 21) + d->level) * wash);
    double temperature = 9 + 6 * daily(time_ns, 14) + d->scale + 0.2 * noise(d);
    return snprintf(c->payload, sizeof c->payload,
                    "{\"time\":%lld,\"pm25\":%.1f,\"pm10\":%.1f,\"no2\":%.1f,\"temperature\":%.1f,"
                    "\"humidity\":%.0f}",
                    millis(time_ns), pm25, pm25 * 1.45 + fabs(noise(d)),
                    fmax(2, 22 + 10 * daily(time_ns, 17) + 2 * noise(d)), temperature,
                    fmin(100, fmax(20, 72 - 2 * temperature + 3 * city_rain(c, time_ns))));
}

static int speak_feeder(struct city *c, struct device *d, int64_t time_ns, double passed_s)
{
    (void)passed_s;
    double load = 300 + 500 * d->scale;
    double kw = load * (1 + 0.35 * daily(time_ns, 18) + 0.15 * daily(time_ns, 11)) + 4 * noise(d);
    return snprintf(
        c->payload, sizeof c->payload,
        "{\"time\":%lld,\"power_kw\":%.2f,\"voltage\":[%.1f,%.1f,%.1f],\"frequency\":%.3f}",
        millis(time_ns), kw, 231 + noise(d), 230 + noise(d), 232 + noise(d), 50 + 0.01 * noise(d));
}

static int speak_meter(struct city *c, struct device *d, int64_t time_ns, double passed_s)
{
    double kw = 0.2 + 1.5 * d->scale * (1 + 0.6 * daily(time_ns, 19));
    d->counter += kw * passed_s / 3600;
    return snprintf(c->payload, sizeof c->payload, "{\"time\":%lld,\"energy_kwh\":%.3f}",
                    millis(time_ns), 1000 * d->scale + d->counter);
}

static int speak_pump(struct city *c, struct device *d, int64_t time_ns, double passed_s)
{
    (void)passed_s;
    bool on =
        city_rain(c, time_ns) > 2 || (time_ns / NS_PER_S / 900 + (int64_t)(d->scale * 8)) % 4 == 0;
    return snprintf(c->payload, sizeof c->payload,
                    "{\"time\":%lld,\"on\":%s,\"current\":%.2f,\"vibration\":%.3f}",
                    millis(time_ns), on ? "true" : "false",
                    on ? 12.5 + d->scale + 0.1 * noise(d) : 0,
                    on ? 2.1 + 0.05 * noise(d) : 0.02 + 0.001 * fabs(noise(d)));
}

static int speak_shelter(struct city *c, struct device *d, int64_t time_ns, double passed_s)
{
    d->level = fmin(100, fmax(0, d->level + passed_s / 600 * noise(d)));
    return snprintf(c->payload, sizeof c->payload,
                    "{\"time\":%lld,\"occupancy\":%.0f,\"battery\":%.1f,\"temperature\":%.1f}",
                    millis(time_ns), d->level, 97 + daily(time_ns, 13), 14 + 2 * d->scale);
}

/* A plain number, without a time of its own. */
static int speak_light(struct city *c, struct device *d, int64_t time_ns, double passed_s)
{
    (void)passed_s;
    return snprintf(c->payload, sizeof c->payload, "%.0f",
                    daily(time_ns, 0) > 0.1 ? 60 + 40 * d->scale : 0);
}

/* Of each ten devices: which kind, where. */
static const struct kind {
    const char *topic; /* % is the number of the device. */
    speak *speak;
} kinds[] = {
    {"water/vistula-%", speak_river},  {"air/station-%", speak_air},
    {"energy/feeder-%", speak_feeder}, {"energy/meter-%", speak_meter},
    {"water/rain-%", speak_rain},      {"air/street-%", speak_air},
    {"water/pump-%", speak_pump},      {"energy/home-%", speak_meter},
    {"shelter/%", speak_shelter},      {"light/%/brightness", speak_light},
};

enum { KINDS = sizeof kinds / sizeof kinds[0] };

static void topic_write(struct device *d, const char *root, const char *pattern, unsigned number)
{
    int mark = (int)strcspn(pattern, "%");
    (void)snprintf(d->topic, sizeof d->topic, "%.80s/%.*s%02u%s", root, mark, pattern, number,
                   pattern + mark + 1);
}

enum err city_create(const char *root, unsigned devices, uint64_t seed, struct city **out)
{
    CHECK(devices > 0);
    struct city *c = calloc(1, sizeof *c + devices * sizeof c->device[0]);
    if (c == NULL) {
        return E_NO_MEMORY;
    }
    c->seed = mix(seed);
    c->devices = devices;
    for (unsigned i = 0; i < devices; i++) {
        struct device *d = &c->device[i];
        d->kind = i % KINDS;
        d->random = mix(c->seed + i);
        d->scale = chance(&d->random);
        topic_write(d, root, kinds[d->kind].topic, i / KINDS + 1);
    }
    *out = c;
    return OK;
}

void city_destroy(struct city *c)
{
    free(c);
}

void city_speak(struct city *c, unsigned index, int64_t time_ns, const char **topic,
                struct bytes *payload)
{
    CHECK(index < c->devices);
    struct device *d = &c->device[index];
    double passed_s = d->last_ns == 0 ? 0 : (double)(time_ns - d->last_ns) / NS_PER_S;
    int size = kinds[d->kind].speak(c, d, time_ns, fmin(3600, fmax(0, passed_s)));
    CHECK(size > 0 && (size_t)size < sizeof c->payload);
    d->last_ns = time_ns;
    *topic = d->topic;
    *payload = (struct bytes){(const uint8_t *)c->payload, (size_t)size};
}
