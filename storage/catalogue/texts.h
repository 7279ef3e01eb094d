/* The dictionary: every distinct text that is the value of some point, and its id.
 *
 * A point keeps the id (base/text.h); the text stands here once, for ever: ids are dense from 0 and
 * never given twice. Any thread may call what is not marked otherwise; readers take no lock, adding
 * takes one on the first sight of a text. */

#ifndef STORAGE_CATALOGUE_TEXTS_H
#define STORAGE_CATALOGUE_TEXTS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/text.h"

enum { TEXTS_PACK = 64 /* Of a pair in the file. */ };

struct texts;
struct kv;

MUST_USE enum err texts_create(uint32_t texts_max, struct texts **out);
void texts_destroy(struct texts *t); /* NULL is fine. */

/* Whether a text may be a value: at most TEXT_BYTES_MAX bytes of UTF-8 without U+0000. */
bool texts_is_text(struct bytes text);

/* The id of `text`, given one if it is new. E_LIMIT: texts_max are known. E_MALFORMED: not
 * texts_is_text(). E_NO_MEMORY. */
MUST_USE enum err texts_intern(struct texts *t, struct bytes text, uint32_t *id);

/* E_NOT_FOUND. */
MUST_USE enum err texts_find(const struct texts *t, struct bytes text, uint32_t *id);

/* The text of an id, with a 0 byte behind it; lives as long as the dictionary. False: no text has
 * this id, or it was lost with a damaged file. */
bool texts_get(const struct texts *t, uint32_t id, struct bytes *text);

/* Every id given so far is below this. Whoever got an id before, on any thread, finds it so. */
uint32_t texts_end(const struct texts *t);

/* Recovery: put a text at the id the journal or the file says. E_CORRUPT: another has it, it is no
 * text, or the id is far beyond what is known. */
MUST_USE enum err texts_define(struct texts *t, uint32_t id, struct bytes text);

/* Recovery: points have this id, though its text may be lost: it is never given to another. Beyond
 * all reason it is not believed. */
void texts_skip(struct texts *t, uint32_t id);

/* Keep what is not kept yet in `kv` / read all of it. One thread. Errors of kv.h. */
MUST_USE enum err texts_save(struct texts *t, struct kv *kv);
MUST_USE enum err texts_load(struct texts *t, struct kv *kv);

/* The next save writes everything: to another file. */
void texts_forget_file(struct texts *t);

#endif /* STORAGE_CATALOGUE_TEXTS_H */
