#include "broker/query/query_check.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/text.h"
#include "base/timestamp.h"
#include "base/topic.h"
#include "broker/query/query_ask.h"
#include "storage/catalogue/catalogue_tag.h"
#include "storage/catalogue/texts.h"
#include "storage/journal/batch.h"

#define INVALID HEJNAL__V1__ERROR__CODE__INVALID

/* Position (from 1) of the first byte that is no UTF-8 character MQTT allows; 0: none. */
static size_t find_bad_character(struct bytes text)
{
    for (size_t i = 0; i < text.size;) {
        uint8_t lead = text.at[i];
        size_t size = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
        if (size > text.size - i || !topic_is_utf8((struct bytes){text.at + i, size})) {
            return i + 1;
        }
        i += size;
    }
    return 0;
}

/* What holds for names and filters alike. */
static enum err check_text(struct bytes text, const char *field, struct query_fault *fault)
{
    size_t levels = 1;
    size_t bad = topic_is_utf8(text) ? 0 : find_bad_character(text);

    if (bad > 0) {
        return query_fault_at(fault, field, bad, "not UTF-8 here");
    }
    if (text.size > SERIES_PATH_BYTES_MAX) {
        return query_fault_at(fault, field, SERIES_PATH_BYTES_MAX + 1, "longer than 1024 bytes");
    }
    for (size_t i = 0; i < text.size; i++) {
        levels += text.at[i] == '/';
        if (levels > TOPIC_LEVELS_MAX) {
            return query_fault_at(fault, field, i + 1, "more than 128 levels");
        }
    }
    return OK;
}

enum err query_check_filter(const char *filter, struct query_fault *fault)
{
    static const char field[] = "filter";
    struct bytes text = bytes_of(filter);

    if (text.size == 0) {
        return query_fault_at(fault, field, 0, "the filter is empty; `#` selects every series");
    }
    for (size_t i = 0; i < text.size; i++) {
        bool starts = i == 0 || text.at[i - 1] == '/';
        bool ends = i + 1 == text.size || text.at[i + 1] == '/';
        if (text.at[i] == '+' && !(starts && ends)) {
            return query_fault_at(fault, field, i + 1, "`+` must fill a whole level, as in a/+/b");
        }
        if (text.at[i] == '#' && !(starts && i + 1 == text.size)) {
            return query_fault_at(fault, field, i + 1, "`#` must be the last level, as in a/b/#");
        }
    }
    return check_text(text, field, fault);
}

/* A path to write to, or a column below one. */
static enum err check_name(const char *name, const char *field, struct query_fault *fault)
{
    struct bytes text = bytes_of(name);

    if (text.size == 0) {
        return query_fault_at(fault, field, 0, "empty");
    }
    if (text.at[0] == '$') {
        return query_fault_at(fault, field, 1, "names that start with `$` are the server's own");
    }
    for (size_t i = 0; i < text.size; i++) {
        if (text.at[i] == '+' || text.at[i] == '#') {
            return query_fault_at(fault, field, i + 1, "a path has no wildcards");
        }
    }
    return check_text(text, field, fault);
}

enum err query_check_query(const Hejnal__V1__Query *q, struct query_fault *fault)
{
    TRY(query_check_filter(q->filter, fault));
    return query_ask_check(q, fault);
}

static enum err check_times(const int64_t *deltas, size_t count, const char *field,
                            struct query_fault *fault)
{
    int64_t time_ns = 0;
    for (size_t i = 0; i < count; i++) {
        if (__builtin_add_overflow(time_ns, deltas[i], &time_ns) || time_ns < TIMESTAMP_MIN_NS ||
            time_ns >= TIMESTAMP_MAX_NS) {
            query_fault_set(fault, INVALID, field,
                            "the time of row %zu is not between 1970 and 2200", i + 1);
            return E_MALFORMED;
        }
    }
    return OK;
}

/* Index of the first number whose bits mean a text in the store, or `count`. */
static size_t find_reserved(const double *values, size_t count)
{
    size_t i = 0;
    while (i < count && !text_is_value(values[i])) {
        i++;
    }
    return i;
}

static enum err check_values(const double *values, size_t count, const char *field,
                             struct query_fault *fault)
{
    const size_t at = find_reserved(values, count);
    if (at < count) {
        query_fault_set(fault, INVALID, field,
                        "value %zu is a NaN of the bits 0xfffc0000xxxxxxxx, which stand for texts",
                        at + 1);
        fault->position = (uint32_t)(at * sizeof(double) + 1);
        return E_MALFORMED;
    }
    return OK;
}

/* Texts among `present` values, of which it counts those. */
static enum err check_word_runs(const Hejnal__V1__WriteColumn *column, size_t words,
                                uint64_t *texts, struct query_fault *fault)
{
    *texts = 0;
    if (column->n_word_runs % 2 != 0) {
        return query_fault_at(fault, "values", 0, "word_runs are pairs: a word and how many rows");
    }
    for (size_t i = 0; i < column->n_word_runs; i += 2) {
        const uint32_t word = column->word_runs[i];
        if (word > words) {
            query_fault_set(fault, INVALID, "values", "word %" PRIu32 " of %zu in word_runs", word,
                            words);
            return E_MALFORMED;
        }
        *texts += word > 0 ? column->word_runs[i + 1] : 0;
    }
    return OK;
}

