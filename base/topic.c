#include "base/topic.h"

/* Bytes of the character at `at`, or 0 when it is not one MQTT allows (RFC 3629, table in 4). */
static size_t character_size(const uint8_t *at, size_t left)
{
    uint8_t lead = at[0];
    size_t size = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;

    if (lead == 0 || (lead >= 0x80 && lead < 0xc2) || lead > 0xf4 || size > left) {
        return 0;
    }
    for (size_t i = 1; i < size; i++) {
        if ((at[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    bool is_overlong = (lead == 0xe0 && at[1] < 0xa0) || (lead == 0xf0 && at[1] < 0x90);
    bool is_surrogate = lead == 0xed && at[1] > 0x9f;
    bool is_beyond = lead == 0xf4 && at[1] > 0x8f;
    return is_overlong || is_surrogate || is_beyond ? 0 : size;
}

bool topic_is_utf8(struct bytes text)
{
    for (size_t i = 0; i < text.size;) {
        size_t size = character_size(text.at + i, text.size - i);
        if (size == 0) {
            return false;
        }
        i += size;
    }
    return true;
}

static bool has_good_shape(struct bytes text)
{
    size_t levels = 1;
    for (size_t i = 0; i < text.size; i++) {
        levels += text.at[i] == '/';
    }
    return text.size > 0 && text.size <= TOPIC_BYTES_MAX && levels <= TOPIC_LEVELS_MAX &&
           topic_is_utf8(text);
}

bool topic_is_name(struct bytes topic)
{
    for (size_t i = 0; i < topic.size; i++) {
        if (topic.at[i] == '+' || topic.at[i] == '#') {
            return false;
        }
    }
    return has_good_shape(topic);
}

bool topic_is_filter(struct bytes filter)
{
    for (size_t i = 0; i < filter.size; i++) {
        bool starts = i == 0 || filter.at[i - 1] == '/';
        bool ends = i + 1 == filter.size || filter.at[i + 1] == '/';
        if (filter.at[i] == '+' && !(starts && ends)) {
            return false;
        }
        if (filter.at[i] == '#' && !(starts && i + 1 == filter.size)) {
            return false;
        }
    }
    return has_good_shape(filter);
}

/* Bytes of the level that starts at `from`. */
static size_t level_size(struct bytes text, size_t from)
{
    const uint8_t *slash = memchr(text.at + from, '/', text.size - from);
    return slash == NULL ? text.size - from : (size_t)(slash - text.at) - from;
}

bool topic_matches(struct bytes filter, struct bytes name)
{
    size_t f = 0, n = 0;

    if (name.size > 0 && name.at[0] == '$' && (filter.at[0] == '+' || filter.at[0] == '#')) {
        return false;
    }
    for (;;) {
        size_t f_size = level_size(filter, f);
        size_t n_size = level_size(name, n);
        bool f_last = f + f_size == filter.size;
        bool n_last = n + n_size == name.size;
        bool is_plus = f_size == 1 && filter.at[f] == '+';

        if (f_size == 1 && filter.at[f] == '#') {
            return true;
        }
        if (!is_plus && (f_size != n_size || memcmp(filter.at + f, name.at + n, f_size) != 0)) {
            return false;
        }
        f += f_size + 1;
        n += n_size + 1;
        if (n_last) {
            /* "a/#" selects "a" as well. */
            return f_last || (f + 1 == filter.size && filter.at[f] == '#');
        }
        if (f_last) {
            return false;
        }
    }
}
