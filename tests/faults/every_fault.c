/* Fail at every n: the n-th allocation, the n-th write, the n-th fsync, for n = 1, 2, 3 ... until
 * the script of life.c runs through without meeting it, each n in a process of its own.
 *
 * every_fault [EVERY]: only each EVERY-th n; 1 tries all and takes minutes. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/check.h"
#include "tests/faults/life.h"
#include "tests/lib/directory.h"
#include "tests/lib/fail_alloc.h"
#include "tests/lib/powercut.h"

enum { ALLOC = 0, N_MAX = 1000000 };

static const struct fault {
    const char *name;
    uint32_t kinds; /* Of calls to the disk; ALLOC: none of them. */
    int error;
    uint32_t left;     /* So many fail. */
    unsigned sparsely; /* There are many places: every so many-th will do where EVERY is not 1. */
} faults[] = {
    {"an allocation", ALLOC, ENOMEM, 1, 7},
    {"a write, disk full", BADDISK_WRITE | BADDISK_META, ENOSPC, 1, 1},
    {"all writes from there on, disk full", BADDISK_WRITE | BADDISK_META, ENOSPC, UINT32_MAX, 1},
    {"a write", BADDISK_WRITE | BADDISK_META, EIO, 1, 1},
    {"a write that was done", BADDISK_WRITE | BADDISK_META | BADDISK_DONE, EIO, 1, 1},
    {"a sync", BADDISK_SYNC, EIO, 1, 1},
    {"all syncs from there on", BADDISK_SYNC, EIO, UINT32_MAX, 1},
    {"an open", BADDISK_OPEN, EMFILE, 1, 1},
};

static struct directory top;
static struct baddisk_rule *rules;

static void prepare(void)
{
    const char *path;
    /* NOLINTBEGIN(concurrency-mt-unsafe): the only thread. */
    if (access("/dev/shm", W_OK) == 0) {
        (void)setenv("TMPDIR", "/dev/shm", 0); /* A sync costs nothing there. */
    }
    directory_make(&top);
    path = directory_file(&top, "rules");
    (void)setenv("BADDISK", path, 1);
    (void)setenv("POWERCUT_DIRECTORY", directory_file(&top, "store"), 1);
    /* NOLINTEND(concurrency-mt-unsafe) */
    FILE *file = fopen(path, "w+e");
    CHECK(file != NULL && ftruncate(fileno(file), BADDISK_RULES * sizeof *rules) == 0);
    rules = mmap(NULL, BADDISK_RULES * sizeof *rules, PROT_READ | PROT_WRITE, MAP_SHARED,
                 fileno(file), 0);
    CHECK(rules != MAP_FAILED);
    (void)fclose(file);
}

static void arm(const struct fault *f, uint32_t n)
{
    if (f->kinds == ALLOC) {
        fail_alloc_arm(n - 1, f->left);
    } else {
        rules[0] = (struct baddisk_rule){f->kinds, f->error, n - 1, f->left, 0, ""};
    }
}

/* How many calls failed. */
static uint64_t disarm(void)
{
    uint64_t hits = rules[0].hits;
    rules[0].kinds = 0;
    return hits + fail_alloc_disarm();
}

/* In a child. The exit code says whether the fault was met: 3, and reported: 2; else 0. */
static int live(const struct fault *f, uint32_t n)
{
    struct life *life = life_create(directory_file(&top, "store"));
    arm(f, n);
    unsigned failed = life_run(life);
    uint64_t hits = disarm();
    life_heal(life);
    life_destroy(life);
    return hits == 0 ? 0 : failed > 0 ? 2 : 3;
}

static int run_child(const struct fault *f, uint32_t n)
{
    int status = 0;
    directory_remove_store(directory_file(&top, "store"));
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        CHECK(freopen(directory_file(&top, "said"), "we", stderr) != NULL);
        _exit(live(f, n));
    }
    CHECK(waitpid(child, &status, 0) == child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

/* What a child said that came to no good end. */
static void show_said(const struct fault *f, uint32_t n)
{
    char text[4096] = "";
    FILE *file = fopen(directory_file(&top, "said"), "re");
    size_t size = file == NULL ? 0 : fread(text, 1, sizeof text - 1, file);
    (void)fprintf(stderr, "every_fault: the %u-th: %s\n%.*s", n, f->name, (int)size, text);
    if (file != NULL) {
        (void)fclose(file);
    }
}

static bool run_fault(const struct fault *f, unsigned every)
{
    unsigned step = every == 1 ? 1 : every * f->sparsely, met = 0, reported = 0, broken = 0;
    uint32_t n = 1;
    for (int code = 3; code != 0 && n < N_MAX; n += step) {
        code = run_child(f, n);
        met += code != 0;
        reported += code == 2;
        if (code == 1) {
            broken++;
            show_said(f, n);
        }
    }
    printf("%-36s tried %5u times up to the %6u-th: %5u reported, %u broken\n", f->name, met,
           n - step, reported, broken);
    (void)fflush(stdout);
    return broken == 0;
}

int main(int argc, char **argv)
{
    unsigned every = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 1;
    bool good = every > 0;
    prepare();
    for (size_t i = 0; every > 0 && i < sizeof faults / sizeof faults[0]; i++) {
        good &= run_fault(&faults[i], every);
    }
    directory_remove_store(directory_file(&top, "store"));
    directory_remove(&top);
    return good ? 0 : 1;
}