/* The runs of numbers between the texts have to add up, too. */
static uint64_t count_numbers(const Hejnal__V1__WriteColumn *column)
{
    uint64_t numbers = 0;
    for (size_t i = 0; i < column->n_word_runs; i += 2) {
        numbers += column->word_runs[i] == 0 ? column->word_runs[i + 1] : 0;
    }
    return column->n_word_runs == 0 ? column->n_value : numbers;
}

static enum err check_column(const Hejnal__V1__WriteColumn *column, size_t rows, size_t words,
                             struct query_fault *fault)
{
    uint64_t all = 0, present = 0, texts;

    if (column->n_present_runs == 0) {
        all = rows;
        present = rows;
    }
    for (size_t i = 0; i < column->n_present_runs; i++) {
        all += column->present_runs[i];
        present += i % 2 == 0 ? column->present_runs[i] : 0;
    }
    TRY(check_word_runs(column, words, &texts, fault));
    if (all != rows || present != column->n_value + texts) {
        query_fault_set(fault, INVALID, "values",
                        "has %" PRIu64 " values where its runs tell of %" PRIu64
                        " present in %" PRIu64 " of %zu rows",
                        column->n_value + texts, present, all, rows);
        return E_MALFORMED;
    }
    if (count_numbers(column) != column->n_value) {
        return query_fault_at(fault, "values", 0, "word_runs tell of another number of numbers");
    }
    return check_values(column->value, column->n_value, "values", fault);
}

/* The faulty field as the sender counts: "path" in section 3 is "rows[3].path". Only when something
 * is wrong: a write has thousands of sections. */
static enum err place(enum err e, struct query_fault *fault, size_t section, size_t column)
{
    char field[QUERY_FAULT_FIELD_BYTES];
    if (e == OK) {
        return OK;
    }
    if (column == SIZE_MAX) {
        (void)snprintf(field, sizeof field, "rows[%zu].%.16s", section, fault->field);
    } else {
        (void)snprintf(field, sizeof field, "rows[%zu].%.16s[%zu]", section, fault->field, column);
    }
    memcpy(fault->field, field, sizeof field);
    return e;
}

static enum err check_rows(const Hejnal__V1__WriteRows *rows, size_t index, size_t words,
                           struct query_fault *fault)
{
    size_t columns = rows->n_columns == 0 ? 1 : rows->n_columns;
    enum err e = check_name(rows->path, "path", fault);

    if (e == OK && columns > BATCH_COLUMNS_MAX) {
        e = query_fault_at(fault, "columns", 0, "more than 64 columns");
    } else if (e == OK && rows->n_values != columns) {
        e = query_fault_at(fault, "values", 0, "needs one entry for each column");
    } else if (e == OK && rows->number != 0 && columns > 1) {
        e = query_fault_at(fault, "number", 0, "a number is for one series, here are several");
    }
    TRY(place(e, fault, index, SIZE_MAX));
    for (size_t i = 0; i < rows->n_columns; i++) {
        TRY(place(check_name(rows->columns[i], "columns", fault), fault, index, i));
    }
    for (size_t i = 0; i < rows->n_values; i++) {
        TRY(place(check_column(rows->values[i], rows->n_time_delta, words, fault), fault, index,
                  i));
    }
    return place(check_times(rows->time_delta, rows->n_time_delta, "time_delta", fault), fault,
                 index, SIZE_MAX);
}

static enum err check_word(struct bytes word, size_t index, struct query_fault *fault)
{
    char field[QUERY_FAULT_FIELD_BYTES];
    if (texts_is_text(word)) {
        return OK;
    }
    (void)snprintf(field, sizeof field, "words[%zu]", index);
    return word.size > TEXT_BYTES_MAX
               ? query_fault_at(fault, field, TEXT_BYTES_MAX + 1, "longer than 1024 bytes")
               : query_fault_at(fault, field, find_bad_character(word),
                                "not UTF-8 here, or U+0000");
}

static enum err check_words(const Hejnal__V1__Write *w, struct query_fault *fault)
{
    if (w->n_words > QUERY_WORDS_MAX) {
        query_fault_set(fault, HEJNAL__V1__ERROR__CODE__LIMIT, "words",
                        "more than %d words in one write", QUERY_WORDS_MAX);
        return E_MALFORMED;
    }
    for (size_t i = 0; i < w->n_words; i++) {
        TRY(check_word((struct bytes){w->words[i].data, w->words[i].len}, i, fault));
    }
    return OK;
}

