#include <inttypes.h>
#include <stdio.h>

#include "cli/age.h"
#include "cli/arguments.h"
#include "cli/command.h"
#include "storage/verify/verify.h"

static void on_fault(void *context, const struct verify_fault *fault)
{
    (void)context;
    printf("%s: %s: %s\n", fault->file, fault->where, fault->what);
}

static void print_totals(const struct verify_totals *t)
{
    char bytes[AGE_BYTES_MAX];
    size_write((double)t->bytes, bytes);
    printf("files       %12" PRIu64 "  %s\n", t->files, bytes);
    printf("series      %12" PRIu64 "\n", t->series);
    printf("texts       %12" PRIu64 "\n", t->texts);
    printf("deletes     %12" PRIu64 "\n", t->deletes);
    printf("journal     %12" PRIu64 "  records, %" PRIu64 " rows\n", t->records, t->rows);
    printf("partitions  %12" PRIu64 "  %" PRIu64 " flushes, %" PRIu64 " chunks, %" PRIu64
           " points, %" PRIu64 " rollups\n",
           t->partitions, t->flushes, t->chunks, t->points, t->rollups);
    printf("faults      %12" PRIu64 "\n", t->faults);
}

int cmd_check(int argc, char **argv)
{
    struct verify_totals totals = {0};
    struct arguments o = {
        "check",
        "DIR",
        "Read everything in a store that no hejnald has open, and compare it with its "
        "checksums, order,\nstatistics and counts. Changes nothing; a fault is one line; "
        "exits 1 when there is any.",
        "  hejnal check /var/lib/hejnal\n",
        NULL,
        0,
        1,
        1,
        0,
        {NULL}};
    enum err e = arguments_read(&o, argc, argv);
    if (e != OK) {
        return e == E_END ? EXIT_DONE : EXIT_USAGE;
    }
    e = verify_store(o.positional[0], on_fault, NULL, &totals);
    switch ((int)e) {
    case OK:
    case E_CORRUPT:
        print_totals(&totals);
        return e == OK ? EXIT_DONE : EXIT_FAILED;
    case E_BUSY:
        return command_fail(EXIT_FAILED, "check", "%s: a hejnald has it open; stop it first",
                            o.positional[0]);
    case E_NOT_FOUND:
        return command_fail(EXIT_FAILED, "check", "%s: no store is there", o.positional[0]);
    default:
        return command_fail(EXIT_FAILED, "check", "%s: %s", o.positional[0], err_text(e));
    }
}
