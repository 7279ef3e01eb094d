#include "storage/verify/kv_check.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"

enum {
    PAGE_HEADER_BYTES = 16,
    NODE_HEADER_BYTES = 8,
    KEY_BYTES_MAX = 511,
    DEPTH_MAX = 32,
    META_VERSION = 1
};
enum { PAGE_BRANCH = 1, PAGE_LEAF = 2, PAGE_OVERFLOW = 4, PAGE_META = 8 };
enum { NODE_BIG = 1, NODE_TABLE = 2 };
enum { TABLE_INTEGER_KEY = 0x08, TABLE_STRANGE = 0x76 /* Reversed keys, duplicates. */ };
#define META_MAGIC UINT32_C(0xbeefc0de)
#define NO_PAGE    UINT64_MAX

/* As they lie in the file. */
struct page_header {
    uint64_t number;
    uint16_t pad, flags;
    uint16_t lower, upper; /* Of overflow pages, together: how many. */
};

struct table {
    uint32_t pad; /* Of the first table of a meta page: the page size. */
    uint16_t flags, depth;
    uint64_t branch_pages, leaf_pages, overflow_pages, entries, root;
};

struct meta {
    uint32_t magic, version;
    uint64_t address, map_bytes;
    struct table free, main;
    uint64_t last_page, txn;
};

struct node_header {
    uint16_t low, high; /* Size of the data; of branches, low bits of the page. */
    uint16_t flags;     /* Of branches, high bits of the page. */
    uint16_t key_bytes;
};

_Static_assert(sizeof(struct page_header) == PAGE_HEADER_BYTES, "as in the file");
_Static_assert(sizeof(struct table) == 48, "as in the file");
_Static_assert(sizeof(struct meta) == 136, "as in the file");
_Static_assert(sizeof(struct node_header) == NODE_HEADER_BYTES, "as in the file");

/* An entry of a tree page, cut out of it. */
struct node {
    struct node_header header;
    struct bytes key, data;
};

struct check {
    const uint8_t *map;
    size_t file_bytes;
    uint64_t page_bytes, last_page;
    uint8_t *seen; /* One for each page: used already. */
    kv_check_report *report;
    void *context;
    uint64_t faults;
    bool tree_only; /* Pages of values are not looked at. */
};

/* A walk through one table. */
struct walk {
    struct check *check;
    const struct table *table;
    bool is_free_list, is_main;
    uint64_t branch_pages, leaf_pages, overflow_pages, entries;
    struct bytes last_key;  /* Keys ascend over all leaves; */
    struct bytes least_key; /* the next is not below what the branch above says. */
};

static void walk_table(struct check *c, const struct table *t, bool is_free_list, bool is_main);
static void walk_page(struct walk *w, uint64_t number, unsigned depth);

static void fault(struct check *c, uint64_t page, const char *what)
{
    c->faults++;
    c->report(c->context, page, what);
}

/* Take a page that must be `flags`; NULL: it is not sound. */
static const uint8_t *take_page(struct check *c, uint64_t number, uint16_t flags,
                                struct page_header *header)
{
    if (number < 2 || number > c->last_page || (number + 1) * c->page_bytes > c->file_bytes) {
        fault(c, number, "a page beyond the end of the file is referred to");
        return NULL;
    }
    const uint8_t *page = c->map + number * c->page_bytes;
    memcpy(header, page, sizeof *header);
    if (c->seen[number]++ != 0) {
        c->seen[number] = 1;
        fault(c, number, "the page is used twice");
        return NULL;
    }
    if (header->number != number || (header->flags & flags) == 0 ||
        (header->flags & (header->flags - 1)) != 0) {
        fault(c, number, "the page is not what it is used as");
        return NULL;
    }
    return page;
}

/* Compare as the table sorts. */
static int compare(const struct walk *w, struct bytes a, struct bytes b)
{
    uint64_t x, y;
    if (w->is_free_list && a.size == sizeof x && b.size == sizeof y) {
        memcpy(&x, a.at, sizeof x);
        memcpy(&y, b.at, sizeof y);
        return (x > y) - (x < y);
    }
    int order = memcmp(a.at, b.at, a.size < b.size ? a.size : b.size);
    return order != 0 ? order : (a.size > b.size) - (a.size < b.size);
}

