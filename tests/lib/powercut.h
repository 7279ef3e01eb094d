/* A disk that forgets and fails, for tests: preloaded into hejnald, it stands between the program
 * and the files below one directory.
 *
 * disk_shim.c takes the calls, powercut.c keeps a log of what a power cut would undo (and kills the
 * process at a chosen call), baddisk.c makes chosen calls fail. tests/integration/powercut.py reads
 * the log, tests/integration/baddisk.py writes the rules. */

#ifndef TESTS_LIB_POWERCUT_H
#define TESTS_LIB_POWERCUT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* powercut.c. Set by POWERCUT_DIRECTORY (what is watched), POWERCUT_LOG (a file outside of it) and
 * POWERCUT_AT (the call, counted from 1, at which the process is killed; 0 or absent: never). */
enum powercut_kind {
    POWERCUT_WRITE = 1,  /* Followed by the bytes that were there before. */
    POWERCUT_SYNC = 2,   /* All of the file's records before `upto` are on the disk. */
    POWERCUT_DONE = 3,   /* The record at `upto` is: it was written through. */
    POWERCUT_MAKE = 4,   /* A name came: of a file or a directory. */
    POWERCUT_RENAME = 5, /* Path is "from\0to"; a file that was "to" is kept as LOG.position. */
    POWERCUT_DIRSYNC = 6 /* Path's names before `upto` are on the disk. */
};

struct powercut_record {
    uint32_t kind, path_bytes; /* The path follows, then `old_bytes` bytes. */
    uint64_t file;             /* Inode. */
    uint64_t offset, new_bytes, old_bytes;
    uint64_t size; /* Of the file, before. */
    uint64_t upto; /* Offset in the log. */
};

bool powercut_watches(const char *path);
/* Where the log ends now. */
uint64_t powercut_position(void);
/* Append; returns where the record lies. */
uint64_t powercut_log(const struct powercut_record *r, const char *path, const void *old);
/* Count a call; kills the process when it is the chosen one and `after` is as chosen. */
void powercut_count(bool after);

/* baddisk.c. BADDISK names a file of rules, mapped and looked at before each call. */
enum baddisk_kind {
    BADDISK_WRITE = 1, /* To a data page. */
    BADDISK_META = 2,  /* Through a descriptor that syncs each write. */
    BADDISK_SYNC = 4,
    BADDISK_READ = 8,
    BADDISK_OPEN = 16,
    BADDISK_DONE = 32 /* With others: the call is carried out and then said to have failed. */
};

enum { BADDISK_RULES = 4 };

struct baddisk_rule {
    uint32_t kinds; /* 0: no rule. */
    int32_t error;  /* errno. */
    uint32_t skip;  /* So many calls pass first. */
    uint32_t left;  /* So many fail; UINT32_MAX: all. */
    uint32_t hits;  /* Failed so far. */
    char path[44];  /* A part of it; empty: any. */
};

/* The errno a call must fail with, or 0; `carry_out`: only after doing it. */
int baddisk_fail(enum baddisk_kind kind, const char *path, bool *carry_out);

#endif /* TESTS_LIB_POWERCUT_H */
