/* Any bytes as a condition on tags. What is read can be asked; what is refused is told where. */

#include "storage/read/predicate.h"

#include "base/check.h"
#include "storage/catalogue/catalogue_tag.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct catalogue *catalogue;
static struct series_ref ref;

static void set_up(void)
{
    static const struct catalogue_limits limits = {.series_max = 2};
    const struct tag tags[] = {{bytes_of("unit"), bytes_of("m")}, {bytes_of("a"), bytes_of("5")}};
    CHECK(catalogue_create(&limits, &catalogue) == OK);
    CHECK(catalogue_intern(catalogue, bytes_of("a/b"), bytes_of("c"), &ref) == OK);
    CHECK(catalogue_tag_put(catalogue, ref, &tags[0]) == OK);
    CHECK(catalogue_tag_put(catalogue, ref, &tags[1]) == OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct predicate *p = NULL;
    struct predicate_fault fault = {0, NULL};
    if (catalogue == NULL) {
        set_up();
    }
    if (predicate_read((struct bytes){data, size}, &p, &fault) == OK) {
        CHECK(size <= PREDICATE_BYTES_MAX);
        (void)predicate_holds(p, catalogue, ref);
        predicate_destroy(p);
    } else {
        CHECK(fault.text != NULL && fault.position >= 1 && fault.position <= size + 1);
    }
    return 0;
}
