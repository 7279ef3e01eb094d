/* Writes a day of a river's level, asks for its hourly mean and maximum, prints them.
 *
 *     cc hejnal_example.c $(pkg-config --cflags --libs hejnal) && ./a.out 127.0.0.1 4380 */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <hejnal.h>

static const int64_t second_ns = INT64_C(1000000000);
static const int64_t start_ns = INT64_C(1767225600) * INT64_C(1000000000); /* 2026-01-01 */

/* Says what went wrong; returns the program's exit code. */
static int fail(const struct hejnal *h, const char *what)
{
    fprintf(stderr, "%s: %s", what, hejnal_error(h));
    if (hejnal_error_position(h) > 0) {
        fprintf(stderr, " (%s, character %u)", hejnal_error_field(h), hejnal_error_position(h));
    }
    fputc('\n', stderr);
    return 1;
}

static enum hejnal_result write_day(struct hejnal *h)
{
    static const char *const columns[] = {"level", "flow"};
    struct hejnal_batch *batch;
    enum hejnal_result result = hejnal_batch_create(&batch);
    if (result != HEJNAL_OK) {
        return result;
    }
    result = hejnal_batch_section(batch, "example/water/bielany", columns, 2);
    for (int minute = 0; minute < 24 * 60 && result == HEJNAL_OK; minute++) {
        const double row[] = {2.31 + minute % 60 * 0.01, 80.5};
        result = hejnal_batch_row(batch, start_ns + minute * 60 * second_ns, row, UINT64_MAX);
    }
    if (result == HEJNAL_OK) {
        result = hejnal_write(h, batch); /* Returns when all of it is on disk. */
    }
    hejnal_batch_destroy(batch);
    return result;
}

static enum hejnal_result print_hours(struct hejnal *h)
{
    const struct hejnal_query query = {
        .filter = "example/water/+/level",
        .from_ns = start_ns,
        .to_ns = start_ns + 86400 * second_ns,
        .bucket_ns = 3600 * second_ns,
        .aggregates = HEJNAL_MEAN | HEJNAL_MAX,
    };
    struct hejnal_answer *answer;
    struct hejnal_block block;
    enum hejnal_result result = hejnal_query(h, &query, &answer);
    if (result != HEJNAL_OK) {
        return result;
    }
    while ((result = hejnal_next_block(answer, &block)) == HEJNAL_OK) {
        for (size_t i = 0; i < block.rows; i++) {
            printf("%s %" PRId64 " mean %g max %g\n", block.path, block.times[i] / second_ns,
                   block.column[0][i], block.column[1][i]);
        }
    }
    hejnal_answer_close(answer);
    return result == HEJNAL_END ? HEJNAL_OK : result;
}

int main(int argc, char **argv)
{
    const char *host = argc > 1 ? argv[1] : "127.0.0.1";
    unsigned port = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : HEJNAL_PORT;
    struct hejnal *h = NULL;
    int code = 0;

    enum hejnal_result result = hejnal_connect(host, port, 5000, &h);
    if (result == HEJNAL_NO_MEMORY) {
        fprintf(stderr, "%s\n", hejnal_result_text(result));
        return 1;
    }
    if (result != HEJNAL_OK) {
        code = fail(h, "connect");
    } else if (write_day(h) != HEJNAL_OK) {
        code = fail(h, "write");
    } else if (print_hours(h) != HEJNAL_OK) {
        code = fail(h, "query");
    }
    hejnal_close(h);
    return code;
}
