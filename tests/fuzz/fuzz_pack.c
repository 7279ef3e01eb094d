/* Any bytes read as the packs of the catalogue. What decodes is written again and must read the
 * same: no name, value or place may change on its way. */

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "storage/catalogue/name_pack.h"
#include "storage/catalogue/tag_pack.h"
#include "storage/catalogue/texts_inside.h"
#include "storage/memory/last_pack.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is_same_place(struct series_ref a, struct series_ref b)
{
    return a.group == b.group && a.column == b.column;
}

/* One by one: a pack of the writer's own need not hold as many. */
static void check_name(const struct name_entry *entry)
{
    static struct name_pack_reader again;
    struct name_pack_writer w = {.count = 0};
    struct name_entry back;
    CHECK(name_pack_add(&w, entry) == OK);
    name_pack_open(&again, (struct bytes){w.out.at, w.out.size});
    CHECK(name_pack_next(&again, &back) == OK);
    CHECK(is_same_place(entry->ref, back.ref));
    CHECK(bytes_equal(entry->topic, back.topic) && bytes_equal(entry->name, back.name));
    CHECK(name_pack_next(&again, &back) == E_END);
    name_pack_close(&again);
    name_pack_fini(&w);
}

static void read_names(struct bytes in)
{
    static struct name_pack_reader reader;
    struct name_entry entry;
    name_pack_open(&reader, in);
    while (name_pack_next(&reader, &entry) == OK) {
        if (entry.topic.size > 0 && entry.name.size <= SERIES_PATH_BYTES_MAX) {
            check_name(&entry);
        }
    }
    name_pack_close(&reader);
}

static void read_values(struct bytes in)
{
    struct last_pack_state reading = {.has_entries = false}, writing = reading, again = reading;
    struct last_entry entry, back;
    uint8_t room[LAST_ENTRY_BYTES_MAX];
    while (last_pack_take(&reading, &in, &entry) == OK) {
        struct writer w = {room, 0, sizeof room};
        if (entry.time_ns < 0) {
            break; /* None that is loaded. */
        }
        last_pack_put(&writing, &w, &entry);
        struct bytes one = {room, w.size};
        CHECK(last_pack_take(&again, &one, &back) == OK && one.size == 0);
        CHECK(is_same_place(entry.ref, back.ref));
        CHECK(entry.time_ns == back.time_ns && entry.bits == back.bits);
    }
}

static void read_tags(struct bytes in)
{
    static struct tag_pack_reader reader;
    struct tag_pack_entry entry;
    struct series_ref before = {0, 0};
    bool has_before = false;
    tag_pack_open(&reader, in);
    while (tag_pack_next(&reader, &entry) == OK) {
        CHECK(!has_before || entry.ref.group > before.group ||
              (entry.ref.group == before.group && entry.ref.column > before.column));
        for (unsigned i = 0; i < entry.count; i++) {
            CHECK(catalogue_tag_fault(entry.tags[i].key, entry.tags[i].value) == NULL);
        }
        before = entry.ref;
        has_before = true;
    }
    tag_pack_close(&reader);
}

static void read_texts(struct bytes in)
{
    static uint8_t room[TEXTS_PACK * (TEXT_BYTES_MAX + 2)];
    struct texts *texts = NULL, *again = NULL;
    struct writer w = {room, 0, sizeof room};
    CHECK(texts_create(UINT32_MAX, &texts) == OK && texts_create(UINT32_MAX, &again) == OK);
    (void)!texts_read_pack(texts, 0, in);
    const uint32_t end = texts_end(texts);
    CHECK(end <= TEXTS_PACK && texts_write_pack(texts, 0, end, &w) == OK);
    CHECK(texts_read_pack(again, 0, (struct bytes){room, w.size}) == OK);
    CHECK(texts_end(again) == end);
    for (uint32_t id = 0; id < end; id++) {
        struct bytes a = {NULL, 0}, b = {NULL, 0};
        CHECK(texts_get(texts, id, &a) == texts_get(again, id, &b) && bytes_equal(a, b));
        CHECK(texts_is_text(a));
    }
    texts_destroy(texts);
    texts_destroy(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    read_texts((struct bytes){data, size});
    read_tags((struct bytes){data, size});
    read_names((struct bytes){data, size});
    read_values((struct bytes){data, size});
    return 0;
}
