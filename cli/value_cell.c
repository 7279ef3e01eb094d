#include "cli/value_cell.h"

#include <stdlib.h>
#include <string.h>

#include "base/number.h"
#include "base/text.h"
#include "base/topic.h"

enum { MARK = '\'' };

/* Numbers, and what exports write for those JSON does not know. */
static enum err read_number(const char *cell, double *value)
{
    struct number number;
    if (strcmp(cell, "NaN") == 0 || strcmp(cell, "Infinity") == 0 ||
        strcmp(cell, "-Infinity") == 0) {
        *value = strtod(cell, NULL);
        return OK;
    }
    TRY(number_read(bytes_of(cell), &number));
    *value = number.value;
    return OK;
}

void value_cell_put(struct out *out, double number, const char *text)
{
    double read;
    if (text == NULL) {
        out_number(out, number);
        return;
    }
    const bool is_marked = text[0] == MARK || read_number(text, &read) != E_MALFORMED;
    out_put(out, "\"'", is_marked ? 2 : 1);
    out_csv_inside(out, text);
    out_put(out, "\"", 1);
}

enum err value_cell_read(const char *cell, bool is_text_allowed, struct hejnal_value *out)
{
    struct hejnal_value value = {0, NULL};
    enum err e = read_number(cell, &value.number);
    if (e == E_MALFORMED && is_text_allowed) {
        value.text = cell + (cell[0] == MARK);
        const struct bytes text = bytes_of(value.text);
        e = text.size <= TEXT_BYTES_MAX && topic_is_utf8(text) ? OK : E_MALFORMED;
    }
    if (e == OK) {
        *out = value;
    }
    return e == OK ? OK : E_MALFORMED;
}
