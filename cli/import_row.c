#include "cli/import_row.h"

#include <string.h>

#include "base/number.h"
#include "base/timestamp.h"
#include "base/topic.h"
#include "cli/csv.h"
#include "cli/value_cell.h"
#include "proto/json.h"

static const char not_a_series[] = "not a series path";
static const char not_a_time[] =
    "not a time between 1970 and 2200: RFC 3339, or unix s, ms, us or ns";

static enum err read_time(struct bytes text, int64_t *time_ns)
{
    const enum err e = timestamp_read_unix(text, time_ns);
    return e == E_MALFORMED ? timestamp_read_rfc3339(text, time_ns) : e;
}

/* -- CSV -------------------------------------------------------------------------------------- */

const char *import_row_csv(char *record, bool bare_texts, struct import_row *row, unsigned *column)
{
    char *rest = record, *series, *time = NULL, *value = NULL;
    *column = 1;
    if (csv_cell(&rest, &series) != OK || !topic_is_name(bytes_of(series))) {
        return not_a_series;
    }
    row->series = series;
    *column = 2;
    if (csv_cell(&rest, &time) != OK || read_time(bytes_of(time), &row->time_ns) != OK) {
        return not_a_time;
    }
    *column = 3;
    const bool is_quoted = rest != NULL && *rest == '"';
    if (csv_cell(&rest, &value) != OK ||
        value_cell_read(value, is_quoted || bare_texts, &row->value) != OK) {
        return "not a number, and no text in quotes of up to 1024 bytes";
    }
    *column = 4;
    return rest == NULL ? NULL : "more cells than series,time,value";
}

/* -- JSON ------------------------------------------------------------------------------------- */

/* A string as a C string of at most `max` bytes. */
static enum err read_string(const struct json_string *string, char *to, size_t max)
{
    size_t size;
    TRY(json_string_write(string, (uint8_t *)to, max, &size));
    to[size] = 0;
    return memchr(to, 0, size) == NULL ? OK : E_MALFORMED;
}

static const char *take_series(const struct json_item *item, struct import_row *row)
{
    if (item->kind != JSON_STRING ||
        read_string(&item->string, row->path, IMPORT_PATH_BYTES_MAX) != OK ||
        !topic_is_name(bytes_of(row->path))) {
        return not_a_series;
    }
    row->series = row->path;
    return NULL;
}

static const char *take_time(const struct json_item *item, struct import_row *row)
{
    char text[TIMESTAMP_TEXT_BYTES_MAX + 1];
    enum err e = E_MALFORMED;
    if (item->kind == JSON_NUMBER) {
        e = timestamp_read_unix(item->text, &row->time_ns);
    } else if (item->kind == JSON_STRING &&
               read_string(&item->string, text, TIMESTAMP_TEXT_BYTES_MAX) == OK) {
        e = read_time(bytes_of(text), &row->time_ns);
    }
    return e == OK ? NULL : not_a_time;
}

static const char *take_value(const struct json_item *item, struct import_row *row)
{
    if (item->kind == JSON_NUMBER) {
        row->value = (struct hejnal_value){item->number.value, NULL};
        return NULL;
    }
    if (item->kind == JSON_STRING && read_string(&item->string, row->text, TEXT_BYTES_MAX) == OK) {
        row->value = (struct hejnal_value){0, row->text};
        return NULL;
    }
    return item->kind == JSON_NULL ? "null is no value: NaN and infinities travel in CSV only"
                                   : "not a number, and no text of up to 1024 bytes";
}

struct member {
    const char *name;
    const char *(*take)(const struct json_item *item, struct import_row *row);
};

static const struct member members[] = {
    {"series", take_series}, {"time", take_time}, {"value", take_value}};
enum { MEMBERS = sizeof members / sizeof members[0] };

/* Index of the member a key names, or MEMBERS. */
static unsigned find_member(struct bytes key)
{
    unsigned i = 0;
    while (i < MEMBERS && !bytes_equal(key, bytes_of(members[i].name))) {
        i++;
    }
    return i;
}

/* The members of the object, each once, up to its end. */
static const char *take_members(struct json *j, struct import_row *row)
{
    struct json_item item;
    unsigned seen = 0;
    for (;;) {
        if (json_next(j, &item) != OK) {
            return "not JSON";
        }
        if (item.kind == JSON_CLOSE) {
            return seen == (1U << MEMBERS) - 1 ? NULL : "needs series, time and value";
        }
        const unsigned index = find_member(item.key.raw);
        if (index == MEMBERS || (seen >> index & 1) != 0) {
            return "a member that is none of series, time and value, or one that is there twice";
        }
        seen |= 1U << index;
        const char *why = members[index].take(&item, row);
        if (why != NULL) {
            return why;
        }
    }
}

const char *import_row_json(struct bytes line, struct import_row *row, unsigned *column)
{
    struct json j;
    struct json_item item;
    json_init(&j, line);
    const char *why = json_next(&j, &item) == OK && item.kind == JSON_OBJECT ? take_members(&j, row)
                                                                             : "not a JSON object";
    if (why == NULL && json_next(&j, &item) != E_END) {
        why = "more than one JSON object";
    }
    *column = (unsigned)(j.at - line.at) + 1;
    return why;
}
