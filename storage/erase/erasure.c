#include "storage/erase/erasure.h"

enum err erasure_of_head(const struct erasure *e, uint32_t group, struct cuts *out)
{
    out->count = 0;
    return tombs_cut_group(e->tombs, e->catalogue, group, out);
}

enum err erasure_of_file(const struct erasure *e, uint32_t group, bool whole, struct cuts *out)
{
    TRY(erasure_of_head(e, group, out));
    return e->retention == NULL
               ? OK
               : retention_cut_group(e->retention, e->catalogue, group, whole, out);
}
