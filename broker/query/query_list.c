/* Lists over a selection of series, made on a worker a frame at a time: last values, paths,
 * and tags. */

#include <stdlib.h>

#include "broker/query/query_handle.h"
#include "broker/query/query_task.h"
#include "broker/query/query_words.h"
#include "storage/catalogue/catalogue_tag.h"
#include "storage/read/newest.h"

enum { LIST_SERIES = 4096 /* Looked at for a frame. */ };
_Static_assert((int)LIST_SERIES <= (int)QUERY_WORDS_ROWS_MAX, "their values are packed at once");

struct query_list {
    struct query_task task;
    struct series_list series;
    bool is_selected;
    size_t at;           /* In `series`. */
    struct writer paths; /* Of the frame being made; each with a 0 byte. */
    struct writer tags;  /* Of these paths, when `has_tags`. */
    bool has_tags;
    size_t count; /* Of the arrays below. */
    int64_t times[LIST_SERIES];
    double values[LIST_SERIES];
    int64_t before_ns; /* Last: newer ones are left out; 0: none. */
    struct newest newest;
    size_t filter_bytes;
    uint8_t filter[SERIES_PATH_BYTES_MAX];
};

static struct engine *engine_of(const struct query_list *l)
{
    return l->task.conn->server->options.engine;
}

static enum err add_path(struct query_list *l, struct series_ref ref)
{
    TRY(query_conn_reserve(&l->paths, SERIES_PATH_BYTES_MAX + 1));
    l->paths.size +=
        catalogue_path(engine_catalogue(engine_of(l)), ref, l->paths.at + l->paths.size);
    return writer_put_u8(&l->paths, 0);
}

/* Make the next LIST_SERIES entries by `add`; E_END when these are the last. */
static enum err gather(struct query_list *l,
                       enum err (*add)(struct query_list *, struct series_ref))
{
    if (!l->is_selected) {
        TRY(catalogue_select(engine_catalogue(engine_of(l)),
                             (struct bytes){l->filter, l->filter_bytes}, SIZE_MAX, &l->series));
        l->is_selected = true;
    }
    l->paths.size = 0;
    l->tags.size = 0;
    l->count = 0;
    for (size_t i = 0; i < LIST_SERIES && l->at < l->series.count &&
                       l->paths.size + l->tags.size < QUERY_FRAME_BYTES;
         i++) {
        TRY(add(l, l->series.refs[l->at]));
        l->at++;
    }
    l->task.rows += l->count;
    return l->at == l->series.count ? E_END : OK;
}

static enum err add_last(struct query_list *l, struct series_ref ref)
{
    int64_t time_ns;
    double value;
    enum err e = newest_find(&l->newest, engine_of(l), ref, &time_ns, &value);
    if (e == E_NOT_FOUND || (e == OK && l->before_ns != 0 && time_ns >= l->before_ns)) {
        return OK;
    }
    TRY(e);
    TRY(add_path(l, ref));
    l->times[l->count] = time_ns;
    l->values[l->count] = value;
    l->count++;
    return OK;
}

static enum err step_last(struct query_task *t)
{
    struct query_list *l = (struct query_list *)(void *)t;
    Hejnal__V1__LastBlock block = HEJNAL__V1__LAST_BLOCK__INIT;
    frame_response part = HEJNAL__V1__RESPONSE__INIT;
    struct query_packed packed;
    enum err e = gather(l, add_last);

    if ((e != OK && e != E_END) || l->count == 0) {
        return e;
    }
    TRY(query_words_pack(&t->frame, l->values, l->count, &packed));
    query_words_tell(&t->frame, &part);
    block.paths = (ProtobufCBinaryData){l->paths.size, l->paths.at};
    block.n_time_ns = l->count;
    block.time_ns = l->times;
    block.n_value = packed.numbers;
    block.value = query_frame_lend(packed.number);
    block.n_word_runs = packed.runs;
    block.word_runs = query_frame_lend(packed.run);
    part.body_case = HEJNAL__V1__RESPONSE__BODY_LAST;
    part.last = &block;
    TRY(query_task_put(t, &part));
    return e;
}

static enum err put_text(struct writer *w, struct bytes text)
{
    TRY(query_conn_reserve(w, text.size + 1));
    TRY(writer_put(w, text.at, text.size));
    return writer_put_u8(w, 0);
}

static enum err add_tags(struct query_list *l, struct series_ref ref)
{
    const struct catalogue *c = engine_catalogue(engine_of(l));
    const struct tag_set *set = catalogue_tags(c, ref);
    for (unsigned i = 0; set != NULL && i < tag_set_count(set); i++) {
        const struct tag t = tag_set_at(c, set, i);
        TRY(put_text(&l->tags, t.key));
        TRY(put_text(&l->tags, t.value));
    }
    return put_text(&l->tags, (struct bytes){NULL, 0});
}

static enum err add_series(struct query_list *l, struct series_ref ref)
{
    TRY(add_path(l, ref));
    TRY(l->has_tags ? add_tags(l, ref) : OK);
    l->count++;
    return OK;
}

static enum err step_series(struct query_task *t)
{
    struct query_list *l = (struct query_list *)(void *)t;
    Hejnal__V1__SeriesList list = HEJNAL__V1__SERIES_LIST__INIT;
    frame_response part = HEJNAL__V1__RESPONSE__INIT;
    enum err e = gather(l, add_series);

    if ((e != OK && e != E_END) || l->count == 0) {
        return e;
    }
    list.paths = (ProtobufCBinaryData){l->paths.size, l->paths.at};
    list.tags = (ProtobufCBinaryData){l->tags.size, l->tags.at};
    part.body_case = HEJNAL__V1__RESPONSE__BODY_SERIES;
    part.series = &list;
    TRY(query_task_put(t, &part));
    return e;
}

static void fini(struct query_task *t)
{
    struct query_list *l = (struct query_list *)(void *)t;
    if (l->is_selected) {
        series_list_fini(&l->series);
    }
    newest_fini(&l->newest);
    free(l->paths.at);
    free(l->tags.at);
}

static const struct query_task_kind last_kind = {
    .bytes = sizeof(struct query_list), .step = step_last, .fini = fini};
static const struct query_task_kind series_kind = {
    .bytes = sizeof(struct query_list), .step = step_series, .fini = fini};

static struct query_list *create(struct query_conn *c, uint32_t id, const char *filter,
                                 const struct query_task_kind *kind)
{
    struct query_list *l = (struct query_list *)(void *)query_task_create(c, id, kind);
    if (l != NULL) {
        l->filter_bytes = strlen(filter);
        memcpy(l->filter, filter, l->filter_bytes); /* Its length was checked. */
    }
    return l;
}

void query_list_last(struct query_conn *c, uint32_t id, const Hejnal__V1__LastRequest *last)
{
    struct query_list *l = create(c, id, last->filter, &last_kind);
    if (l != NULL) {
        l->before_ns = last->before_ns;
        query_task_go(&l->task);
    }
}

void query_list_series(struct query_conn *c, uint32_t id, const Hejnal__V1__SeriesRequest *series)
{
    struct query_list *l = create(c, id, series->filter, &series_kind);
    if (l != NULL) {
        l->has_tags = series->tags;
        query_task_go(&l->task);
    }
}
