#include "storage/part/seal.h"

#include <stdlib.h>

#include "base/check.h"
#include "storage/part/cutter.h"
#include "storage/part/merge.h"
#include "storage/part/part_bundle.h"
#include "storage/part/rollup_build.h"

struct run {
    const struct seal *seal;
    struct seal_result *result;
    struct part *part; /* Being made. */
    struct part_flush *flush;
    struct merge *merge;
    struct cutter *cutter;
    struct part_bundler *bundler;
    struct rollup_build *rollups;
    uint32_t group;
    bool is_bundled; /* The group's rows went into a bundle. */
};

static enum err make_key(void *context, uint32_t group, int64_t first_ns, uint8_t key[16])
{
    const struct run *r = context;
    return part_flush_key(r->flush, group, first_ns, key);
}

static enum err put(void *context, struct bytes key, struct bytes chunk)
{
    const struct run *r = context;
    return part_flush_put(r->flush, key, chunk);
}

static enum err put_small(void *context, uint32_t group, const struct chunk_input *in, bool *is_put)
{
    struct run *r = context;
    TRY(part_bundler_offer(r->bundler, group, in, is_put));
    r->is_bundled = *is_put;
    return OK;
}

static enum err keep_damaged(void *context, struct part *from, struct bytes key, struct bytes value)
{
    struct run *r = context;
    r->result->damaged++;
    return part_flush_keep(r->flush, from, key, value);
}

static void lose(void *context, size_t index)
{
    struct run *r = context;
    r->result->lost |= UINT64_C(1) << index;
}

static bool is_lost(const struct run *r, size_t index)
{
    return (r->result->lost >> index & 1) != 0;
}

/* Merged rows on their way to the cutter. */
static enum err fill(void *context, struct columns *columns, uint32_t rows)
{
    struct run *r = context;
    const uint32_t from = columns->rows;
    TRY(merge_fill(r->merge, columns, rows));
    return rollup_build_add(r->rollups, r->group, columns, from);
}

static enum err write_group(struct run *r, uint32_t group, struct cutter_counts *counts)
{
    const struct cutter_source source = {fill, r};
    const struct cutter_sink sink = {make_key, put, put_small, r};
    r->group = group;
    r->is_bundled = false;
    TRY(merge_start(r->merge, group));
    TRY(cutter_write(r->cutter, group, &source, &sink, counts));
    if (r->is_bundled) {
        rollup_build_skip(r->rollups); /* So few rows are read as quickly. */
        return OK;
    }
    return rollup_build_end(r->rollups);
}

static enum err write_groups(struct run *r)
{
    const struct seal *s = r->seal;
    struct cutter_counts counts = {0};
    for (uint32_t group = 0; group < s->group_end; group++) {
        if (atomic_load_explicit(s->stop, memory_order_relaxed)) {
            return E_BUSY;
        }
        TRY(write_group(r, group, &counts));
    }
    r->result->rows = counts.rows;
    r->result->chunks = counts.chunks;
    r->result->chunk_bytes = counts.chunk_bytes;
    r->result->duplicates = counts.duplicates;
    r->result->overwritten = counts.overwritten;
    return OK;
}

/* What a lost part had may be in the journal yet: of its positions nothing is said. */
static uint64_t last_applied(const struct run *r)
{
    uint64_t applied = 0;
    for (size_t i = 0; i < r->seal->part_count; i++) {
        const uint64_t own = part_applied(r->seal->parts[i]);
        applied = !is_lost(r, i) && own > applied ? own : applied;
    }
    return applied;
}

/* Where the tree of a file is unsound, chunks may be missed without a sign. */
static enum err check_parts(struct run *r)
{
    for (size_t i = 0; i < r->seal->part_count; i++) {
        const enum err e = part_check(r->seal->parts[i]);
        if (e == E_CORRUPT) {
            lose(r, i);
        } else if (e != OK) {
            return e;
        }
    }
    return OK;
}

static enum err keep_again(struct run *r)
{
    for (size_t i = 0; i < r->seal->part_count; i++) {
        const enum err e = part_flush_keep_again(r->flush, r->seal->parts[i]);
        if (e == E_CORRUPT) {
            lose(r, i);
        } else if (e != OK) {
            return e;
        }
    }
    return OK;
}

static enum err name_sources(struct run *r)
{
    struct part *sound[SEAL_SOURCES_MAX];
    size_t count = 0;
    for (size_t i = 0; i < r->seal->part_count; i++) {
        if (!is_lost(r, i)) {
            sound[count++] = r->seal->parts[i];
        }
    }
    return part_flush_sources(r->flush, sound, count);
}

static enum err write_content(struct run *r)
{
    const struct seal *s = r->seal;
    const struct merge_damage damage = {keep_damaged, lose, r};
    const struct merge_sources sources = {s->parts, s->part_count, s->erasure};
    TRY(merge_create(&sources, &damage, &r->merge));
    TRY(cutter_create(true, &r->cutter));
    TRY(part_bundler_create(r->flush, &r->bundler));
    TRY(rollup_build_create(r->flush, s->name.period, &r->rollups));
    TRY(write_groups(r));
    TRY(part_bundler_end(r->bundler));
    r->result->rollup_bytes = rollup_build_bytes(r->rollups);
    TRY(keep_again(r));
    return name_sources(r);
}

static enum err write_file(struct run *r)
{
    TRY(check_parts(r));
    TRY(part_flush_begin(r->part, &r->flush));
    enum err e = write_content(r);
    e = e == OK ? part_flush_end(r->flush, last_applied(r)) : e;
    if (e != OK) {
        part_flush_abort(r->flush);
        return e;
    }
    return part_seal_end(r->part);
}

enum err seal_write(const struct seal *s, struct seal_result *result, struct part **out)
{
    struct run r = {.seal = s, .result = result};
    CHECK(s->part_count <= SEAL_SOURCES_MAX);
    *result = (struct seal_result){0};
    TRY(part_seal_begin(s->directory, s->name, &r.part));
    enum err e = write_file(&r);
    merge_destroy(r.merge);
    cutter_destroy(r.cutter);
    part_bundler_destroy(r.bundler);
    rollup_build_destroy(r.rollups);
    if (e != OK) {
        part_drop(r.part);
        return e;
    }
    *out = r.part;
    return OK;
}
