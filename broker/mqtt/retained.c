#include "broker/mqtt/retained.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/topic.h"
#include "broker/mqtt/topic_tree.h"

/* One topic. */
struct kept {
    struct topic_node *node;
    struct message *message;      /* Held. */
    struct kept *next, *previous; /* Of those that go away by themselves. */
    int64_t until_ns;             /* MESSAGE_NEVER_NS: stays, and is on no list. */
};

struct retained {
    struct topic_tree tree;
    struct retained_limits limits;
    uint64_t count, bytes; /* Without gravestones. */
    struct kept *passing;
};

enum err retained_create(const struct retained_limits *limits, struct retained **out)
{
    struct retained *r = calloc(1, sizeof *r);
    if (r == NULL || topic_tree_init(&r->tree) != OK) {
        free(r);
        return E_NO_MEMORY;
    }
    r->limits = *limits;
    *out = r;
    return OK;
}

static void free_kept(void *context, void *value)
{
    struct kept *k = value;
    (void)context;
    message_drop(k->message);
    free(k);
}

void retained_destroy(struct retained *r)
{
    if (r != NULL) {
        topic_tree_each(&r->tree, free_kept, NULL);
        topic_tree_fini(&r->tree);
        free(r);
    }
}

static bool is_gravestone(const struct message *m)
{
    return m->view.payload.size == 0;
}

bool retained_is_over(const struct retained *r, const struct publication *p)
{
    const struct topic_node *node = topic_tree_find(&r->tree, p->topic);
    const struct kept *old = node == NULL ? NULL : node->value;
    uint64_t new_bytes =
        sizeof(struct message) + p->topic.size + p->payload.size + p->properties.size;
    bool replaces = old != NULL && !is_gravestone(old->message);
    uint64_t old_bytes = replaces ? message_bytes(old->message) : 0;

    if (p->payload.size == 0) {
        return false;
    }
    return r->count + 1 - replaces > r->limits.messages ||
           r->bytes - old_bytes + new_bytes > r->limits.bytes;
}

static void passing_remove(struct retained *r, struct kept *k)
{
    if (k->until_ns == MESSAGE_NEVER_NS) {
        return;
    }
    if (k->previous != NULL) {
        k->previous->next = k->next;
    } else {
        r->passing = k->next;
    }
    if (k->next != NULL) {
        k->next->previous = k->previous;
    }
    k->until_ns = MESSAGE_NEVER_NS;
}

static void passing_add(struct retained *r, struct kept *k, int64_t until_ns)
{
    k->until_ns = until_ns;
    if (until_ns == MESSAGE_NEVER_NS) {
        return;
    }
    k->previous = NULL;
    k->next = r->passing;
    if (k->next != NULL) {
        k->next->previous = k;
    }
    r->passing = k;
}

static void message_forget(struct retained *r, struct kept *k)
{
    passing_remove(r, k);
    if (k->message != NULL && !is_gravestone(k->message)) {
        r->count--;
        r->bytes -= message_bytes(k->message);
    }
    message_drop(k->message);
    k->message = NULL;
}

static enum err kept_take(struct retained *r, struct bytes topic, struct kept **out)
{
    struct topic_node *node;
    TRY(topic_tree_add(&r->tree, topic, &node));
    if (node->value == NULL) {
        struct kept *k = calloc(1, sizeof *k);
        if (k == NULL) {
            topic_tree_prune(&r->tree, node);
            return E_NO_MEMORY;
        }
        k->node = node;
        k->until_ns = MESSAGE_NEVER_NS;
        node->value = k;
    }
    *out = node->value;
    return OK;
}

enum err retained_apply(struct retained *r, struct message *m, int64_t now_ns)
{
    struct kept *k;
    TRY(kept_take(r, m->view.topic, &k));
    if (k->message != NULL && k->message->view.stamp >= m->view.stamp) {
        return OK;
    }
    message_forget(r, k);
    k->message = message_hold(m);
    if (is_gravestone(m)) {
        passing_add(r, k, now_ns + (int64_t)RETAINED_GRAVESTONE_S * NS_PER_S);
    } else {
        r->count++;
        r->bytes += message_bytes(m);
        passing_add(r, k, m->view.expires_ns);
    }
    return OK;
}

struct selection {
    int64_t now_ns;
    void (*visit)(void *context, struct message *m);
    void *context;
};

static void select_live(void *context, void *value)
{
    const struct selection *s = context;
    const struct kept *k = value;
    if (!is_gravestone(k->message) && k->message->view.expires_ns > s->now_ns) {
        s->visit(s->context, k->message);
    }
}

void retained_select(const struct retained *r, struct bytes filter, int64_t now_ns,
                     void (*visit)(void *context, struct message *m), void *context)
{
    struct selection s = {now_ns, visit, context};
    topic_tree_select(&r->tree, filter, select_live, &s);
}

void retained_sweep(struct retained *r, int64_t now_ns)
{
    for (struct kept *k = r->passing, *after; k != NULL; k = after) {
        after = k->next;
        if (k->until_ns <= now_ns) {
            struct topic_node *node = k->node;
            message_forget(r, k);
            free(k);
            node->value = NULL;
            topic_tree_prune(&r->tree, node);
        }
    }
}

uint64_t retained_count(const struct retained *r)
{
    return r->count;
}

uint64_t retained_bytes(const struct retained *r)
{
    return r->bytes;
}

/* Version 1 does not say who published it. */
enum { STATE_VERSION = 2, STATE_VERSION_OLD = 1 };

enum err retained_write(const struct publication *p, struct writer *w)
{
    struct writer at = *w;
    TRY(writer_put_u8(&at, STATE_VERSION));
    TRY(writer_put_u8(&at, p->qos));
    TRY(writer_put_le16(&at, 0));
    TRY(writer_put_le64(&at, (uint64_t)p->expires_ns));
    TRY(writer_put_le32(&at, (uint32_t)p->properties.size));
    TRY(writer_put_le64(&at, p->origin));
    TRY(writer_put(&at, p->properties.at, p->properties.size));
    TRY(writer_put(&at, p->payload.at, p->payload.size));
    *w = at;
    return OK;
}

static enum err take_value(struct bytes value, struct publication *p)
{
    uint8_t version;
    uint16_t reserved;
    uint32_t properties;
    uint64_t expires;

    TRY(bytes_take_u8(&value, &version));
    if (version != STATE_VERSION && version != STATE_VERSION_OLD) {
        return E_VERSION;
    }
    TRY(bytes_take_u8(&value, &p->qos));
    TRY(bytes_take_le16(&value, &reserved));
    TRY(bytes_take_le64(&value, &expires));
    TRY(bytes_take_le32(&value, &properties));
    if (version != STATE_VERSION_OLD) {
        TRY(bytes_take_le64(&value, &p->origin));
    }
    TRY(bytes_take(&value, properties, &p->properties));
    p->expires_ns = (int64_t)expires;
    p->payload = value;
    return OK;
}

enum err retained_read(struct bytes topic, struct bytes value, uint64_t stamp,
                       struct publication *out)
{
    struct publication p = {
        .topic = topic, .topic_hash = hash_bytes(topic), .stamp = stamp, .retain = true};
    enum err e = take_value(value, &p);
    if (e == E_VERSION) {
        return e;
    }
    if (e != OK || p.qos > 2 || p.payload.size == 0 || !topic_is_name(topic)) {
        return E_CORRUPT;
    }
    *out = p;
    return OK;
}
