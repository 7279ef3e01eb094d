/* Tags: what is known of series, asked for and changed. */

#include <stdlib.h>

#include "clients/hejnal_connection.h"

/* protobuf-c takes what it will only read as char *. */
static char *lend(const char *text)
{
    union {
        const char *read;
        char *lent;
    } at = {.read = text};
    return at.lent;
}

enum hejnal_result hejnal_series_tags(struct hejnal *h, const char *filter,
                                      struct hejnal_answer **out)
{
    Hejnal__V1__SeriesRequest series = HEJNAL__V1__SERIES_REQUEST__INIT;
    frame_request r = HEJNAL__V1__REQUEST__INIT;
    if (filter == NULL) {
        return hejnal_connection_fail(h, HEJNAL_MISUSE, "no filter given");
    }
    series.filter = lend(filter);
    series.tags = true;
    r.body_case = HEJNAL__V1__REQUEST__BODY_SERIES;
    r.series = &series;
    return hejnal_answer_open(h, HEJNAL_KIND_TAGGED, &r, out);
}

/* The next text of a run, each followed by a 0 byte; NULL: none, or it has no end. */
static const char *next_text(const ProtobufCBinaryData *run, size_t *at)
{
    const uint8_t *from = run->data + *at;
    const size_t left = run->len - *at;
    const uint8_t *end = left == 0 ? NULL : memchr(from, 0, left);
    if (end == NULL) {
        return NULL;
    }
    *at += (size_t)(end - from) + 1;
    return (const char *)from;
}

/* Keys and values up to an empty key. */
static enum hejnal_result take_tags(struct hejnal_answer *a, const ProtobufCBinaryData *run)
{
    const char *key;
    a->tags.size = 0;
    while ((key = next_text(run, &a->tag_at)) != NULL && key[0] != 0) {
        const struct hejnal_tag tag = {key, next_text(run, &a->tag_at)};
        if (tag.value == NULL) {
            break;
        }
        if (!hejnal_connection_reserve(&a->tags, sizeof tag)) {
            return hejnal_connection_fail(a->h, HEJNAL_NO_MEMORY, "out of memory");
        }
        memcpy(a->tags.at + a->tags.size, &tag, sizeof tag);
        a->tags.size += sizeof tag;
    }
    if (key == NULL || key[0] != 0) {
        return hejnal_connection_fail(a->h, HEJNAL_BROKEN, "the server's answer does not add up");
    }
    return HEJNAL_OK;
}

enum hejnal_result hejnal_next_tagged(struct hejnal_answer *a, struct hejnal_tagged *out)
{
    if (a->kind != HEJNAL_KIND_TAGGED) {
        return hejnal_connection_fail(a->h, HEJNAL_MISUSE, "the answer is of another kind");
    }
    for (;;) {
        if (a->current != NULL &&
            a->current->response->body_case == HEJNAL__V1__RESPONSE__BODY_SERIES) {
            const Hejnal__V1__SeriesList *list = a->current->response->series;
            const char *path = next_text(&list->paths, &a->path_at);
            if (path != NULL) {
                const enum hejnal_result result = take_tags(a, &list->tags);
                *out = (struct hejnal_tagged){path, a->tags.size / sizeof(struct hejnal_tag),
                                              (const struct hejnal_tag *)(void *)a->tags.at};
                return result;
            }
        }
        enum hejnal_result result = hejnal_answer_advance(a);
        if (result != HEJNAL_OK) {
            return result;
        }
    }
}

enum hejnal_result hejnal_tag(struct hejnal *h, const char *filter, const struct hejnal_tag *tags,
                              size_t count, uint64_t *changed)
{
    Hejnal__V1__TagRequest request = HEJNAL__V1__TAG_REQUEST__INIT;
    frame_request r = HEJNAL__V1__REQUEST__INIT;
    if (filter == NULL || count == 0) {
        return hejnal_connection_fail(h, HEJNAL_MISUSE, "no filter or no tag given");
    }
    Hejnal__V1__Tag *list = calloc(count, sizeof *list);
    Hejnal__V1__Tag **each = calloc(count, sizeof(Hejnal__V1__Tag *));
    enum hejnal_result result = HEJNAL_NO_MEMORY;
    if (list != NULL && each != NULL) {
        for (size_t i = 0; i < count; i++) {
            hejnal__v1__tag__init(&list[i]);
            list[i].key = lend(tags[i].key);
            list[i].value = lend(tags[i].value);
            each[i] = &list[i];
        }
        request.filter = lend(filter);
        request.n_tags = count;
        request.tags = each;
        r.body_case = HEJNAL__V1__REQUEST__BODY_TAG;
        r.tag = &request;
        result = hejnal_answer_call(h, &r, changed);
    } else {
        (void)hejnal_connection_fail(h, result, "out of memory");
    }
    free(list);
    free((void *)each);
    return result;
}
