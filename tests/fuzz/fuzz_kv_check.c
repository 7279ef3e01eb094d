/* Any bytes as a kv file: the check looks at nothing outside of them, and ends. */

#include "storage/verify/kv_check.h"

#include <stdlib.h>

#include "base/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void on_fault(void *context, uint64_t page, const char *what)
{
    (void)page;
    CHECK(what != NULL);
    ++*(unsigned *)context;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    unsigned faults = 0;
    uint8_t *exact = malloc(size + 1); /* Of its own, so that a read behind it is seen. */
    CHECK(exact != NULL);
    memcpy(exact, data, size);
    enum err e = kv_check_bytes((struct bytes){exact, size}, on_fault, &faults);
    CHECK(e == (faults > 0 ? E_CORRUPT : OK));
    free(exact);
    return 0;
}
