/* Memory that runs out: malloc() and its kin, taken before libc gets them, in the program this is
 * linked to. Not with sanitizers, which want to come first themselves. */

#ifndef TESTS_LIB_FAIL_ALLOC_H
#define TESTS_LIB_FAIL_ALLOC_H

#include <stdint.h>

/* After `skip` more allocations, of any thread, `left` fail; 0: none does. */
void fail_alloc_arm(uint64_t skip, uint64_t left);
/* No more; returns how many failed since armed. */
uint64_t fail_alloc_disarm(void);

#endif /* TESTS_LIB_FAIL_ALLOC_H */
