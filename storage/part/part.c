#include "storage/part/part.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "storage/kv_guard.h"
#include "storage/part/part_env.h"
#include "storage/part/part_grave.h"

enum {
    FILE_BYTES_MIN = 8192, /* A file that holds nothing yet has two pages. */
    UNUSED_SHARE = 64
};

static struct part *make_part(const char *directory, struct part_name name, const char *suffix)
{
    static atomic_ullong next_id = 1;
    char text[PART_NAME_BYTES_MAX];
    struct part *p = calloc(1, sizeof *p);
    if (p == NULL) {
        return NULL;
    }
    part_name_write(name, text);
    if (asprintf(&p->path, "%s/%s%s", directory, text, suffix) < 0) {
        free(p);
        return NULL;
    }
    p->name = name;
    p->id = atomic_fetch_add(&next_id, 1);
    atomic_store(&p->references, 1);
    lock_init(&p->lock);
    signal_init(&p->left);
    return p;
}

/* Whether there is a file with something in it. One that a crash left without even its first two
 * pages goes away. */
static enum err find_file(const struct part *p, bool *found)
{
    struct stat file;
    if (stat(p->path, &file) != 0) {
        *found = false;
        return errno == ENOENT ? OK : E_IO;
    }
    *found = file.st_size >= FILE_BYTES_MIN;
    if (!*found && !p->read_only && unlink(p->path) != 0) {
        return E_IO;
    }
    return OK;
}

/* Look into the file without changing it if that will do. */
static enum err look_inside(struct part *p, bool *clean)
{
    enum err e = part_env_enter(p, PART_READ);
    *clean = false;
    if (e != OK) {
        return e == E_NOT_FOUND && !p->read_only ? OK : e;
    }
    e = part_env_is_clean(p, clean);
    part_env_leave(p);
    return e;
}

static enum err open_file(struct part *p)
{
    bool found, clean = false;
    TRY(find_file(p, &found));
    if (!found && p->read_only) {
        return E_NOT_FOUND;
    }
    if (found) {
        TRY(look_inside(p, &clean));
    }
    if (clean || p->read_only) {
        return OK;
    }
    enum err e = part_env_enter(p, PART_WRITE);
    if (e == OK) {
        e = part_env_clean(p);
        part_env_leave(p);
    }
    return e == E_NO_SPACE && found ? OK : e; /* The next flush cleans, too; reading goes on. */
}

static enum err open_part(const char *directory, struct part_name name, bool read_only,
                          struct part **out)
{
    struct part *p = make_part(directory, name, "");
    if (p == NULL) {
        return E_NO_MEMORY;
    }
    p->read_only = read_only;
    const bool is_new = !read_only && access(p->path, F_OK) != 0;
    enum err e = open_file(p);
    if (e != OK) {
        atomic_store(&p->doomed, is_new); /* What there is of it holds nothing. */
        part_drop(p);
        return e;
    }
    *out = p;
    return OK;
}

enum err part_open(const char *directory, struct part_name name, struct part **out)
{
    return open_part(directory, name, name.kind == PART_SEALED, out);
}

enum err part_open_read_only(const char *directory, struct part_name name, struct part **out)
{
    return open_part(directory, name, true, out);
}

#define UNFINISHED ".unfinished"

bool part_is_rubbish(const char *file_name)
{
    return strstr(file_name, ".seal.mdb" UNFINISHED) != NULL;
}

enum err part_seal_begin(const char *directory, struct part_name name, struct part **out)
{
    struct part *p = make_part(directory, name, UNFINISHED);
    if (p == NULL) {
        return E_NO_MEMORY;
    }
    CHECK(name.kind == PART_SEALED);
    atomic_store(&p->doomed, true); /* Until it is whole. */
    if (unlink(p->path) != 0 && errno != ENOENT) {
        part_drop(p);
        return E_IO;
    }
    *out = p;
    return OK;
}

/* What its transactions left behind, and each leaves some pages, goes where it is a part worth the
 * name of the whole. */