static enum err check_points(const Hejnal__V1__WritePoints *p, uint32_t numbers,
                             struct query_fault *fault)
{
    if (p->n_time_delta != p->n_number || p->n_value != p->n_number) {
        return query_fault_at(fault, "points", 0,
                              "needs a number, a time and a value for each point");
    }
    for (size_t i = 0; i < p->n_number; i++) {
        if (p->number[i] == 0 || p->number[i] > numbers) {
            query_fault_set(fault, INVALID, "points.number",
                            "point %zu: the number %" PRIu32 " stands for no series, those up to "
                            "%" PRIu32 " do on this connection",
                            i + 1, p->number[i], numbers);
            return E_MALFORMED;
        }
    }
    TRY(check_values(p->value, p->n_value, "points.value", fault));
    return check_times(p->time_delta, p->n_time_delta, "points.time_delta", fault);
}

enum err query_check_write(const Hejnal__V1__Write *w, uint32_t numbers, struct query_fault *fault)
{
    TRY(check_words(w, fault));
    if (w->points != NULL) {
        TRY(check_points(w->points, numbers, fault));
    }
    for (size_t i = 0; i < w->n_rows; i++) {
        TRY(check_rows(w->rows[i], i, w->n_words, fault));
    }
    return OK;
}

static enum err check_admin(const Hejnal__V1__Admin *admin, struct query_fault *fault)
{
    const bool is_snapshot = admin->command == HEJNAL__V1__ADMIN__COMMAND__SNAPSHOT ||
                             admin->command == HEJNAL__V1__ADMIN__COMMAND__SNAPSHOT_REMOVE;
    if ((int)admin->command < 0 || admin->command > HEJNAL__V1__ADMIN__COMMAND__SNAPSHOT_REMOVE) {
        return query_fault_at(fault, "command", 0, "an unknown command");
    }
    if (is_snapshot && !engine_snapshot_name_is_good(bytes_of(admin->name))) {
        return query_fault_at(fault, "name", 0,
                              "a name is 1 to 64 of A-Z a-z 0-9 - _ and, not first, a dot");
    }
    return OK;
}

static enum err check_tag(const Hejnal__V1__TagRequest *r, struct query_fault *fault)
{
    TRY(query_check_filter(r->filter, fault));
    if (r->n_tags == 0 || r->n_tags > TAGS_OF_SERIES_MAX) {
        query_fault_set(fault, INVALID, "tags", "1 to %d tags at a time", TAGS_OF_SERIES_MAX);
        return E_MALFORMED;
    }
    for (size_t i = 0; i < r->n_tags; i++) {
        const struct bytes key = bytes_of(r->tags[i]->key);
        const char *wrong = catalogue_tag_fault(key, bytes_of(r->tags[i]->value));
        for (size_t k = 0; k < i && wrong == NULL; k++) {
            wrong = bytes_equal(key, bytes_of(r->tags[k]->key)) ? "a tag is given twice" : NULL;
        }
        if (wrong != NULL) {
            query_fault_set(fault, INVALID, "tags", "tag %zu: %s", i + 1, wrong);
            return E_MALFORMED;
        }
    }
    return OK;
}

static enum err check_delete(const Hejnal__V1__Delete *d, struct query_fault *fault)
{
    TRY(query_check_filter(d->filter, fault));
    return d->from_ns < d->to_ns ? OK : query_fault_at(fault, "to_ns", 0, "must be after from_ns");
}

enum err query_check_request(const frame_request *r, uint32_t numbers, struct query_fault *fault)
{
    switch (r->body_case) {
    case HEJNAL__V1__REQUEST__BODY_WRITE:
        return query_check_write(r->write, numbers, fault);
    case HEJNAL__V1__REQUEST__BODY_QUERY:
        return query_check_query(r->query, fault);
    case HEJNAL__V1__REQUEST__BODY_LAST:
        return query_check_filter(r->last->filter, fault);
    case HEJNAL__V1__REQUEST__BODY_SERIES:
        return query_check_filter(r->series->filter, fault);
    case HEJNAL__V1__REQUEST__BODY_TAG:
        return check_tag(r->tag, fault);
    case HEJNAL__V1__REQUEST__BODY_TAIL:
        return query_check_filter(r->tail->filter, fault);
    case HEJNAL__V1__REQUEST__BODY_ERASE:
        return check_delete(r->erase, fault);
    case HEJNAL__V1__REQUEST__BODY_ADMIN:
        return check_admin(r->admin, fault);
    case HEJNAL__V1__REQUEST__BODY_HELLO:
    case HEJNAL__V1__REQUEST__BODY_STATS:
    case HEJNAL__V1__REQUEST__BODY_CANCEL:
    case HEJNAL__V1__REQUEST__BODY_REJECTS:
    case HEJNAL__V1__REQUEST__BODY_CREDIT:
        return OK;
    case HEJNAL__V1__REQUEST__BODY__NOT_SET:
    case _HEJNAL__V1__REQUEST__BODY__CASE_IS_INT_SIZE:
    default:
        return query_fault_at(fault, "", 0, "a request of a kind this server does not know");
    }
}
