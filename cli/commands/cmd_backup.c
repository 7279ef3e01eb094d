#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cli/age.h"
#include "cli/arguments.h"
#include "cli/backup_copy.h"
#include "cli/command.h"
#include "cli/server.h"
#include "storage/verify/verify.h"

enum { NAME_BYTES = 40 };

static void on_fault(void *context, const struct verify_fault *fault)
{
    (void)context;
    fprintf(stderr, "%s: %s: %s\n", fault->file, fault->where, fault->what);
}

static int verify(const struct backup *b)
{
    struct verify_totals totals = {0};
    enum err e = verify_store(b->unfinished, on_fault, NULL, &totals);
    if (e != OK) {
        return command_fail(EXIT_FAILED, "backup", "%s: the copy is not sound: %s", b->target,
                            err_text(e));
    }
    char bytes[AGE_BYTES_MAX];
    size_write((double)totals.bytes, bytes);
    fprintf(stderr, "verified: %" PRIu64 " files, %s, %" PRIu64 " points in partitions\n",
            totals.files, bytes, totals.points);
    return EXIT_DONE;
}

static int take(struct backup *b, bool check)
{
    char bytes[AGE_BYTES_MAX];
    if (backup_copy(b) != OK) {
        backup_remove(b);
        return command_fail(EXIT_FAILED, "backup", "%s", b->complaint);
    }
    int code = check ? verify(b) : EXIT_DONE;
    if (code != EXIT_DONE) {
        backup_remove(b);
        return code;
    }
    if (backup_finish(b) != OK) {
        return command_fail(EXIT_FAILED, "backup", "%s", b->complaint);
    }
    size_write((double)b->copied_bytes, bytes);
    printf("%s: %" PRIu64 " files, %" PRIu64 " of them linked, %s copied\n", b->target, b->files,
           b->linked, bytes);
    return EXIT_DONE;
}

static void name_snapshot(char to[NAME_BYTES])
{
    struct timespec now;
    struct tm utc;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    if (gmtime_r(&now.tv_sec, &utc) == NULL ||
        strftime(to, NAME_BYTES, "backup-%Y%m%dT%H%M%S", &utc) == 0) {
        (void)snprintf(to, NAME_BYTES, "backup");
    }
    (void)snprintf(to + strlen(to), NAME_BYTES - strlen(to), "-%03ld", now.tv_nsec / 1000000);
}

static int backup(struct hejnal *h, struct backup *b, bool check)
{
    char name[NAME_BYTES], directory[BACKUP_PATH_BYTES_MAX];
    name_snapshot(name);
    enum hejnal_result result = hejnal_snapshot(h, name, directory, sizeof directory);
    if (result != HEJNAL_OK) {
        return server_fail("backup", h, result);
    }
    b->snapshot = directory;
    int code = take(b, check);
    result = hejnal_snapshot_remove(h, name);
    return code == EXIT_DONE && result != HEJNAL_OK ? server_fail("backup", h, result) : code;
}

int cmd_backup(int argc, char **argv)
{
    const char *address = SERVER_DEFAULT;
    struct hejnal *h;
    struct backup b = {.earlier = NULL};
    bool no_check = false;
    const struct option_row rows[] = {
        SERVER_OPTION(&address),
        {"--link-from", OPTION_TEXT, &b.earlier, 0, 0, NULL, "DIR",
         "An earlier backup; what has not changed is linked from it."},
        {"--no-check", OPTION_FLAG, &no_check, 0, 0, NULL, NULL, "Do not verify the copy."},
    };
    struct arguments o = {
        "backup",
        "DIR",
        "Copy the store of a running hejnald into DIR, consistent as of now, and verify it. DIR is "
        "a store:\n`hejnald --data DIR` opens it. An earlier backup in DIR is replaced when the "
        "new one is whole, and\ngives what has not changed. On the server's own machine only.",
        "  hejnal backup /backup/hejnal\n"
        "  hejnal backup /backup/tuesday --link-from /backup/monday\n",
        rows,
        sizeof rows / sizeof rows[0],
        1,
        1,
        0,
        {NULL}};
    enum err e = arguments_read(&o, argc, argv);
    if (e != OK) {
        return e == E_END ? EXIT_DONE : EXIT_USAGE;
    }
    b.target = o.positional[0];
    int code = server_connect("backup", address, &h);
    if (code != EXIT_DONE) {
        return code;
    }
    hejnal_set_timeout(h, -1);
    code = backup(h, &b, !no_check);
    hejnal_close(h);
    return code;
}
