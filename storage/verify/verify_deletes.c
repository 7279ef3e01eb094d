/* Table "deletes" of catalog.mdb. A store without deletes need not have it. */

#include "storage/erase/tombs_file.h"
#include "storage/verify/verify_inside.h"

static enum err on_delete(struct verify *v, struct bytes key, struct bytes value)
{
    struct tomb_order order;
    if (tombs_read_pair(key, value, &order) != OK) {
        verify_fault(v, "a delete fails its checksum or makes no sense", "table deletes");
    } else {
        v->totals->deletes++;
        v->last_delete = order.position > v->last_delete ? order.position : v->last_delete;
    }
    return OK;
}

enum err verify_deletes(struct verify *v, struct kv *kv)
{
    struct kv_table table;
    enum err e = kv_table_find(kv, "deletes", &table);
    if (e != OK) {
        return e == E_NOT_FOUND ? OK : e;
    }
    return verify_table(v, kv, "deletes", on_delete);
}

void verify_delete_positions(struct verify *v)
{
    if (v->last_position > 0 && v->last_delete > v->last_position) {
        verify_fault(v, "the catalogue has a delete that was never written", "position %llu",
                     (unsigned long long)v->last_delete);
    }
}
