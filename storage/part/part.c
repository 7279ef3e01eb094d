#include "storage/part/part.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/timestamp.h"
#include "storage/part/part_env.h"

enum {
    DAY_S = 86400,
    WEEK_S = 7 * DAY_S,
    MONDAY_S = -3 * DAY_S, /* 1969-12-29. */
    FILE_BYTES_MIN = 8192  /* A file that holds nothing yet has two pages. */
};

static int64_t floor_to(int64_t value, int64_t step)
{
    int64_t rest = value % step;
    return rest < 0 ? value - rest - step : value - rest;
}

/* At the ends of what 64 bits can say, two centuries behind what the store accepts, it stays there.
 */
static int64_t to_ns(int64_t time_s)
{
    int64_t time_ns;
    if (__builtin_mul_overflow(time_s, NS_PER_S, &time_ns)) {
        return time_s < 0 ? INT64_MIN : INT64_MAX;
    }
    return time_ns;
}

struct part_period part_period_of(int64_t time_ns, int64_t length_s)
{
    CHECK(length_s > 0);
    int64_t origin_s = length_s % WEEK_S == 0 ? MONDAY_S : 0;
    int64_t time_s = time_ns / NS_PER_S - (time_ns % NS_PER_S < 0);
    int64_t start_s = floor_to(time_s - origin_s, length_s) + origin_s;
    return (struct part_period){to_ns(start_s), to_ns(start_s + length_s)};
}

void part_name_write(struct part_period period, char to[PART_NAME_BYTES_MAX])
{
    const int64_t start_s = period.start_ns / NS_PER_S;
    const long long length_s = (period.end_ns - period.start_ns) / NS_PER_S;
    const time_t start = (time_t)start_s;
    char clock[16] = "";
    struct tm utc;
    CHECK(gmtime_r(&start, &utc) != NULL);
    if (start_s % DAY_S != 0) {
        snprintf(clock, sizeof clock, "T%02d%02d%02d", utc.tm_hour, utc.tm_min, utc.tm_sec);
    }
    int size = snprintf(to, PART_NAME_BYTES_MAX, "%04d%02d%02d%s-%lld.act.mdb", utc.tm_year + 1900,
                        utc.tm_mon + 1, utc.tm_mday, clock, length_s);
    CHECK(size > 0 && size < PART_NAME_BYTES_MAX);
}

/* `digits_min` to `digits_max` decimal digits. */
static enum err take_number(const char **at, int digits_min, int digits_max, int64_t *out)
{
    int64_t sum = 0;
    int digits = 0;
    for (; digits < digits_max && **at >= '0' && **at <= '9'; digits++, (*at)++) {
        sum = sum * 10 + (**at - '0');
    }
    *out = sum;
    return digits >= digits_min ? OK : E_MALFORMED;
}

static enum err take_date(const char **at, int64_t *start_s)
{
    int64_t year, month, day, hour = 0, minute = 0, second = 0;
    TRY(take_number(at, 4, 4, &year));
    TRY(take_number(at, 2, 2, &month));
    TRY(take_number(at, 2, 2, &day));
    if (**at == 'T') {
        (*at)++;
        TRY(take_number(at, 2, 2, &hour));
        TRY(take_number(at, 2, 2, &minute));
        TRY(take_number(at, 2, 2, &second));
    }
    struct tm utc = {.tm_year = (int)year - 1900,
                     .tm_mon = (int)month - 1,
                     .tm_mday = (int)day,
                     .tm_hour = (int)hour,
                     .tm_min = (int)minute,
                     .tm_sec = (int)second};
    *start_s = (int64_t)timegm(&utc);
    return OK;
}

enum err part_name_read(const char *name, struct part_period *out)
{
    const char *at = name;
    char again[PART_NAME_BYTES_MAX];
    int64_t start_s, length_s;
    TRY(take_date(&at, &start_s));
    if (*at++ != '-') {
        return E_MALFORMED;
    }
    TRY(take_number(&at, 1, 9, &length_s));
    if (length_s == 0 || start_s < MONDAY_S || start_s > TIMESTAMP_MAX_NS / NS_PER_S) {
        return E_MALFORMED;
    }
    struct part_period period = {start_s * NS_PER_S, (start_s + length_s) * NS_PER_S};
    part_name_write(period, again); /* One name for each period, so no February 30. */
    if (strcmp(again, name) != 0) {
        return E_MALFORMED;
    }
    *out = period;
    return OK;
}