/* Node `index` of a page. False: it reaches outside. */
static bool take_node(const struct check *c, const uint8_t *page, unsigned index, struct node *out)
{
    struct page_header header;
    uint16_t at;
    memcpy(&header, page, sizeof header);
    memcpy(&at, page + PAGE_HEADER_BYTES + 2 * (size_t)index, sizeof at);
    if (at < header.upper || at % 2 != 0 || at + (uint64_t)NODE_HEADER_BYTES > c->page_bytes) {
        return false;
    }
    memcpy(&out->header, page + at, sizeof out->header);
    size_t left = c->page_bytes - at - NODE_HEADER_BYTES, key_bytes = out->header.key_bytes;
    size_t data_bytes = out->header.low | (size_t)out->header.high << 16;
    if (header.flags == PAGE_BRANCH) {
        data_bytes = 0;
    } else if ((out->header.flags & NODE_BIG) != 0) {
        data_bytes = sizeof(uint64_t);
    }
    if (key_bytes > KEY_BYTES_MAX || key_bytes > left || data_bytes > left - key_bytes) {
        return false;
    }
    out->key = (struct bytes){page + at + NODE_HEADER_BYTES, key_bytes};
    out->data = (struct bytes){out->key.at + key_bytes, data_bytes};
    return true;
}

/* How many nodes a tree page has; -1: its header is not sound. */
static int count_nodes(struct check *c, uint64_t number, const struct page_header *header)
{
    if (header->lower < PAGE_HEADER_BYTES || header->lower % 2 != 0 ||
        header->lower > header->upper || header->upper > c->page_bytes) {
        fault(c, number, "the page's bounds are wrong");
        return -1;
    }
    return (header->lower - PAGE_HEADER_BYTES) / 2;
}

/* `pages` from `number` on are those of one value. */
static void use_pages(struct walk *w, uint64_t number, uint64_t pages)
{
    struct check *c = w->check;
    for (uint64_t i = 0; i < pages; i++) {
        if (c->seen[number + i]++ != 0) {
            fault(c, number + i, "the page is used twice");
        }
    }
    w->overflow_pages += pages;
}

/* A value with pages of its own. */
static void check_overflow(struct walk *w, uint64_t from, struct node *node)
{
    struct check *c = w->check;
    struct page_header header;
    uint64_t number, size = node->header.low | (uint64_t)node->header.high << 16;
    uint64_t need = (PAGE_HEADER_BYTES + size + c->page_bytes - 1) / c->page_bytes;
    memcpy(&number, node->data.at, sizeof number);
    node->data = (struct bytes){NULL, 0};
    if (number < 2 || number > c->last_page || need > c->last_page - number + 1 ||
        (number + need) * c->page_bytes > c->file_bytes) {
        fault(c, from, "a value is longer than its pages");
        return;
    }
    if (c->tree_only && !w->is_free_list) {
        use_pages(w, number, need);
        return;
    }
    const uint8_t *page = take_page(c, number, PAGE_OVERFLOW, &header);
    if (page == NULL) {
        return;
    }
    if ((header.lower | (uint64_t)header.upper << 16) != need) {
        fault(c, from, "a value is longer than its pages");
        return;
    }
    c->seen[number] = 0;
    use_pages(w, number, need);
    node->data = (struct bytes){page + PAGE_HEADER_BYTES, size};
}

/* A value of the free list: a count and so many pages, which nobody uses. */
static void check_free(struct check *c, uint64_t from, struct bytes data)
{
    uint64_t count, number;
    if (data.size < sizeof count || data.size % sizeof count != 0) {
        fault(c, from, "an entry of the free list is cut");
        return;
    }
    memcpy(&count, data.at, sizeof count);
    if (count > data.size / sizeof count - 1) {
        fault(c, from, "an entry of the free list is cut");
        return;
    }
    for (uint64_t i = 1; i <= count; i++) {
        memcpy(&number, data.at + i * sizeof number, sizeof number);
        if (number < 2 || number > c->last_page || c->seen[number] != 0) {
            fault(c, from, "a page is in use and in the free list");
            return;
        }
        c->seen[number] = 1;
    }
}

