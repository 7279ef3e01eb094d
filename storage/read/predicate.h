/* A condition on what is known about a series: unit=="ug/m3" && district!="Old".
 *
 *     condition = all { "||" all }            key    = tag | text | "$" level
 *     all       = one { "&&" one }            tag    = letter or _, then these, digits, . -
 *     one       = "!" one | "(" condition ")" level  = of the path, from 1, from its end -1
 *               | key ("==" | "!=") text      text   = "..." with \" and \\ inside
 *               | key ("<" | "<=" | ">" | ">=") number
 *
 * Blanks may stand between the parts. A tag a series has not is the empty text; numbers are
 * compared with values that are numbers, others are neither less nor more. */

#ifndef STORAGE_READ_PREDICATE_H
#define STORAGE_READ_PREDICATE_H

#include "storage/catalogue/catalogue.h"

enum { PREDICATE_BYTES_MAX = 1024, PREDICATE_TESTS_MAX = 64, PREDICATE_DEPTH_MAX = 16 };

struct predicate;

struct predicate_fault {
    size_t position;  /* Byte of the text, from 1. */
    const char *text; /* What is wrong there; static. */
};

/* Read all of `text`. E_MALFORMED: `*fault` says why. E_NO_MEMORY. */
MUST_USE enum err predicate_read(struct bytes text, struct predicate **out,
                                 struct predicate_fault *fault);
void predicate_destroy(struct predicate *p); /* NULL is fine. */

/* Any thread. */
bool predicate_holds(const struct predicate *p, const struct catalogue *c, struct series_ref ref);

#endif /* STORAGE_READ_PREDICATE_H */