static enum err drop_unused(struct part *p)
{
    const struct kv_options options = {.map_bytes = 1, .read_only = true};
    struct kv *kv;
    uint64_t used;
    TRY(kv_open(p->path, &options, &kv));
    enum err e = kv_used_bytes(kv, &used);
    if (e == OK && kv_file_bytes(kv) > used + used / UNUSED_SHARE) {
        e = kv_compact(&kv, p->path, &options);
        e = kv == NULL ? e : OK; /* There was no room to copy it: it stays as it is. */
    }
    kv_close(kv);
    return e;
}

/* Nobody is inside: the environment was closed by the last one who wrote, and is opened again under
 * the new name. */
enum err part_seal_end(struct part *p)
{
    TRY(drop_unused(p));
    char *unfinished = p->path;
    const size_t size = strlen(unfinished) - strlen(UNFINISHED);
    char *path = strndup(unfinished, size);
    if (path == NULL) {
        return E_NO_MEMORY;
    }
    enum err e = kv_rename(unfinished, path);
    if (e != OK) {
        free(path);
        return e;
    }
    p->path = path;
    p->read_only = true;
    free(unfinished);
    TRY(part_env_enter(p, PART_READ)); /* What will be read from now on is looked at once. */
    part_env_leave(p);
    atomic_store(&p->doomed, false);
    return OK;
}

void part_hold(struct part *p)
{
    atomic_fetch_add(&p->references, 1);
}

static void remove_files(const struct part *p)
{
    part_grave_unlink(p->path);
    part_env_remove_lock(p);
}

void part_drop(struct part *p)
{
    if (atomic_fetch_sub(&p->references, 1) != 1) {
        return;
    }
    part_env_close(p);
    if (atomic_load(&p->doomed)) {
        remove_files(p);
    }
    signal_fini(&p->left);
    lock_fini(&p->lock);
    free(p->sources);
    part_positions_free(atomic_load(&p->positions));
    free(p->path);
    free(p);
}

void part_doom(struct part *p)
{
    atomic_store(&p->doomed, true);
}

struct part_name part_name(const struct part *p)
{
    return p->name;
}

struct part_period part_period(const struct part *p)
{
    return p->name.period;
}

uint64_t part_id(const struct part *p)
{
    return p->id;
}

uint64_t part_applied(const struct part *p)
{
    return atomic_load(&p->applied);
}

uint32_t part_flush_count(const struct part *p)
{
    return atomic_load(&p->flushes);
}

uint64_t part_file_bytes(const struct part *p)
{
    struct stat file;
    return stat(p->path, &file) == 0 ? (uint64_t)file.st_blocks * 512 : 0;
}

int64_t part_changed_ns(const struct part *p)
{
    struct stat file;
    return stat(p->path, &file) == 0 ? file.st_mtim.tv_sec * NS_PER_S + file.st_mtim.tv_nsec : 0;
}

enum err part_copy(struct part *p, const char *path)
{
    if (p->name.kind == PART_SEALED && link(p->path, path) == 0) {
        return OK;
    }
    enum err e = part_env_enter(p, PART_READ);
    if (e != OK) {
        return e == E_NOT_FOUND ? OK : e; /* On a full disk it was never made. */
    }
    e = kv_copy(p->kv, path);
    part_env_leave(p);
    return e;
}

bool part_is_empty(const struct part *p)
{
    return atomic_load(&p->is_empty);
}

/* While one is inside nobody begins to write; who writes has seen to it that the tree is sound. */
enum err part_check(struct part *p)
{
    enum err e = part_env_enter(p, PART_READ);
    if (e != OK) {
        return e != E_NOT_FOUND ? e : part_flush_count(p) == 0 ? OK : E_IO; /* It went away. */
    }
    e = p->writable ? OK : kv_guard_check(p->path, false);
    part_env_leave(p);
    return e;
}

bool part_mark_damaged(struct part *p)
{
    return !atomic_exchange(&p->damaged, true);
}

void part_set_swept(struct part *p, uint64_t generation)
{
    atomic_store(&p->swept, generation);
}

uint64_t part_swept(const struct part *p)
{
    return atomic_load(&p->swept);
}
