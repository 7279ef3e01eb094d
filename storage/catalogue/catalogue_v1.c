/* Reading what stores of version 1 have: table "series" of catalog.mdb, one pair a series.
 * docs/FORMAT.md, "Catalogue of version 1". */

#include "base/hash.h"
#include "storage/catalogue/catalogue_inside.h"
#include "storage/kv.h"

static enum err take_series(struct bytes key, struct bytes value, struct series_ref *ref,
                            struct bytes *topic, struct bytes *name)
{
    struct bytes in = value;
    uint16_t topic_bytes, name_bytes;
    uint64_t checksum;
    TRY(bytes_take_le16(&in, &topic_bytes));
    TRY(bytes_take_le16(&in, &name_bytes));
    TRY(bytes_take(&in, topic_bytes, topic));
    TRY(bytes_take(&in, name_bytes, name));
    TRY(bytes_take_le64(&in, &checksum));
    struct bytes covered = {value.at, value.size - 8};
    if (in.size != 0 || checksum != hash_seeded(hash_bytes(key), covered)) {
        return E_CORRUPT;
    }
    TRY(bytes_take_u32(&key, &ref->group));
    TRY(bytes_take_u8(&key, &ref->column));
    return key.size == 0 ? OK : E_CORRUPT;
}

/* One damaged pair costs one series its name, not the city its store. */
static enum err load_series(void *context, struct bytes key, struct bytes value)
{
    struct catalogue *c = context;
    struct series_ref ref;
    struct bytes topic, name;
    enum err e = take_series(key, value, &ref, &topic, &name);
    e = e == OK ? catalogue_define(c, ref, topic, name) : E_CORRUPT;
    if (e == E_CORRUPT) {
        catalogue_note_damage(c, "a series of the catalogue is damaged, left out");
        return OK;
    }
    return e;
}

enum err catalogue_load_v1(struct catalogue *c, struct kv *kv)
{
    TRY(kv_each(kv, "series", load_series, c));
    const uint32_t groups = catalogue_group_count(c) + c->damaged;
    catalogue_close_groups(c, groups, c->damaged > 0 ? groups : 0);
    return OK;
}
