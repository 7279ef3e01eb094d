#include "cli/replay_plan.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/number.h"
#include "base/timestamp.h"
#include "base/topic.h"

struct column {
    unsigned device;
    char *member;
    const char *cell; /* Of the row taken last. */
};

struct device_plan {
    char *name, *topic;
};

struct replay_plan {
    unsigned columns;   /* Without the time. */
    size_t title_bytes; /* Of all members, with what stands around them in a message. */
    unsigned devices;
    int64_t time_ns;
    char message[REPLAY_MESSAGE_BYTES_MAX];
    struct column column[REPLAY_COLUMNS_MAX];
    struct device_plan device[REPLAY_COLUMNS_MAX];
};

/* `pattern` with each %1 replaced. NULL: no memory. */
static char *topic_of(const char *pattern, const char *name)
{
    size_t room = (strlen(pattern) + 1) * (strlen(name) + 1), at = 0;
    char *topic = malloc(room);
    for (const char *p = pattern; topic != NULL && *p != 0; p++) {
        if (p[0] == '%' && p[1] == '1') {
            memcpy(topic + at, name, strlen(name));
            at += strlen(name);
            p++;
        } else {
            topic[at++] = *p;
        }
    }
    if (topic != NULL) {
        topic[at] = 0;
    }
    return topic;
}

static enum err device_find(struct replay_plan *p, const char *name, const char *pattern,
                            unsigned *device, const char **why)
{
    for (unsigned i = 0; i < p->devices; i++) {
        if (strcmp(p->device[i].name, name) == 0) {
            *device = i;
            return OK;
        }
    }
    struct device_plan *d = &p->device[p->devices];
    d->name = strdup(name);
    d->topic = topic_of(pattern, name);
    *device = p->devices++;
    *why = "out of memory";
    if (d->name == NULL || d->topic == NULL) {
        return E_NO_MEMORY;
    }
    *why = "--topic and a column title make no topic to publish on (a + or #, or empty)";
    return topic_is_name(bytes_of(d->topic)) ? OK : E_MALFORMED;
}

static enum err column_add(struct replay_plan *p, char *title, const char *pattern, char split,
                           const char **why)
{
    struct column *c = &p->column[p->columns];
    char *at = split != 0 ? strchr(title, split) : NULL;
    *why = "a column title is empty, has no split character, or a quote or backslash";
    if (*title == 0 || (split != 0 && at == NULL) || strpbrk(title, "\"\\") != NULL) {
        return E_MALFORMED;
    }
    const char *name = "", *member = title;
    if (at != NULL) {
        *at = 0;
        name = title;
        member = at + 1;
    }
    p->columns++;
    p->title_bytes += strlen(member) + 8;
    c->member = strdup(member);
    *why = "out of memory";
    return c->member != NULL ? device_find(p, name, pattern, &c->device, why) : E_NO_MEMORY;
}

static enum err read_header(struct replay_plan *p, char *titles, const char *pattern, char split,
                            const char **why)
{
    char *rest = titles;
    (void)strsep(&rest, ",");
    *why = "no column behind the time";
    if (rest == NULL) {
        return E_MALFORMED;
    }
    for (char *title; (title = strsep(&rest, ",")) != NULL;) {
        *why = "more than 4096 columns";
        if (p->columns == REPLAY_COLUMNS_MAX) {
            return E_MALFORMED;
        }
        TRY(column_add(p, title, pattern, split, why));
    }
    return OK;
}

enum err replay_plan_create(const char *header, const char *topic_pattern, char split,
                            struct replay_plan **out, const char **why)
{
    struct replay_plan *p = calloc(1, sizeof *p);
    char *titles = strdup(header);
    enum err e = p != NULL && titles != NULL ? OK : E_NO_MEMORY;
    *why = "out of memory";
    e = e == OK ? read_header(p, titles, topic_pattern, split, why) : e;
    free(titles);
    if (e != OK) {
        replay_plan_destroy(p);
        return e;
    }
    *out = p;
    return OK;
}

void replay_plan_destroy(struct replay_plan *p)
{
    if (p == NULL) {
        return;
    }
    for (unsigned i = 0; i < p->columns; i++) {
        free(p->column[i].member);
    }
    for (unsigned i = 0; i < p->devices; i++) {
        free(p->device[i].name);
        free(p->device[i].topic);
    }
    free(p);
}

unsigned replay_plan_devices(const struct replay_plan *p)
{
    return p->devices;
}

const char *replay_plan_topic(const struct replay_plan *p, unsigned device)
{
    return p->device[device].topic;
}

static enum err read_time(const char *cell, int64_t *time_ns)
{
    struct number number;
    if (number_read(bytes_of(cell), &number) == OK) {
        return timestamp_read_number(&number, time_ns);
    }
    return timestamp_read_rfc3339(bytes_of(cell), time_ns);
}

enum err replay_plan_row(struct replay_plan *p, char *line, int64_t *time_ns, unsigned *column,
                         const char **why)
{
    struct number number;
    char *rest = line;
    *column = 0;
    *why = "a row of more than 1 MiB";
    if (p->title_bytes + strlen(line) + 64 > sizeof p->message) {
        return E_LIMIT;
    }
    *column = 1;
    *why = "not a time: unix seconds, ms, us, ns, or RFC 3339";
    if (read_time(strsep(&rest, ","), &p->time_ns) != OK) {
        return E_MALFORMED;
    }
    for (unsigned i = 0; i < p->columns; i++) {
        char *cell = strsep(&rest, ",");
        *column = i + 2;
        *why = "fewer cells than the header has";
        if (cell == NULL) {
            return E_MALFORMED;
        }
        *why = "not a number as JSON writes it";
        if (*cell != 0 && number_read(bytes_of(cell), &number) != OK) {
            return E_MALFORMED;
        }
        p->column[i].cell = cell;
    }
    *why = "more cells than the header has";
    *time_ns = p->time_ns;
    return rest == NULL ? OK : E_MALFORMED;
}

struct bytes replay_plan_message(struct replay_plan *p, unsigned device, unsigned *points)
{
    int64_t ms = p->time_ns / 1000000;
    bool is_ms = ms * 1000000 == p->time_ns && ms >= INT64_C(100000000000);
    size_t room = sizeof p->message;
    size_t at = (size_t)snprintf(p->message, room, "{\"time\":%" PRId64, is_ms ? ms : p->time_ns);
    *points = 0;
    for (unsigned i = 0; i < p->columns; i++) {
        const struct column *c = &p->column[i];
        if (c->device != device || *c->cell == 0) {
            continue;
        }
        at += (size_t)snprintf(p->message + at, room - at, ",\"%s\":%s", c->member, c->cell);
        *points += 1;
    }
    if (*points == 0) {
        return (struct bytes){NULL, 0};
    }
    p->message[at++] = '}';
    return (struct bytes){(const uint8_t *)p->message, at};
}