static void check_order(struct walk *w, uint64_t number, struct bytes key)
{
    if (key.size == 0 || (w->last_key.at != NULL && compare(w, w->last_key, key) >= 0) ||
        (w->least_key.at != NULL && compare(w, w->least_key, key) > 0)) {
        fault(w->check, number, "keys do not ascend");
    }
    w->last_key = key;
    w->least_key = (struct bytes){NULL, 0};
}

/* NOLINTNEXTLINE(misc-no-recursion): main holds tables, tables hold none. */
static void check_table(struct walk *w, uint64_t number, struct bytes data)
{
    struct table table;
    if (data.at == NULL || data.size != sizeof table) { /* NULL: its pages are not sound. */
        fault(w->check, number, "a table's record is cut");
        return;
    }
    memcpy(&table, data.at, sizeof table);
    walk_table(w->check, &table, false, false);
}

/* Of a table; keys of tables that share the tree have a zero byte behind the name. */
static bool is_name(struct bytes key)
{
    return key.size > 0 && memchr(key.at, 0, key.size) == NULL;
}

/* NOLINTNEXTLINE(misc-no-recursion): as check_table(). */
static void check_entry(struct walk *w, uint64_t number, struct node *node)
{
    const unsigned flags = node->header.flags, known = NODE_BIG | NODE_TABLE;
    check_order(w, number, node->key);
    w->entries++;
    if ((flags & NODE_BIG) != 0) {
        check_overflow(w, number, node);
    }
    if (w->is_free_list && node->data.at != NULL) {
        check_free(w->check, number, node->data);
    }
    if ((flags & ~known) != 0 ||
        ((flags & NODE_TABLE) != 0) != (w->is_main && is_name(node->key))) {
        fault(w->check, number, "an entry is of the wrong kind");
    } else if ((flags & NODE_TABLE) != 0) {
        check_table(w, number, node->data);
    }
}

/* The subtree left of a branch's entry has smaller keys, the one below it none smaller. The first
 * entry of a page has no key that counts. NOLINTNEXTLINE(misc-no-recursion): depth is bounded. */
static void check_branch(struct walk *w, uint64_t number, const struct node *node, bool is_first,
                         unsigned depth)
{
    const struct node_header *h = &node->header;
    if (!is_first && w->last_key.at != NULL && compare(w, w->last_key, node->key) >= 0) {
        fault(w->check, number, "keys do not ascend");
    }
    w->least_key = is_first ? w->least_key : node->key;
    walk_page(w, h->low | (uint64_t)h->high << 16 | (uint64_t)h->flags << 32, depth - 1);
}

/* NOLINTNEXTLINE(misc-no-recursion): depth is the table's own, at most DEPTH_MAX. */
static void walk_page(struct walk *w, uint64_t number, unsigned depth)
{
    struct check *c = w->check;
    struct page_header header;
    struct node node;
    const uint8_t *page = take_page(c, number, depth > 1 ? PAGE_BRANCH : PAGE_LEAF, &header);
    if (page == NULL) {
        return;
    }
    *(depth > 1 ? &w->branch_pages : &w->leaf_pages) += 1;
    int count = count_nodes(c, number, &header);
    for (int i = 0; i < count; i++) {
        if (!take_node(c, page, (unsigned)i, &node)) {
            fault(c, number, "an entry reaches outside of its page");
            return;
        }
        if (depth > 1) {
            check_branch(w, number, &node, i == 0, depth);
        } else {
            check_entry(w, number, &node);
        }
    }
}

/* NOLINTNEXTLINE(misc-no-recursion): main holds tables, tables hold none. */
static void walk_table(struct check *c, const struct table *t, bool is_free_list, bool is_main)
{
    struct walk w = {.check = c, .table = t, .is_free_list = is_free_list, .is_main = is_main};
    bool is_empty = t->root == NO_PAGE;
    if ((t->flags & TABLE_STRANGE) != 0 || ((t->flags & TABLE_INTEGER_KEY) != 0) != is_free_list ||
        t->depth > DEPTH_MAX || (t->depth == 0) != is_empty) {
        fault(c, 0, "a table's record is wrong");
        return;
    }
    if (!is_empty) {
        walk_page(&w, t->root, t->depth);
    }
    if (w.entries != t->entries || w.branch_pages != t->branch_pages ||
        w.leaf_pages != t->leaf_pages || w.overflow_pages != t->overflow_pages) {
        fault(c, is_empty ? 0 : t->root, "a table has other pages or entries than it counts");
    }
}

