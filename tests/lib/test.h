/* cmocka with the headers it wants before it. A test is a function whose name is a sentence. */

#ifndef TESTS_LIB_TEST_H
#define TESTS_LIB_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/err.h"

// NOLINTNEXTLINE(readability-identifier-naming): cmocka's own assertions are written so
#define assert_ok(expression) assert_int_equal((expression), OK)

#endif /* TESTS_LIB_TEST_H */
