/* What the files of the check share. Nobody else includes this. */

#ifndef STORAGE_VERIFY_VERIFY_INSIDE_H
#define STORAGE_VERIFY_VERIFY_INSIDE_H

#include <stdbool.h>

#include "storage/catalogue/catalogue.h"
#include "storage/catalogue/texts.h"
#include "storage/journal/batch.h"
#include "storage/kv.h"
#include "storage/verify/verify.h"

enum { VERIFY_PATH_BYTES_MAX = 4096, VERIFY_TEXT_BYTES_MAX = 160 };

/* Numbers, ascending. */
struct verify_numbers {
    uint64_t *at;
    size_t count, capacity;
};

struct verify {
    const char *directory;
    verify_report *report;
    void *context;
    struct verify_totals *totals;
    struct catalogue *catalogue;
    struct texts *texts;
    int64_t partition_s;                      /* 0: unknown. */
    bool catalogue_is_old;                    /* Of format version 1. */
    uint64_t names;                           /* Series the catalogue's file tells of. */
    uint64_t last_position;                   /* Of the journal, ever. 0: unknown. */
    uint64_t last_delete;                     /* Position of the last one the catalogue has. */
    uint64_t pairs;                           /* Of the table walked last. */
    struct verify_numbers sessions, messages; /* The journal's state has. */
    bool newer;     /* Something is of a version this build does not know. */
    char file[512]; /* Being looked at. */
};

/* Count and report a fault of the file being looked at. */
__attribute__((format(printf, 3, 4))) void verify_fault(struct verify *v, const char *what,
                                                        const char *where, ...);

/* Path of the file being looked at. */
void verify_path(const struct verify *v, char to[VERIFY_PATH_BYTES_MAX]);

/* Make `name` the file being looked at and check its tree. OK: it may be opened. E_END: faults were
 * reported, leave it. E_NOT_FOUND: no such file. E_IO, E_NO_MEMORY. */
MUST_USE enum err verify_file(struct verify *v, const char *name);

/* Open the file being looked at. */
MUST_USE enum err verify_open(struct verify *v, struct kv **out);

/* All pairs of a table, as far as `visit` returns OK; one that is not there has none. */
typedef enum err verify_visit(struct verify *v, struct bytes key, struct bytes value);
/* A file has no other tables than these; NULL ends them. */
MUST_USE enum err verify_names(struct verify *v, struct kv *kv, const char *const *names);
MUST_USE enum err verify_table(struct verify *v, struct kv *kv, const char *name,
                               verify_visit *visit);

/* Whether `value` ends with the XXH3 of all before it, seeded by that of `key` (or by none). */
bool verify_is_sealed(struct bytes key, struct bytes value);
bool verify_is_summed(struct bytes value);

/* Whether the value is a number, or a text the dictionary has. */
bool verify_has_text(const struct verify *v, double value);

/* What a file says it is: version, nothing, a number, checksum. False: a fault was reported. */
struct verify_versions {
    uint32_t least, most; /* That this build knows. */
};
bool verify_meta(struct verify *v, struct bytes value, struct verify_versions known,
                 uint32_t *version, uint64_t *number);

/* Deletes the catalogue has, and, when the journal was looked at, whether it had them, too. */
MUST_USE enum err verify_deletes(struct verify *v, struct kv *kv);
void verify_delete_positions(struct verify *v);

MUST_USE enum err verify_catalogue(struct verify *v);
MUST_USE enum err verify_journal(struct verify *v);

/* A piece of owned state, in the order of the table. */
MUST_USE enum err verify_session_piece(struct verify *v, const struct batch_state *piece);
void verify_sessions_fini(struct verify *v);

MUST_USE enum err verify_part(struct verify *v, const char *name);

/* The rollups of a part, if it has any. */
struct part;
MUST_USE enum err verify_rollups(struct verify *v, struct part *part);

#endif /* STORAGE_VERIFY_VERIFY_INSIDE_H */
