/* A copy of one of the stores of tests/golden, not open yet: as an earlier build left it. */

#ifndef TESTS_LIB_GOLDEN_STORE_H
#define TESTS_LIB_GOLDEN_STORE_H

#include <sys/stat.h>

#include "tests/lib/store.h"

static inline void golden_file_copy(const char *from, const char *to)
{
    static char room[1 << 16];
    FILE *in = fopen(from, "rb"), *out = fopen(to, "wb");
    assert_non_null(in);
    assert_non_null(out);
    for (size_t size; (size = fread(room, 1, sizeof room, in)) > 0;) {
        assert_int_equal(fwrite(room, 1, size, out), size);
    }
    fclose(in);
    assert_int_equal(fclose(out), 0);
}

static inline void golden_directory_copy(const char *from, const char *to)
{
    char source[1024], target[1024];
    DIR *dir = opendir(from);
    assert_non_null(dir);
    assert_int_equal(mkdir(to, 0750), 0);
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        if (strstr(entry->d_name, ".mdb") != NULL) {
            snprintf(source, sizeof source, "%s/%s", from, entry->d_name);
            snprintf(target, sizeof target, "%s/%s", to, entry->d_name);
            golden_file_copy(source, target);
        }
    }
    closedir(dir);
}

static inline void golden_store_copy(struct store *s, const char *name)
{
    char from[512], parts[520];
    store_make(s);
    store_close(s);
    directory_remove(&s->dir);
    snprintf(from, sizeof from, TESTS_DIR "/golden/%s", name);
    snprintf(parts, sizeof parts, "%s/parts", from);
    golden_directory_copy(from, s->dir.path);
    golden_directory_copy(parts, directory_file(&s->dir, "parts"));
    s->options.partition_s = 86400;
}

#endif /* TESTS_LIB_GOLDEN_STORE_H */
