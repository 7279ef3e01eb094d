/* The files of parts/ at the start: what a crash left behind goes, the rest becomes the first view.
 *
 * A sealed file names those it was made from; where they are still there, the crash came before
 * they were unlinked. Of two active files of one period the older was being sealed. */

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "storage/engine_inside.h"

struct part_list {
    struct part **at;
    size_t count;
};

enum { FILE_BYTES_MIN = 8192 }; /* The first two pages are there before a file has its name. */

static bool is_ours(const struct engine *e, struct part_name name)
{
    return name.kind == PART_SEALED
               ? part_period_is_whole(name.period, e->partition_s)
               : name.period.end_ns - name.period.start_ns == e->partition_s * NS_PER_S;
}

static enum err open_part(struct engine *e, const char *file_name, struct part_name name,
                          struct part **out)
{
    char path[ENGINE_PATH_BYTES_MAX];
    struct stat file;
    int size = snprintf(path, sizeof path, "%s/%s", e->parts_directory, file_name);
    if (size > 0 && (size_t)size < sizeof path && stat(path, &file) == 0 &&
        file.st_size < FILE_BYTES_MIN) {
        return E_CORRUPT;
    }
    return part_open(e->parts_directory, name, out);
}

/* The file itself is at fault: the rest of the store can do without it. */
static bool is_unreadable(enum err e)
{
    return e == E_CORRUPT || e == E_IO || e == E_NOT_FOUND;
}

void engine_note_number(struct engine *e, uint32_t number)
{
    if (number > atomic_load(&e->file_number)) {
        atomic_store(&e->file_number, number);
    }
}

static void remove_rubbish(const struct engine *e, const char *file_name)
{
    char path[ENGINE_PATH_BYTES_MAX];
    int size = snprintf(path, sizeof path, "%s/%s", e->parts_directory, file_name);
    if (size > 0 && (size_t)size < sizeof path) {
        (void)unlink(path); /* One that stays is rubbish at the next start, too. */
    }
}

struct opening {
    struct engine *engine;
    struct part_list *list;
};

static enum err open_one(void *context, const char *file_name)
{
    struct engine *e = ((struct opening *)context)->engine;
    struct part_list *list = ((struct opening *)context)->list;
    struct part_name name;
    if (part_is_rubbish(file_name)) {
        remove_rubbish(e, file_name);
        return OK;
    }
    if (part_name_read(file_name, &name) != OK) {
        return OK; /* A lock file, or none of ours. */
    }
    struct part **grown = realloc(list->at, (list->count + 1) * sizeof(struct part *));
    if (grown == NULL) {
        return E_NO_MEMORY;
    }
    list->at = grown;
    engine_note_number(e, name.number);
    enum err result =
        is_ours(e, name) ? open_part(e, file_name, name, &grown[list->count]) : E_MALFORMED;
    if (is_unreadable(result)) {
        return engine_quarantine(e, file_name, ENGINE_UNREADABLE, result);
    }
    if (result != OK) {
        log_line(LOG_ERROR, "storage", "cannot open partition path=%s/%s error=%s",
                 e->parts_directory, file_name, err_name(result));
        return result;
    }
    list->count++;
    return OK;
}

/* By kind, period, age. */
static int compare(const void *a, const void *b)
{
    const struct part_name x = part_name(*(struct part *const *)a);
    const struct part_name y = part_name(*(struct part *const *)b);
    if (x.kind != y.kind) {
        return x.kind == PART_SEALED ? -1 : 1;
    }
    if (x.period.start_ns != y.period.start_ns) {
        return x.period.start_ns > y.period.start_ns ? 1 : -1;
    }
    return (x.number > y.number) - (x.number < y.number);
}

/* Every file name in parts/. */
static enum err each_file(const struct engine *e,
                          enum err (*visit)(void *context, const char *file_name), void *context)
{
    enum err result = OK;
    DIR *directory = opendir(e->parts_directory);
    if (directory == NULL) {
        return E_IO;
    }
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): each thread its own DIR, as POSIX.1-2024 allows. */
    for (struct dirent *entry; result == OK && (entry = readdir(directory)) != NULL;) {
        result = visit(context, entry->d_name);
    }
    (void)closedir(directory);
    return result;
}

static enum err open_all(struct engine *e, struct part_list *list)
{
    struct opening o = {e, list};
    enum err result = each_file(e, open_one, &o);
    if (list->count > 0) {
        qsort(list->at, list->count, sizeof(struct part *), compare);
    }
    return result;
}

/* E_BUSY: it is a source of the part. */
static enum err compare_source(void *sealed, const char *file_name)
{
    struct part_name name;
    return part_name_read(file_name, &name) == OK && part_is_source(sealed, name) ? E_BUSY : OK;
}

bool engine_is_last_of(const struct engine *e, struct part *sealed)
{
    char path[ENGINE_PATH_BYTES_MAX];
    const int size = snprintf(path, sizeof path, "%s/.", e->parts_directory);
    return size > 0 && (size_t)size < sizeof path && each_file(e, compare_source, sealed) == OK &&
           kv_sync_name(path) == OK;
}

static bool is_sealed_elsewhere(const struct part_list *list, const struct part *p)
{
    for (size_t i = 0; i < list->count; i++) {
        if (list->at[i] != p && part_is_source(list->at[i], part_name(p))) {
            return true;
        }
    }
    return false;
}

