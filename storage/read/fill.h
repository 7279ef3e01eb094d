/* Rows of buckets on their way out, and those put between them where buckets are empty
 * (enum query_fill). Rows are offered one at a time and taken until it wants the next. */

#ifndef STORAGE_READ_FILL_H
#define STORAGE_READ_FILL_H

#include "storage/read/query.h"

struct fill {
    const struct query_request *request;
    unsigned columns;
    bool is_count[QUERY_COLUMNS_MAX]; /* 0 in filled rows: count and coverage. */
    int64_t at_ns;                    /* Start of the next bucket to be given. */
    bool has_any;                     /* A row or seed was offered. */
    bool has_row, is_hollow, is_finished;
    int64_t row_ns;
    double row[QUERY_COLUMNS_MAX]; /* To be given when it is its turn. */
    /* Of each column the last value, and when; -1: none yet. */
    int64_t last_ns[QUERY_COLUMNS_MAX];
    double last[QUERY_COLUMNS_MAX];
};

/* The request is the caller's. */
void fill_init(struct fill *f, const struct query_request *request);

/* Begin with a unit. */
void fill_start(struct fill *f);

/* A row from before the window, to fill from. */
void fill_seed(struct fill *f, int64_t time_ns, const double *row);

/* The next row, when fill_take() has no more to give. `is_hollow`: its bucket has no points. */
void fill_offer(struct fill *f, int64_t time_ns, const double *row, bool is_hollow);
void fill_finish(struct fill *f); /* There is none. */

/* The next row of the answer. False: it wants the next offer; after fill_finish(): that was all. */
bool fill_take(struct fill *f, int64_t *time_ns, double *row);

#endif /* STORAGE_READ_FILL_H */
