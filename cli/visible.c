#include "cli/visible.h"

#include <stdbool.h>
#include <stdlib.h>

#include "base/topic.h"

/* C0, DEL, and C1 as UTF-8 has it: U+0080..U+009F is c2 80..9f. */
static bool is_control(const uint8_t *at, size_t left)
{
    return at[0] < 0x20 || at[0] == 0x7f ||
           (at[0] == 0xc2 && left > 1 && at[1] >= 0x80 && at[1] < 0xa0);
}

static char *put_hex(char *to, uint8_t byte)
{
    static const char digits[] = "0123456789abcdef";
    *to++ = '\\';
    *to++ = 'x';
    *to++ = digits[byte >> 4];
    *to++ = digits[byte & 15];
    return to;
}

char *visible_text(struct bytes text)
{
    const bool is_utf8 = topic_is_utf8(text);
    char *copy = malloc(4 * text.size + 1), *to = copy;
    for (size_t i = 0; copy != NULL && i < text.size; i++) {
        const uint8_t byte = text.at[i];
        if (is_control(text.at + i, text.size - i) || (byte >= 0x80 && !is_utf8)) {
            to = put_hex(to, byte);
            if (is_utf8 && byte == 0xc2) { /* The pair is one character. */
                to = put_hex(to, text.at[++i]);
            }
        } else {
            *to++ = (char)byte;
        }
    }
    if (copy != NULL) {
        *to = 0;
    }
    return copy;
}
