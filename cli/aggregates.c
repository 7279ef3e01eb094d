#include "cli/aggregates.h"

#include <stdio.h>
#include <string.h>

static const char *const names[8] = {"count", "sum",   "mean", "min",
                                     "max",   "first", "last", "stddev"};

enum err aggregates_read(const char *text, unsigned *bits, const char **wrong)
{
    static char word[32];
    unsigned found = 0;
    for (const char *at = text;; at++) {
        size_t size = strcspn(at, ",");
        unsigned i = 0;
        while (i < 8 && (strlen(names[i]) != size || memcmp(names[i], at, size) != 0)) {
            i++;
        }
        if (i == 8) {
            (void)snprintf(word, sizeof word, "%.*s", (int)size, at);
            *wrong = word;
            return E_MALFORMED;
        }
        found |= 1u << i;
        at += size;
        if (*at == 0) {
            *bits = found;
            return OK;
        }
    }
}

unsigned aggregates_titles(unsigned bits, const char *titles[8])
{
    unsigned count = 0;
    for (unsigned i = 0; i < 8; i++) {
        if ((bits >> i & 1) != 0) {
            titles[count++] = names[i];
        }
    }
    return count;
}
