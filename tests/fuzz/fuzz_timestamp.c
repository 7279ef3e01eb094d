/* Any bytes as every kind of time text. What is read is in range and reads back from what is
 * written; what is refused leaves the result alone. Eight bytes are a time to write, too. */

#include "base/timestamp.h"

#include "base/check.h"
#include "base/number.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { UNTOUCHED = -12345 };

static void check_round_trip(int64_t time_ns)
{
    char text[TIMESTAMP_TEXT_BYTES_MAX];
    struct bytes written = {(const uint8_t *)text, 0};
    int64_t read_ns = UNTOUCHED;

    for (int format = TIMESTAMP_RFC3339; format <= TIMESTAMP_NS; format++) {
        written.size = timestamp_write(time_ns, (enum timestamp_format)format, text);
        CHECK(written.size > 0 && written.size <= sizeof text);
        bool is_in_range = time_ns >= TIMESTAMP_MIN_NS && time_ns <= TIMESTAMP_MAX_NS;
        if (format == TIMESTAMP_RFC3339) {
            enum err error = timestamp_read_rfc3339(written, &read_ns);
            CHECK(error == (is_in_range ? OK : E_LIMIT));
        } else if (is_in_range && time_ns >= INT64_C(100000000000000000)) {
            CHECK(timestamp_read_unix(written, &read_ns) == OK);
        }
        CHECK(!is_in_range || read_ns == time_ns);
    }
}

static void check_result(enum err error, int64_t time_ns)
{
    if (error != OK) {
        CHECK(error == E_MALFORMED || error == E_LIMIT || error == E_NOT_FOUND);
        CHECK(time_ns == UNTOUCHED);
        return;
    }
    CHECK(time_ns >= TIMESTAMP_MIN_NS && time_ns <= TIMESTAMP_MAX_NS);
    check_round_trip(time_ns);
}

/* A time from the digits and one from the double agree about the unit and nearly about the time. */
static void check_unix(struct bytes text)
{
    int64_t time_ns = UNTOUCHED, rounded_ns = UNTOUCHED;
    struct number n;
    enum err error = timestamp_read_unix(text, &time_ns);

    check_result(error, time_ns);
    enum err number_error = number_read(text, &n);
    if (number_error != OK) {
        CHECK(error != OK && (error == E_MALFORMED) == (number_error == E_MALFORMED));
        return;
    }
    enum err rounded = timestamp_read_number(&n, &rounded_ns);
    check_result(rounded, rounded_ns);
    if (error == OK && rounded == OK) {
        CHECK(time_ns - rounded_ns < 2000 && rounded_ns - time_ns < 2000);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const int64_t now_ns = INT64_C(1795411011000000005);
    struct bytes text = {data, size};
    int64_t time_ns = UNTOUCHED, human_ns = UNTOUCHED, length_ns = UNTOUCHED, any_ns;

    check_result(timestamp_read_rfc3339(text, &time_ns), time_ns);
    check_result(timestamp_read_human(text, now_ns, &human_ns), human_ns);
    check_unix(text);
    enum err error = timestamp_read_length(text, &length_ns);
    CHECK(error == OK ? length_ns > 0 : length_ns == UNTOUCHED);
    if (size == sizeof any_ns) {
        memcpy(&any_ns, data, sizeof any_ns);
        check_round_trip(any_ns);
    }
    return 0;
}
