#include "base/topic.h"

/* Nearly all text is ASCII, so it is looked at eight bytes at once (Mycroft's test for a zero byte,
 * exact where no byte is above 0x7f). */
#define EACH_BYTE(byte) (UINT64_C(0x0101010101010101) * (byte))

static uint64_t load_word(const uint8_t *at)
{
    uint64_t word;
    memcpy(&word, at, sizeof word);
    return word;
}

/* Eight characters of ASCII, none of them U+0000. */
static bool is_ascii(uint64_t word)
{
    return ((word | (word - EACH_BYTE(1))) & EACH_BYTE(0x80)) == 0;
}

/* As is_ascii(), and without `+` and `#`, which differ in bit 3 only. */
static bool is_plain(uint64_t word)
{
    uint64_t wild = (word | EACH_BYTE('+' ^ '#')) ^ EACH_BYTE('+');
    return is_ascii(word) && ((wild - EACH_BYTE(1)) & EACH_BYTE(0x80)) == 0;
}

/* Whether the common case of a name can be told at a glance. */
static bool is_plain_name(struct bytes topic)
{
    size_t i = 0;

    if (topic.size < sizeof(uint64_t) || topic.size >= TOPIC_LEVELS_MAX) {
        return false;
    }
    for (; i + sizeof(uint64_t) <= topic.size; i += sizeof(uint64_t)) {
        if (!is_plain(load_word(topic.at + i))) {
            return false;
        }
    }
    return is_plain(load_word(topic.at + topic.size - sizeof(uint64_t)));
}

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
        if (i + sizeof(uint64_t) <= text.size && is_ascii(load_word(text.at + i))) {
            i += sizeof(uint64_t);
            continue;
        }
        size_t size = character_size(text.at + i, text.size - i);
        if (size == 0) {
            return false;
        }
        i += size;
    }
    return true;
}

static size_t count_levels(struct bytes text)
{
    size_t levels = 1;
    for (size_t i = 0; i < text.size; i++) {
        levels += text.at[i] == '/';
    }
    return levels;
}

static bool has_good_shape(struct bytes text)
{
    if (text.size == 0 || text.size > TOPIC_BYTES_MAX || !topic_is_utf8(text)) {
        return false;
    }
    return text.size < TOPIC_LEVELS_MAX || count_levels(text) <= TOPIC_LEVELS_MAX;
}

bool topic_is_name(struct bytes topic)
{
    return is_plain_name(topic) ||
           (has_good_shape(topic) && memchr(topic.at, '+', topic.size) == NULL &&
            memchr(topic.at, '#', topic.size) == NULL);
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

static bool is_hidden(struct bytes filter, struct bytes name)
{
    return name.size > 0 && name.at[0] == '$' && (filter.at[0] == '+' || filter.at[0] == '#');
}

bool topic_matches(struct bytes filter, struct bytes name)
{
    size_t f = 0, n = 0;

    if (is_hidden(filter, name)) {
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