/* Both meta pages must be sound, and the newer one follows the older. */
static bool check_metas(struct check *c, struct meta *out)
{
    struct meta metas[2];
    struct page_header header;
    for (uint64_t i = 0; i < 2; i++) {
        const uint8_t *page = c->map + i * c->page_bytes;
        memcpy(&header, page, sizeof header);
        memcpy(&metas[i], page + PAGE_HEADER_BYTES, sizeof metas[i]);
        if (header.number != i || header.flags != PAGE_META || metas[i].magic != META_MAGIC ||
            metas[i].version != META_VERSION || metas[i].free.pad != c->page_bytes) {
            fault(c, i, "the meta page is damaged");
            return false;
        }
    }
    bool second = metas[1].txn > metas[0].txn;
    uint64_t newer = metas[second].txn, older = metas[!second].txn;
    /* Files never shrink, which tells also a newer page that took the older one's number. */
    if (newer != older + (newer > 0) || (newer > 0 && newer % 2 != second) ||
        metas[second].last_page < metas[!second].last_page) {
        fault(c, second, "the two meta pages do not follow one another");
        return false;
    }
    *out = metas[second];
    return true;
}

static void check_map(struct check *c)
{
    struct meta meta;
    if (!check_metas(c, &meta)) {
        return;
    }
    if (meta.last_page < 1 || meta.last_page > c->last_page) {
        fault(c, meta.txn % 2, "the file is cut");
        return;
    }
    c->last_page = meta.last_page;
    walk_table(c, &meta.main, false, true);
    walk_table(c, &meta.free, true, false);
}

/* Find the page size, and check. */
static enum err check_file(struct check *c)
{
    enum { SLACK_PAGES = 64 /* Allocated and freed in one transaction: never written. */ };
    struct meta first;
    if (c->file_bytes < PAGE_HEADER_BYTES + sizeof first) {
        fault(c, 0, "the file is cut");
        return E_CORRUPT;
    }
    memcpy(&first, c->map + PAGE_HEADER_BYTES, sizeof first);
    c->page_bytes = first.free.pad;
    if (c->page_bytes < 512 || c->page_bytes > 32768 ||
        (c->page_bytes & (c->page_bytes - 1)) != 0 || c->file_bytes < 2 * c->page_bytes) {
        fault(c, 0, "the meta page is damaged");
        return E_CORRUPT;
    }
    c->last_page = c->file_bytes / c->page_bytes + SLACK_PAGES;
    c->seen = calloc(c->last_page + 1, 1);
    if (c->seen == NULL) {
        return E_NO_MEMORY;
    }
    check_map(c);
    free(c->seen);
    return c->faults > 0 ? E_CORRUPT : OK;
}

/* Of a file of `size` bytes. */
static enum err check_open_file(int fd, size_t size, struct check *c)
{
    if (size == 0) {
        return check_file(c);
    }
    void *map = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED) {
        return E_NO_MEMORY;
    }
    c->map = map;
    c->file_bytes = size;
    enum err e = check_file(c);
    (void)munmap(map, size);
    return e;
}

static enum err check_path(const char *path, struct check *c)
{
    struct stat file;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return errno == ENOENT ? E_NOT_FOUND : errno == EACCES ? E_DENIED : E_IO;
    }
    enum err e = fstat(fd, &file) != 0 ? E_IO : check_open_file(fd, (size_t)file.st_size, c);
    (void)close(fd);
    return e;
}

enum err kv_check(const char *path, kv_check_report *report, void *context)
{
    struct check c = {.report = report, .context = context};
    return check_path(path, &c);
}

enum err kv_check_tree(const char *path, kv_check_report *report, void *context)
{
    struct check c = {.report = report, .context = context, .tree_only = true};
    return check_path(path, &c);
}

enum err kv_check_bytes(struct bytes file, kv_check_report *report, void *context)
{
    struct check c = {
        .map = file.at, .file_bytes = file.size, .report = report, .context = context};
    return check_file(&c);
}
