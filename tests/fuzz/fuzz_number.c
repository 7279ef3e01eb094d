/* Any bytes as the text of a number, and as a double. strtod() agrees with what is read, and what
 * is written reads back bit for bit. */

#include "base/number.h"

#include <math.h>
#include <stdlib.h>

#include "base/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is_same(double a, double b)
{
    return memcmp(&a, &b, sizeof a) == 0;
}

static void check_number(struct number n)
{
    CHECK(n.scale <= NUMBER_SCALE_MAX || n.scale == NUMBER_RAW);
    if (n.scale != NUMBER_RAW) {
        CHECK(n.mantissa >= -(INT64_C(1) << 53) && n.mantissa <= INT64_C(1) << 53);
        CHECK(is_same((double)n.mantissa / number_power(n.scale), n.value));
    }
}

static void check_round_trip(double value)
{
    char text[NUMBER_TEXT_BYTES_MAX];
    struct number n;
    size_t size = number_write(value, text);

    CHECK(size > 0 && size <= sizeof text);
    enum err error = number_read((struct bytes){(const uint8_t *)text, size}, &n);
    CHECK(error == (isfinite(value) ? OK : E_MALFORMED));
    CHECK(error != OK || is_same(n.value, value));
    check_number(number_of(value));
}

static void check_text(struct bytes text)
{
    char copy[4096 + 1];
    struct number n;
    enum err error = number_read(text, &n);

    CHECK(error == OK || error == E_MALFORMED || error == E_LIMIT);
    if (error == E_MALFORMED || text.size >= sizeof copy) {
        return;
    }
    memcpy(copy, text.at, text.size);
    copy[text.size] = 0;
    char *end;
    double value = strtod(copy, &end);
    CHECK(end == copy + text.size);
    CHECK(isfinite(value) == (error == OK));
    if (error == OK) {
        CHECK(is_same(value, n.value));
        check_number(n);
        check_round_trip(value);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    double value;
    check_text((struct bytes){data, size});
    if (size == sizeof value) {
        memcpy(&value, data, sizeof value);
        check_round_trip(value);
    }
    return 0;
}
