#include "storage/read/predicate.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/number.h"
#include "storage/catalogue/catalogue_tag.h"
#include "storage/read/path_level.h"

enum op { OP_EQUAL, OP_NOT_EQUAL, OP_LESS, OP_LESS_EQUAL, OP_MORE, OP_MORE_EQUAL };

/* In the order they are worked off: tests put a truth on a stack, the others join those on it. */
enum kind { STEP_TEST, STEP_NOT, STEP_AND, STEP_OR };

struct step {
    enum kind kind;
    enum op op;
    int level; /* 0: `key`. */
    struct bytes key, text;
    double number;
};

enum { STEPS_MAX = 3 * PREDICATE_TESTS_MAX + PREDICATE_DEPTH_MAX };

struct predicate {
    size_t steps, tests;
    size_t used; /* Of `texts`. */
    struct step step[STEPS_MAX];
    uint8_t texts[PREDICATE_BYTES_MAX]; /* Keys and texts, without what escaped them. */
};

struct parser {
    struct predicate *out;
    struct bytes all, in; /* The whole text, what is left of it. */
    struct predicate_fault *fault;
    unsigned depth;
};

static enum err refuse(const struct parser *p, const char *text)
{
    *p->fault = (struct predicate_fault){p->all.size - p->in.size + 1, text};
    return E_MALFORMED;
}

static void skip_blanks(struct parser *p)
{
    while (p->in.size > 0 && (p->in.at[0] == ' ' || p->in.at[0] == '\t')) {
        p->in.at++;
        p->in.size--;
    }
}

static bool take(struct parser *p, const char *token)
{
    const size_t size = strlen(token);
    skip_blanks(p);
    if (p->in.size < size || memcmp(p->in.at, token, size) != 0) {
        return false;
    }
    p->in.at += size;
    p->in.size -= size;
    return true;
}

static enum err put_step(struct parser *p, const struct step *s)
{
    struct predicate *out = p->out;
    if (out->steps == STEPS_MAX || (s->kind == STEP_TEST && out->tests == PREDICATE_TESTS_MAX)) {
        return refuse(p, "too many tests; at most 64");
    }
    out->tests += s->kind == STEP_TEST;
    out->step[out->steps++] = *s;
    return OK;
}

static bool is_letter(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c >= 0x80;
}

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

/* The text is never longer than what it is read from, so `texts` has room. */
static void keep(struct predicate *out, uint8_t c)
{
    CHECK(out->used < sizeof out->texts);
    out->texts[out->used++] = c;
}

static enum err take_level(struct parser *p, struct step *s)
{
    bool is_negative = p->in.size > 0 && p->in.at[0] == '-';
    int level = 0;
    if (is_negative) {
        p->in.at++;
        p->in.size--;
    }
    while (p->in.size > 0 && is_digit(p->in.at[0]) && level < 1000) {
        level = level * 10 + (p->in.at[0] - '0');
        p->in.at++;
        p->in.size--;
    }
    if (level == 0 || level > TOPIC_LEVELS_MAX) {
        return refuse(p, "a level is `$1` to `$128`, from the end `$-1`");
    }
    s->level = is_negative ? -level : level;
    return OK;
}

/* "..." */
static enum err take_text(struct parser *p, struct bytes *out)
{
    const size_t start = p->out->used;
    if (!take(p, "\"")) {
        return refuse(p, "here a text in double quotes must stand");
    }
    while (p->in.size > 0 && p->in.at[0] != '"') {
        const bool is_escaped = p->in.at[0] == '\\';
        if (is_escaped && (p->in.size < 2 || (p->in.at[1] != '"' && p->in.at[1] != '\\'))) {
            return refuse(p, "behind `\\` only `\"` or `\\` may stand");
        }
        keep(p->out, p->in.at[is_escaped]);
        p->in.at += 1 + is_escaped;
        p->in.size -= 1 + (size_t)is_escaped;
    }
    if (p->in.size == 0) {
        return refuse(p, "the text has no closing quote");
    }
    p->in.at++;
    p->in.size--;
    *out = (struct bytes){p->out->texts + start, p->out->used - start};
    return OK;
}

static void take_name(struct parser *p, struct bytes *out)
{
    const size_t start = p->out->used;
    while (p->in.size > 0 && (is_letter(p->in.at[0]) || is_digit(p->in.at[0]) ||
                              p->in.at[0] == '.' || p->in.at[0] == '-')) {
        keep(p->out, p->in.at[0]);
        p->in.at++;
        p->in.size--;
    }
    *out = (struct bytes){p->out->texts + start, p->out->used - start};
}

static enum err take_key(struct parser *p, struct step *s)
{
    if (take(p, "$")) {
        return take_level(p, s);
    }
    if (p->in.size > 0 && p->in.at[0] == '"') {
        TRY(take_text(p, &s->key));
    } else if (p->in.size > 0 && is_letter(p->in.at[0])) {
        take_name(p, &s->key);
    } else {
        return refuse(p, "here a tag or a level such as `$3` must stand");
    }
    return s->key.size <= TAG_KEY_BYTES_MAX ? OK : refuse(p, "a tag is at most 64 bytes long");
}

static enum err take_number(struct parser *p, struct step *s)
{
    struct number n;
    skip_blanks(p);
    if (number_take(&p->in, &n) != OK) {
        return refuse(p, "here a number must stand");
    }
    s->number = n.value;
    return OK;
}

