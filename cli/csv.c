#include "cli/csv.h"

#include <stddef.h>
#include <string.h>

/* A quoted cell: `at` stands behind the opening quote; doubled quotes become one. */
static enum err quoted_cell(char *at, char **rest, char **cell)
{
    char *to = at;
    *cell = at;
    for (; *at != 0; at++) {
        if (at[0] == '"' && at[1] == '"') {
            at++;
        } else if (at[0] == '"') {
            if (at[1] != 0 && at[1] != ',') {
                return E_MALFORMED;
            }
            *rest = at[1] == ',' ? at + 2 : NULL;
            *to = 0;
            return OK;
        }
        *to++ = *at;
    }
    return E_MALFORMED;
}

enum err csv_cell(char **rest, char **cell)
{
    if (*rest == NULL) {
        return E_END;
    }
    if (**rest == '"') {
        return quoted_cell(*rest + 1, rest, cell);
    }
    *cell = strsep(rest, ",");
    return OK;
}

bool csv_is_open(const char *record)
{
    bool is_quoted = false, is_start = true;
    for (const char *at = record; *at != 0; at++) {
        if (*at == '"' && (is_start || is_quoted)) {
            is_quoted = !is_quoted;
            is_start = !is_quoted; /* A doubled quote opens it again. */
        } else {
            is_start = *at == ',' && !is_quoted;
        }
    }
    return is_quoted;
}
