#include "storage/read/newest.h"

#include "base/clock.h"
#include "storage/memory/found.h"
#include "storage/read/scan.h"

/* Windows before the bound, each so many times as long as the last: what is read is at most about
 * that much more than what is left out of the end. */
enum { FIRST_WINDOW_S = 3600, WINDOW_GROWTH = 4 };

void newest_fini(struct newest *n)
{
    scan_destroy(n->scan);
    n->scan = NULL;
}

/* The last point of a window. E_END: it has none. */
static enum err read_window(struct newest *n, struct series_ref ref, const int64_t window[2],
                            struct found_value *out)
{
    struct span span;
    enum err e;
    out->is_none = true;
    scan_start(n->scan, ref, window[0], window[1]);
    while ((e = scan_next(n->scan, &span)) == OK) {
        *out = (struct found_value){false, span.times[span.count - 1], span.values[span.count - 1]};
    }
    return e == E_END && !out->is_none ? OK : e;
}

static enum err read_back(struct newest *n, struct series_ref ref, int64_t bound_ns,
                          struct found_value *out)
{
    int64_t length_ns = (int64_t)FIRST_WINDOW_S * NS_PER_S;
    enum err e = E_END;
    for (int64_t end_ns = bound_ns; e == E_END && end_ns > 0;) {
        const int64_t from_ns = end_ns > length_ns ? end_ns - length_ns : 0;
        e = read_window(n, ref, (int64_t[]){from_ns, end_ns}, out);
        end_ns = from_ns;
        length_ns = length_ns > INT64_MAX / WINDOW_GROWTH ? INT64_MAX : length_ns * WINDOW_GROWTH;
    }
    out->is_none = e == E_END;
    return e == E_END ? OK : e;
}

static enum err find_left(struct newest *n, struct engine *e, struct series_ref ref,
                          struct found_value *out)
{
    struct engine_bound bound;
    TRY(engine_last_bound(e, ref, &bound));
    if (found_get(engine_found(e), ref, bound.token, out)) {
        return OK;
    }
    if (n->scan == NULL) {
        TRY(scan_create(e, &n->scan));
    }
    TRY(read_back(n, ref, bound.bound_ns, out));
    found_put(engine_found(e), ref, bound.token, *out);
    return OK;
}

enum err newest_find(struct newest *n, struct engine *e, struct series_ref ref, int64_t *time_ns,
                     double *value)
{
    struct found_value left;
    enum err error;
    do { /* A newer value may come between the two looks. */
        error = engine_last(e, ref, time_ns, value);
        if (error != E_MORE) {
            return error;
        }
        error = find_left(n, e, ref, &left);
    } while (error == E_NOT_FOUND);
    TRY(error);
    if (left.is_none || left.time_ns < engine_horizon(e, ref)) {
        return E_NOT_FOUND;
    }
    *time_ns = left.time_ns;
    *value = left.value;
    return OK;
}