/* Nothing is in it: a full disk or a crash came between its making and its first flush. */
static bool is_empty(const struct part *p)
{
    return part_name(p).kind == PART_ACTIVE && part_flush_count(p) == 0;
}

static void drop_needless(struct part_list *list)
{
    size_t kept = 0;
    bool *gone = calloc(list->count + 1, sizeof *gone);
    if (gone == NULL) {
        return; /* They hold nothing that is not elsewhere as well; next time. */
    }
    for (size_t i = 0; i < list->count; i++) {
        gone[i] = is_empty(list->at[i]) || is_sealed_elsewhere(list, list->at[i]);
    }
    for (size_t i = 0; i < list->count; i++) {
        if (gone[i]) {
            part_doom(list->at[i]);
            part_drop(list->at[i]);
        } else {
            list->at[kept++] = list->at[i];
        }
    }
    list->count = kept;
    free(gone);
}

static bool overlap(const struct part *a, const struct part *b)
{
    const struct part_period x = part_period(a), y = part_period(b);
    return x.start_ns < y.end_ns && y.start_ns < x.end_ns;
}

/* Of all of its kind that lie where it does. Files made later have higher numbers: it was put back.
 */
static struct part *find_oldest(const struct part_list *list, struct part *p)
{
    struct part *oldest = p;
    for (size_t i = 0; i < list->count; i++) {
        struct part *other = list->at[i];
        if (part_name(other).kind == part_name(p).kind && overlap(other, p) &&
            part_name(other).number < part_name(oldest).number) {
            oldest = other;
        }
    }
    return oldest;
}

/* What an active part has came after all that is sealed under it, unless it was put back. */
static bool is_late(const struct view_parts layer[VIEW_LAYERS], const struct part *p)
{
    const struct part *sealed = view_part_find(&layer[VIEW_SEALED], part_period(p).start_ns);
    return sealed != NULL && part_applied(p) <= part_applied(sealed);
}

static bool is_taken(const struct view_parts *l, const struct part *p)
{
    return l->count > 0 && overlap(l->at[l->count - 1], p);
}

/* To its layer, by kind, period and age. `*misfit`: one must leave the list first; else NULL. */
static void lay(const struct part_list *list, struct view_parts layer[VIEW_LAYERS], struct part *p,
                struct part **misfit)
{
    const bool is_sealed = part_name(p).kind == PART_SEALED;
    struct view_parts *l = &layer[is_sealed ? VIEW_SEALED : VIEW_ACTIVE];
    *misfit = NULL;
    if (!is_sealed && is_late(layer, p)) {
        *misfit = p;
    } else if (is_taken(l, p) && (is_sealed || is_taken(&layer[VIEW_CLOSING], p))) {
        *misfit = find_oldest(list, p);
    } else {
        if (is_taken(l, p)) { /* The older was being sealed. */
            view_part_add(&layer[VIEW_CLOSING], l->at[--l->count]);
        }
        l->at[l->count++] = p;
    }
}

static enum err set_aside(struct engine *e, struct part_list *list, struct part *p)
{
    char name[PART_NAME_BYTES_MAX];
    size_t kept = 0;
    part_name_write(part_name(p), name);
    TRY(engine_quarantine(e, name, ENGINE_TAKEN, E_CORRUPT));
    for (size_t i = 0; i < list->count; i++) {
        if (list->at[i] != p) {
            list->at[kept++] = list->at[i];
        }
    }
    list->count = kept;
    part_drop(p);
    return OK;
}

/* All to their layers; from the beginning again when one had to leave. */
static enum err lay_all(struct engine *e, struct part_list *list,
                        struct view_parts layer[VIEW_LAYERS])
{
    for (size_t i = 0; i < list->count; i++) {
        struct part *misfit;
        lay(list, layer, list->at[i], &misfit);
        if (misfit != NULL) {
            TRY(set_aside(e, list, misfit));
            layer[VIEW_SEALED].count = layer[VIEW_CLOSING].count = layer[VIEW_ACTIVE].count = 0;
            i = SIZE_MAX; /* 0 is next. */
        }
    }
    return OK;
}

static enum err show(struct engine *e, struct part_list *list, struct part **room)
{
    struct engine_shown shown = {.heads = 1, .tombs = e->loaded_tombs};
    for (int i = 0; i < VIEW_LAYERS; i++) {
        shown.layer[i].at = room + (size_t)i * (list->count + 1);
    }
    TRY(lay_all(e, list, shown.layer));
    TRY(engine_head_create(&shown.head[0]));
    enum err result = engine_view_publish(e, &shown);
    engine_head_drop(shown.head[0]);
    return result;
}

enum err engine_open_parts(struct engine *e)
{
    struct part_list list = {NULL, 0};
    enum err result = open_all(e, &list);
    result = result == OK ? engine_count_quarantined(e) : result;
    if (result == OK) {
        drop_needless(&list);
        struct part **room = calloc(VIEW_LAYERS * (list.count + 1), sizeof(struct part *));
        result = room == NULL ? E_NO_MEMORY : show(e, &list, room);
        free(room);
    }
    for (size_t i = 0; i < list.count; i++) {
        part_drop(list.at[i]); /* The view has its own. */
    }
    free(list.at);
    return result;
}