static struct part *make_part(const char *directory, struct part_period period)
{
    static atomic_ullong next_id = 1;
    char name[PART_NAME_BYTES_MAX];
    struct part *p = calloc(1, sizeof *p);
    if (p == NULL) {
        return NULL;
    }
    part_name_write(period, name);
    if (asprintf(&p->path, "%s/%s", directory, name) < 0) {
        free(p);
        return NULL;
    }
    p->period = period;
    p->id = atomic_fetch_add(&next_id, 1);
    atomic_store(&p->references, 1);
    lock_init(&p->lock);
    signal_init(&p->left);
    return p;
}

/* Whether there is a file with something in it. One that a crash left without even its first two
 * pages goes away. */
static enum err find_file(const struct part *p, bool *found)
{
    struct stat file;
    if (stat(p->path, &file) != 0) {
        *found = false;
        return errno == ENOENT ? OK : E_IO;
    }
    *found = file.st_size >= FILE_BYTES_MIN;
    if (!*found && !p->read_only && unlink(p->path) != 0) {
        return E_IO;
    }
    return OK;
}

/* Look into the file without changing it if that will do. */
static enum err look_inside(struct part *p, bool *clean)
{
    enum err e = part_env_enter(p, PART_READ);
    *clean = false;
    if (e != OK) {
        return e == E_NOT_FOUND && !p->read_only ? OK : e;
    }
    e = part_env_is_clean(p, clean);
    part_env_leave(p);
    return e;
}

static enum err open_file(struct part *p)
{
    bool found, clean = false;
    TRY(find_file(p, &found));
    if (!found && p->read_only) {
        return E_NOT_FOUND;
    }
    if (found) {
        TRY(look_inside(p, &clean));
    }
    if (clean || p->read_only) {
        return OK;
    }
    enum err e = part_env_enter(p, PART_WRITE);
    if (e == OK) {
        e = part_env_clean(p);
        part_env_leave(p);
    }
    return e == E_NO_SPACE && found ? OK : e; /* The next flush cleans, too; reading goes on. */
}

static enum err open_part(const char *directory, struct part_period period, bool read_only,
                          struct part **out)
{
    struct part *p = make_part(directory, period);
    if (p == NULL) {
        return E_NO_MEMORY;
    }
    p->read_only = read_only;
    enum err e = open_file(p);
    if (e != OK) {
        part_drop(p);
        return e;
    }
    *out = p;
    return OK;
}

enum err part_open(const char *directory, struct part_period period, struct part **out)
{
    return open_part(directory, period, false, out);
}

enum err part_open_read_only(const char *directory, struct part_period period, struct part **out)
{
    return open_part(directory, period, true, out);
}

void part_hold(struct part *p)
{
    atomic_fetch_add(&p->references, 1);
}

static void remove_files(const struct part *p)
{
    (void)unlink(p->path); /* A file that stays is found and dropped again after the next start. */
    part_env_remove_lock(p);
}

void part_drop(struct part *p)
{
    if (atomic_fetch_sub(&p->references, 1) != 1) {
        return;
    }
    part_env_close(p);
    if (atomic_load(&p->doomed)) {
        remove_files(p);
    }
    signal_fini(&p->left);
    lock_fini(&p->lock);
    free(p->path);
    free(p);
}

void part_doom(struct part *p)
{
    atomic_store(&p->doomed, true);
}

struct part_period part_period(const struct part *p)
{
    return p->period;
}

uint64_t part_id(const struct part *p)
{
    return p->id;
}

uint64_t part_applied(const struct part *p)
{
    return atomic_load(&p->applied);
}

uint32_t part_flush_count(const struct part *p)
{
    return atomic_load(&p->flushes);
}

uint64_t part_file_bytes(const struct part *p)
{
    struct stat file;
    return stat(p->path, &file) == 0 ? (uint64_t)file.st_blocks * 512 : 0;
}

bool part_mark_damaged(struct part *p)
{
    return !atomic_exchange(&p->damaged, true);
}
