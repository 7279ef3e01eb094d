/* One store for each test of a program: `s`, made and removed around it. */

#ifndef TESTS_LIB_STORE_FIXTURE_H
#define TESTS_LIB_STORE_FIXTURE_H

#include "tests/lib/store.h"

static struct store s;

static int setup(void **state)
{
    (void)state;
    store_make(&s);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    store_remove(&s);
    return 0;
}

#endif /* TESTS_LIB_STORE_FIXTURE_H */
