/* Any bytes as a payload. What is accepted was UTF-8, and every point of it could be stored: its
 * name makes a topic, no name comes twice, its number keeps the promise of number.h, its text is
 * one. With and without texts wanted. */

#include "proto/payload.h"

#include <math.h>

#include "base/check.h"
#include "base/timestamp.h"
#include "base/topic.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct payload decoded;

static void check_number(const struct number *n)
{
    CHECK(isfinite(n->value));
    if (n->scale == NUMBER_RAW) {
        return;
    }
    CHECK(n->scale <= NUMBER_SCALE_MAX);
    CHECK(n->mantissa >= -(INT64_C(1) << 53) && n->mantissa <= INT64_C(1) << 53);
    double value = (double)n->mantissa / number_power(n->scale);
    CHECK(memcmp(&value, &n->value, sizeof value) == 0);
}

static void check_name(struct bytes name)
{
    static uint8_t topic[PAYLOAD_NAMES_BYTES_MAX + 2] = "t/";
    CHECK(name.size <= PAYLOAD_NAMES_BYTES_MAX);
    memcpy(topic + 2, name.at, name.size);
    CHECK(topic_is_name((struct bytes){topic, name.size + 2}));
    size_t slashes = 0;
    for (size_t i = 0; i < name.size; i++) {
        CHECK(name.at[i] >= 0x20 && name.at[i] != 0x7f);
        slashes += name.at[i] == '/';
    }
    CHECK(slashes < PAYLOAD_DEPTH_MAX);
}

static void check_text(const struct number *n)
{
    CHECK(n->mantissa >= 0 && n->mantissa < decoded.text_count);
    const struct bytes text = decoded.texts[n->mantissa];
    CHECK(text.size <= decoded.text_bytes_max && topic_is_utf8(text));
}

static void decode(struct bytes payload)
{
    enum payload_reason reason = payload_decode(payload, &decoded);

    CHECK(reason < PAYLOAD_REASONS);
    if (reason != PAYLOAD_OK) {
        return;
    }
    CHECK(topic_is_utf8(payload));
    CHECK(decoded.count > 0 && decoded.count <= PAYLOAD_POINTS_MAX);
    CHECK(!decoded.has_time ||
          (decoded.time_ns >= TIMESTAMP_MIN_NS && decoded.time_ns <= TIMESTAMP_MAX_NS));
    for (unsigned i = 0; i < decoded.count; i++) {
        check_name(decoded.points[i].name);
        if (decoded.points[i].number.scale == PAYLOAD_TEXT) {
            check_text(&decoded.points[i].number);
        } else {
            check_number(&decoded.points[i].number);
        }
        for (unsigned k = 0; k < i; k++) {
            CHECK(!bytes_equal(decoded.points[i].name, decoded.points[k].name));
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    decoded.text_bytes_max = 0;
    decode((struct bytes){data, size});
    decoded.text_bytes_max = 16;
    decode((struct bytes){data, size});
    return 0;
}
