/* Levels of a series' path, counted from 1, from its end by -1. */

#ifndef STORAGE_READ_PATH_LEVEL_H
#define STORAGE_READ_PATH_LEVEL_H

#include "base/bytes.h"

/* Borrowed from `path`; empty where it has no such level. */
static inline struct bytes path_level(struct bytes path, int level)
{
    size_t levels = 1, start = 0;
    int at = 1;
    for (size_t i = 0; i < path.size; i++) {
        levels += path.at[i] == '/';
    }
    const int wanted = level > 0 ? level : (int)levels + 1 + level;
    for (size_t i = 0; i <= path.size; i++) {
        if (i == path.size || path.at[i] == '/') {
            if (at == wanted) {
                return (struct bytes){path.at + start, i - start};
            }
            start = i + 1;
            at++;
        }
    }
    return (struct bytes){path.at, 0};
}

#endif /* STORAGE_READ_PATH_LEVEL_H */
