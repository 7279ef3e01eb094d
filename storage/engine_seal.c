/* Sealing as the engine does it: choose, write beside everything else, show. See engine.h for who
 * calls what where.
 *
 * What is chosen moves to the closing layer, so that checkpoints go on with new files. Nothing is
 * sealed before a checkpoint of this process has ended well: then all rows of a period up to what
 * its parts say are in parts, and the sealed file may say the same of the whole run. */

#include <stdlib.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "storage/engine_inside.h"
#include "storage/part/sweep.h"

_Static_assert((int)SEAL_PARTS_MAX <= (int)SEAL_SOURCES_MAX, "what is chosen can be sealed");

/* A sealed part and late data in all of its periods must fit one sealing. */
static int64_t most_span_ns(const struct engine *e)
{
    const int64_t most_s = (SEAL_PARTS_MAX - 1) * e->partition_s;
    return (e->options.span_s < most_s ? e->options.span_s : most_s) * NS_PER_S;
}

static struct seal_rules rules_of(const struct engine *e, const struct engine_seal_request *r)
{
    return (struct seal_rules){.clock_ns = atomic_load(&e->clock_ns),
                               .late_ns = e->options.late_s * NS_PER_S,
                               .quiet_ns = r->wall_ns - (int64_t)SEAL_QUIET_S * NS_PER_S,
                               .span_ns = most_span_ns(e),
                               .seal_all = r->seal_all};
}

/* The chosen parts leave the active layer for the closing one. */
static enum err close_parts(struct engine *e, const struct seal_choice *choice)
{
    struct engine_shown shown;
    TRY(engine_shown_take(e, choice->count, &shown));
    for (size_t i = 0; i < choice->count; i++) {
        struct part *p = choice->part[i];
        if (view_part_find(&shown.layer[VIEW_ACTIVE], part_period(p).start_ns) == p) {
            view_part_remove(&shown.layer[VIEW_ACTIVE], p);
            view_part_add(&shown.layer[VIEW_CLOSING], p);
        }
    }
    enum err result = engine_view_publish(e, &shown);
    engine_shown_free(&shown);
    return result;
}

/* What is ripe comes first: it is swept by the way. */
static enum err choose(struct engine *e, const struct seal_rules *rules)
{
    struct engine_seal *s = &e->seal;
    const struct view *v = &e->view->view;
    const struct erasure erasure = engine_erasure(e, v);
    enum err result = seal_choose(v->layer, rules, &s->choice);
    s->is_sweep = result == E_END;
    return s->is_sweep ? seal_choose_sweep(&v->layer[VIEW_SEALED], &erasure, &s->choice) : result;
}

enum err engine_seal_begin(struct engine *e, const struct engine_seal_request *request)
{
    struct engine_seal *s = &e->seal;
    const struct seal_rules rules = rules_of(e, request);
    if (s->running || e->checkpoint.running || engine_frozen_head(e) != NULL) {
        return E_BUSY;
    }
    if (!e->has_checkpointed) {
        return E_END;
    }
    TRY(choose(e, &rules));
    TRY(close_parts(e, &s->choice));
    s->position = e->applied;
    s->retention = retention_generation(e->retention);
    s->view = view_hold(e); /* Keeps the chosen parts, too. */
    s->result = (struct seal_result){0};
    s->part = NULL;
    s->running = true;
    return OK;
}

enum err engine_seal_run(struct engine *e)
{
    struct engine_seal *s = &e->seal;
    CHECK(s->running);
    const struct erasure erasure = engine_erasure(e, s->view);
    if (s->is_sweep) {
        const struct sweep sweep = {s->choice.part[0], &erasure,
                                    catalogue_group_count(e->catalogue), &s->stop};
        bool found;
        TRY(sweep_look(&sweep, &found));
        if (!found) {
            return OK; /* It stays as it is. */
        }
    }
    const struct seal work = {
        .directory = e->parts_directory,
        .name = {s->choice.period, PART_SEALED, engine_file_number(e)},
        .parts = s->choice.part,
        .part_count = s->choice.count,
        .group_end = catalogue_group_count(e->catalogue),
        .stop = &s->stop,
        .erasure = &erasure,
    };
    return seal_write(&work, &s->result, &s->part);
}

/* The new part in place of those it was made from. */
static enum err show(struct engine *e)
{
    struct engine_seal *s = &e->seal;
    struct engine_shown shown;
    TRY(engine_shown_take(e, 1, &shown));
    for (size_t i = 0; i < s->choice.count; i++) {
        view_part_remove(&shown.layer[VIEW_SEALED], s->choice.part[i]);
        view_part_remove(&shown.layer[VIEW_CLOSING], s->choice.part[i]);
    }
    view_part_add(&shown.layer[VIEW_SEALED], s->part);
    struct tombs *left = NULL;
    enum err result = engine_prune_tombs(&shown, NULL, &left);
    result = result == OK ? engine_view_publish(e, &shown) : result;
    tombs_drop(left);
    engine_shown_free(&shown);
    return result;
}

static void log_result(const struct engine_seal *s)
{
    char name[PART_NAME_BYTES_MAX];
    part_name_write(part_name(s->part), name);
    log_line(s->result.damaged > 0 ? LOG_ERROR : LOG_INFO, "storage",
             "sealed partition=%s from=%zu rows=%llu chunks=%llu bytes=%llu rollup_bytes=%llu "
             "damaged_chunks=%llu",
             name, s->choice.count, (unsigned long long)s->result.rows,
             (unsigned long long)s->result.chunks, (unsigned long long)part_file_bytes(s->part),
             (unsigned long long)s->result.rollup_bytes, (unsigned long long)s->result.damaged);
}

/* A damaged file is kept, with what nobody can read today. */
static void let_go(struct engine *e, struct part *p, bool is_lost)
{
    char name[PART_NAME_BYTES_MAX];
    if (!is_lost) {
        part_doom(p);
        return;
    }
    part_name_write(part_name(p), name);
    /* Out of sight in any case; the log says so. */
    (void)!engine_quarantine(e, name, ENGINE_SALVAGED, E_CORRUPT);
}

static enum err finish(struct engine *e)
{
    struct engine_seal *s = &e->seal;
    engine_count(&e->counters.sweeps, s->is_sweep);
    struct part *swept = s->part != NULL ? s->part : s->choice.part[0];
    part_clear(swept, s->position);
    part_set_swept(swept, s->retention);
    if (s->part == NULL) {
        return engine_prune_view(e);
    }
    TRY(show(e));
    log_result(s);
    for (size_t i = 0; i < s->choice.count; i++) {
        let_go(e, s->choice.part[i], (s->result.lost >> i & 1) != 0);
    }
    engine_count(&e->counters.duplicates, s->result.duplicates);
    engine_count(&e->counters.overwritten, s->result.overwritten);
    engine_count(&e->counters.corrupt_chunks, s->result.damaged);
    return OK;
}

enum err engine_seal_end(struct engine *e, enum err run)
{
    struct engine_seal *s = &e->seal;
    CHECK(s->running);
    s->running = false;
    enum err result = run == OK ? finish(e) : run;
    const bool written = s->part != NULL;
    if (written) {
        if (result != OK) {
            part_doom(s->part);
        }
        part_drop(s->part);
        s->part = NULL;
    }
    view_drop(e, s->view);
    s->view = NULL;
    if (result != OK || written) {
        engine_count(result == OK ? &e->counters.seals : &e->counters.seal_failures, 1);
    }
    engine_forget(e); /* What was sealed may be over already. */
    return result;
}

void engine_seal_stop(struct engine *e)
{
    atomic_store(&e->seal.stop, true);
}
