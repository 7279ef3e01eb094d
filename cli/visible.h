/* Texts of strangers on a person's terminal: a topic or payload may hold escape sequences. */

#ifndef CLI_VISIBLE_H
#define CLI_VISIBLE_H

#include "base/bytes.h"

/* A copy where control characters, and bytes that are not UTF-8, are \xNN; free() it. NULL: no
 * memory. */
char *visible_text(struct bytes text);

#endif /* CLI_VISIBLE_H */
