/* Any bytes as a record of CSV and as a line of JSON to import: what is taken is a series path, a
 * time the store takes, and a number or a text. */

#include "cli/import_row.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/timestamp.h"
#include "base/topic.h"
#include "cli/csv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_row(const char *why, const struct import_row *row, unsigned column)
{
    CHECK(column >= 1);
    if (why != NULL) {
        CHECK(why[0] != 0);
        return;
    }
    CHECK(topic_is_name(bytes_of(row->series)));
    CHECK(row->time_ns >= TIMESTAMP_MIN_NS && row->time_ns < TIMESTAMP_MAX_NS);
    CHECK(row->value.text == NULL ||
          (strlen(row->value.text) <= TEXT_BYTES_MAX && topic_is_utf8(bytes_of(row->value.text))));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct import_row row;
    unsigned column = 0;
    const char *why = import_row_json((struct bytes){data, size}, &row, &column);
    check_row(why, &row, column);
    for (int bare = 0; bare < 2; bare++) {
        char *record = malloc(size + 1);
        CHECK(record != NULL);
        memcpy(record, data, size);
        record[size] = 0;
        const bool is_open = csv_is_open(record);
        why = import_row_csv(record, bare == 1, &row, &column);
        check_row(why, &row, column);
        CHECK(why != NULL || !is_open);
        free(record);
    }
    return 0;
}