static enum err take_test(struct parser *p)
{
    /* The longer ones first. */
    static const struct {
        const char *token;
        enum op op;
    } ops[] = {{"==", OP_EQUAL},      {"!=", OP_NOT_EQUAL}, {"<=", OP_LESS_EQUAL},
               {">=", OP_MORE_EQUAL}, {"<", OP_LESS},       {">", OP_MORE}};
    struct step s = {.kind = STEP_TEST};
    TRY(take_key(p, &s));
    for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++) {
        if (take(p, ops[i].token)) {
            s.op = ops[i].op;
            TRY(s.op <= OP_NOT_EQUAL ? take_text(p, &s.text) : take_number(p, &s));
            return put_step(p, &s);
        }
    }
    return refuse(p, "here one of == != < <= > >= must stand");
}

static enum err take_condition(struct parser *p);

// NOLINTNEXTLINE(misc-no-recursion): no deeper than PREDICATE_DEPTH_MAX
static enum err take_one(struct parser *p)
{
    if (p->depth == PREDICATE_DEPTH_MAX) {
        return refuse(p, "nested too deep; at most 16");
    }
    p->depth++;
    skip_blanks(p);
    if (take(p, "!")) {
        TRY(take_one(p));
        TRY(put_step(p, &(struct step){.kind = STEP_NOT}));
    } else if (take(p, "(")) {
        TRY(take_condition(p));
        TRY(take(p, ")") ? OK : refuse(p, "here `)` must stand"));
    } else {
        TRY(take_test(p));
    }
    p->depth--;
    return OK;
}

// NOLINTNEXTLINE(misc-no-recursion): no deeper than PREDICATE_DEPTH_MAX
static enum err take_all(struct parser *p)
{
    TRY(take_one(p));
    while (take(p, "&&")) {
        TRY(take_one(p));
        TRY(put_step(p, &(struct step){.kind = STEP_AND}));
    }
    return OK;
}

// NOLINTNEXTLINE(misc-no-recursion): no deeper than PREDICATE_DEPTH_MAX
static enum err take_condition(struct parser *p)
{
    TRY(take_all(p));
    while (take(p, "||")) {
        TRY(take_all(p));
        TRY(put_step(p, &(struct step){.kind = STEP_OR}));
    }
    return OK;
}

static enum err read_whole(struct parser *p)
{
    if (p->all.size > PREDICATE_BYTES_MAX) {
        *p->fault = (struct predicate_fault){PREDICATE_BYTES_MAX + 1, "longer than 1024 bytes"};
        return E_MALFORMED;
    }
    TRY(take_condition(p));
    skip_blanks(p);
    return p->in.size == 0 ? OK : refuse(p, "here `&&`, `||` or the end must stand");
}

enum err predicate_read(struct bytes text, struct predicate **out, struct predicate_fault *fault)
{
    struct predicate *predicate = calloc(1, sizeof *predicate);
    if (predicate == NULL) {
        return E_NO_MEMORY;
    }
    struct parser p = {predicate, text, text, fault, 0};
    const enum err e = read_whole(&p);
    if (e != OK) {
        free(predicate);
        return e;
    }
    *out = predicate;
    return OK;
}

void predicate_destroy(struct predicate *p)
{
    free(p);
}

static bool compare(enum op op, struct bytes value, double number)
{
    struct number n;
    if (number_read(value, &n) != OK) {
        return false;
    }
    switch (op) {
    case OP_LESS:
        return n.value < number;
    case OP_LESS_EQUAL:
        return n.value <= number;
    case OP_MORE:
        return n.value > number;
    case OP_MORE_EQUAL:
        return n.value >= number;
    case OP_EQUAL:
    case OP_NOT_EQUAL:
    default:
        UNREACHABLE();
    }
}

static bool test(const struct step *s, const struct catalogue *c, struct series_ref ref)
{
    uint8_t raw[SERIES_PATH_BYTES_MAX];
    struct bytes value = {raw, 0};
    if (s->level != 0) {
        value = path_level((struct bytes){raw, catalogue_path(c, ref, raw)}, s->level);
    } else if (catalogue_tag_find(c, ref, s->key, &value) != OK) {
        value = (struct bytes){raw, 0};
    }
    if (s->op == OP_EQUAL || s->op == OP_NOT_EQUAL) {
        return bytes_equal(value, s->text) == (s->op == OP_EQUAL);
    }
    return compare(s->op, value, s->number);
}

bool predicate_holds(const struct predicate *p, const struct catalogue *c, struct series_ref ref)
{
    bool stack[PREDICATE_TESTS_MAX] = {false};
    size_t depth = 0;
    for (size_t i = 0; i < p->steps; i++) {
        const struct step *s = &p->step[i];
        switch (s->kind) {
        case STEP_TEST:
            stack[depth++] = test(s, c, ref);
            break;
        case STEP_NOT:
            stack[depth - 1] = !stack[depth - 1];
            break;
        case STEP_AND:
            depth--;
            stack[depth - 1] = stack[depth - 1] && stack[depth];
            break;
        case STEP_OR:
            depth--;
            stack[depth - 1] = stack[depth - 1] || stack[depth];
            break;
        }
    }
    CHECK(depth == 1);
    return stack[0];
}
