#include "storage/part/checkpoint.h"

#include <stdlib.h>
#include <string.h>

#include "storage/part/cutter.h"
#include "storage/part/row_set.h"

struct run {
    const struct checkpoint *checkpoint;
    struct checkpoint_result *result;
    struct part_period *periods; /* Ascending. */
    size_t period_count, period_limit;
    struct row_set rows;
    struct cutter *cutter;
};

static uint32_t group_end(const struct checkpoint *c)
{
    uint32_t end = 0;
    for (unsigned i = 0; i < c->head_count; i++) {
        uint32_t of_head = head_group_end(c->heads[i]);
        end = of_head > end ? of_head : end;
    }
    return end;
}

/* Index of the first period that ends after `time_ns`. */
static size_t find_period(const struct run *r, int64_t time_ns)
{
    size_t low = 0, high = r->period_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (r->periods[middle].end_ns > time_ns) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return low;
}

static enum err add_period(struct run *r, int64_t time_ns)
{
    size_t at = find_period(r, time_ns);
    if (at < r->period_count && r->periods[at].start_ns <= time_ns) {
        return OK;
    }
    if (r->period_count == r->period_limit) {
        size_t limit = r->period_limit == 0 ? 16 : r->period_limit * 2;
        struct part_period *periods = realloc(r->periods, limit * sizeof *periods);
        if (periods == NULL) {
            return E_NO_MEMORY;
        }
        r->periods = periods;
        r->period_limit = limit;
    }
    memmove(&r->periods[at + 1], &r->periods[at], (r->period_count - at) * sizeof *r->periods);
    r->periods[at] = part_period_of(time_ns, r->checkpoint->partition_s);
    r->period_count++;
    return OK;
}

/* The periods a group's rows fall into. Its span tells without a walk in the usual case. */
static enum err add_periods(struct run *r, const struct head *h, uint32_t group)
{
    struct head_cursor cursor;
    struct head_row row;
    int64_t first_ns, last_ns;
    if (!head_group_span(h, group, &first_ns, &last_ns)) {
        return OK;
    }
    TRY(add_period(r, first_ns));
    TRY(add_period(r, last_ns));
    if (find_period(r, first_ns) == find_period(r, last_ns)) {
        return OK;
    }
    struct part_period seen = {0, 0};
    head_cursor_init(&cursor, h, group);
    while (head_cursor_next(&cursor, &row)) {
        if (row.time_ns < seen.start_ns || row.time_ns >= seen.end_ns) {
            TRY(add_period(r, row.time_ns));
            seen = r->periods[find_period(r, row.time_ns)];
        }
    }
    return OK;
}

static enum err find_periods(struct run *r)
{
    const struct checkpoint *c = r->checkpoint;
    for (unsigned i = 0; i < c->head_count; i++) {
        for (uint32_t group = 0; group < head_group_end(c->heads[i]); group++) {
            TRY(add_periods(r, c->heads[i], group));
        }
    }
    return OK;
}

/* The rows of one group, from the next one on. */
struct supply {
    const struct row_set *rows;
    size_t next;
};

static enum err fill(void *context, struct columns *columns, uint32_t rows)
{
    struct supply *s = context;
    return row_set_put(s->rows, &s->next, columns, rows);
}

static enum err make_key(void *context, uint32_t group, int64_t first_ns, uint8_t key[16])
{
    return part_flush_key(context, group, first_ns, key);
}

static enum err put(void *context, struct bytes key, struct bytes chunk)
{
    return part_flush_put(context, key, chunk);
}

static enum err write_groups(struct run *r, struct part_period period, struct part_flush *flush,
                             struct checkpoint_result *done)
{
    const struct checkpoint *c = r->checkpoint;
    const struct cutter_sink sink = {make_key, put, NULL, flush};
    struct cutter_counts counts = {0};
    const uint32_t end = group_end(c);
    for (uint32_t group = 0; group < end; group++) {
        TRY(erasure_of_head(c->erasure, group, &r->rows.cuts));
        TRY(row_set_gather(&r->rows, c->heads, c->head_count, group, period));
        struct supply supply = {&r->rows, 0};
        TRY(cutter_write(r->cutter, group, &(struct cutter_source){fill, &supply}, &sink, &counts));
        done->rows += r->rows.count;
    }
    done->duplicates += counts.duplicates;
    done->overwritten += counts.overwritten;
    done->chunks += counts.chunks;
    done->chunk_bytes += counts.chunk_bytes;
    done->partitions++;
    return OK;
}

static enum err write_flush(struct run *r, struct part *part, struct part_flush *flush,
                            struct checkpoint_result *done)
{
    const struct checkpoint *c = r->checkpoint;
    const struct part_period period = part_period(part);
    const uint64_t before = part_applied(part);
    if (tombs_between(c->erasure->tombs, before, c->applied, period.start_ns, period.end_ns)) {
        TRY(part_flush_note(flush, before));
    }
    TRY(write_groups(r, period, flush, done));
    return part_flush_end(flush, c->applied);
}

static enum err write_partition(struct run *r, struct part_period period)
{
    const struct checkpoint *c = r->checkpoint;
    struct checkpoint_result done = *r->result;
    struct part_flush *flush;
    struct part *part;
    enum err found = c->find_part(c->context, period, &part);
    if (found != OK) {
        return found == E_NOT_FOUND ? OK : found; /* Beyond retention: not kept. */
    }
    if (part_applied(part) >= c->applied) {
        return OK; /* Complete already, by a try before this one. */
    }
    TRY(part_flush_begin(part, &flush));
    enum err e = write_flush(r, part, flush, &done);
    if (e != OK) {
        part_flush_abort(flush);
        return e;
    }
    *r->result = done;
    return OK;
}

static enum err write_all(struct run *r)
{
    TRY(cutter_create(false, &r->cutter));
    TRY(find_periods(r));
    for (size_t i = 0; i < r->period_count; i++) {
        TRY(write_partition(r, r->periods[i]));
    }
    return OK;
}

enum err checkpoint_write(const struct checkpoint *c, struct checkpoint_result *out)
{
    struct run r = {.checkpoint = c, .result = out};
    *out = (struct checkpoint_result){0};
    row_set_init(&r.rows);
    enum err e = write_all(&r);
    row_set_fini(&r.rows);
    cutter_destroy(r.cutter);
    free(r.periods);
    return e;
}
