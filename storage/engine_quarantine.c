/* A partition that cannot be read stands aside, under its name and ".bad", and the rest goes on.
 *
 * New points of its periods go to new files, whose numbers are higher: when it is put back before
 * they are sealed it lies under them, as it was; else it stands aside again. Nothing in it is
 * changed or removed, not by retention either. What the journal still holds of its rows is replayed
 * into the head, for no partition says it has them. */

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "storage/engine_inside.h"

#define BAD ".bad"

static enum err path_of(const struct engine *e, const char *file_name, const char *suffix,
                        char to[ENGINE_PATH_BYTES_MAX])
{
    int size =
        snprintf(to, ENGINE_PATH_BYTES_MAX, "%s/%s%s", e->parts_directory, file_name, suffix);
    return size > 0 && size < ENGINE_PATH_BYTES_MAX ? OK : E_LIMIT;
}

enum err engine_quarantine(struct engine *e, const char *file_name, enum engine_aside why,
                           enum err error)
{
    static const char *const words[] = {
        [ENGINE_UNREADABLE] = "partition cannot be read, its points are missing",
        [ENGINE_SALVAGED] = "partition is damaged, what can be read of it was sealed",
        [ENGINE_TAKEN] = "partition was put back too late, its points are missing",
    };
    char from[ENGINE_PATH_BYTES_MAX], to[ENGINE_PATH_BYTES_MAX], lock[ENGINE_PATH_BYTES_MAX];
    TRY(path_of(e, file_name, "", from));
    TRY(path_of(e, file_name, BAD, to));
    TRY(path_of(e, file_name, "-lock", lock));
    if (access(to, F_OK) == 0 || rename(from, to) != 0 || kv_sync_name(to) != OK) {
        log_line(LOG_ERROR, "storage", "%s path=%s error=%s; nor can it be renamed", words[why],
                 from, err_name(error));
        return error;
    }
    (void)unlink(lock);
    engine_count(&e->counters.partitions_quarantined, 1);
    log_line(LOG_ERROR, "storage", "%s path=%s error=%s; kept as %s" BAD, words[why], from,
             err_name(error), file_name);
    return OK;
}

static bool is_bad(const char *file_name, struct part_name *name)
{
    char text[PART_NAME_BYTES_MAX];
    size_t size = strlen(file_name);
    if (size <= strlen(BAD) || size - strlen(BAD) >= sizeof text ||
        strcmp(file_name + size - strlen(BAD), BAD) != 0) {
        return false;
    }
    memcpy(text, file_name, size - strlen(BAD));
    text[size - strlen(BAD)] = 0;
    return part_name_read(text, name) == OK;
}

enum err engine_count_quarantined(struct engine *e)
{
    uint64_t count = 0;
    struct part_name name;
    DIR *directory = opendir(e->parts_directory);
    if (directory == NULL) {
        return E_IO;
    }
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): each thread its own DIR, as POSIX.1-2024 allows. */
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        if (is_bad(entry->d_name, &name)) {
            engine_note_number(e, name.number);
            count++;
        }
    }
    (void)closedir(directory);
    atomic_store(&e->counters.partitions_quarantined, count);
    if (count > 0) {
        log_line(LOG_WARN, "storage", "partitions stand aside directory=%s count=%llu",
                 e->parts_directory, (unsigned long long)count);
    }
    return OK;
}
