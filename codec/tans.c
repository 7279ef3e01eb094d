#include "codec/tans.h"

#include "base/check.h"
#include "codec/bits.h"

enum {
    LITERALS = 16, /* Residuals below are their own tokens. */
    LITERAL_BITS = 4,
    LOG_MIN = 5,
    LOG_MAX = 10,
    FIRST_TOKEN_BITS = 8,
    STATES = 4,         /* That take turns. */
    FRACTION = 8,       /* Bits behind the point of our logarithms. */
    LONG = 255,         /* scratch_state.total: more bits than the fast path takes. */
    LONG_BITS_MIN = 23, /* Own bits of the first token that is long. */
    FAST_BITS_MAX = 57, /* One load gives so many. */
    HALF_BITS = 32
};

_Static_assert(1 << LOG_MAX == SCRATCH_STATES_MAX, "the tables hold all states");

struct frequencies {
    uint16_t of_token[TANS_TOKENS];
};

static unsigned log_of_count(uint32_t count)
{
    unsigned log = bits_length(count) - 1;
    return log > LOG_MAX ? LOG_MAX : log < LOG_MIN ? LOG_MIN : log;
}

static unsigned token_of(uint64_t residual)
{
    if (residual < LITERALS) {
        return (unsigned)residual;
    }
    unsigned top = bits_length(residual) - 1;
    return LITERALS + (top - LITERAL_BITS) * 2 + (unsigned)(residual >> (top - 1) & 1);
}

/* Bits of a residual that its token does not tell. */
static unsigned token_bits(unsigned token)
{
    return token < LITERALS ? 0 : LITERAL_BITS - 1 + (token - LITERALS) / 2;
}

/* The lowest residual of a token. */
static uint64_t token_base(unsigned token)
{
    return token < LITERALS ? token : (UINT64_C(2) | (token & 1)) << token_bits(token);
}

/* log2(x) * 2^FRACTION by repeated squaring: the same on every machine. x >= 1. */
static uint64_t log_of(uint32_t x)
{
    unsigned top = bits_length(x) - 1;
    uint64_t mantissa = (uint64_t)x << (31 - top), log = top;

    for (unsigned i = 0; i < FRACTION; i++) {
        mantissa = mantissa * mantissa >> 31;
        log = log << 1 | mantissa >> 32;
        mantissa >>= mantissa >> 32;
    }
    return log;
}

static void count_tokens(const uint64_t *residuals, uint32_t count, uint32_t *tokens)
{
    memset(tokens, 0, TANS_TOKENS * sizeof tokens[0]);
    for (uint32_t i = 0; i < count; i++) {
        tokens[token_of(residuals[i])]++;
    }
}

static uint32_t rounded_frequency(uint32_t tokens, uint32_t count, unsigned log)
{
    uint32_t frequency = (uint32_t)((((uint64_t)tokens << log) + count / 2) / count);
    return tokens > 0 && frequency == 0 ? 1 : frequency;
}

/* Bits of the Elias gamma code of frequency + 1. */
static unsigned gamma_bits(uint32_t frequency)
{
    return 2 * bits_length(frequency + 1) - 1;
}

uint64_t tans_cost(const uint64_t *residuals, uint32_t count)
{
    uint32_t tokens[TANS_TOKENS], different = 0;
    unsigned log = log_of_count(count);
    uint64_t fine = 0, all = log_of(count), head = FIRST_TOKEN_BITS + STATES * log, gap = 0;

    count_tokens(residuals, count, tokens);
    for (unsigned t = 0; t < TANS_TOKENS; t++) {
        if (tokens[t] == 0) {
            gap += different > 0;
            continue;
        }
        fine += tokens[t] * (all - log_of(tokens[t]) + ((uint64_t)token_bits(t) << FRACTION));
        head += gamma_bits(rounded_frequency(tokens[t], count, log)) + gap;
        gap = 0;
        different++;
    }
    if (different > 1U << (log - 1)) {
        return TANS_IMPOSSIBLE;
    }
    return ((fine + fine / 256) >> FRACTION) + head + 4; /* Tables lose some 0.4 %. */
}

/* The token that loses least by one state fewer. */
static unsigned cheapest(const uint32_t *tokens, const struct frequencies *f)
{
    unsigned found = 0;
    uint64_t least = UINT64_MAX;

    for (unsigned t = 0; t < TANS_TOKENS; t++) {
        uint32_t frequency = f->of_token[t];
        if (frequency > 1) {
            uint64_t cost = tokens[t] * (log_of(frequency) - log_of(frequency - 1));
            if (cost < least) {
                least = cost;
                found = t;
            }
        }
    }
    return found;
}

/* Scale counts to frequencies that sum to 2^log; whatever occurs gets at least one state. */
static void normalize(const uint32_t *tokens, uint32_t count, unsigned log, struct frequencies *f)
{
    uint32_t sum = 0, size = 1U << log;
    unsigned largest = 0;

    for (unsigned t = 0; t < TANS_TOKENS; t++) {
        f->of_token[t] = (uint16_t)rounded_frequency(tokens[t], count, log);
        sum += f->of_token[t];
        largest = f->of_token[t] > f->of_token[largest] ? t : largest;
    }
    if (sum < size) {
        f->of_token[largest] = (uint16_t)(f->of_token[largest] + size - sum);
    }
    for (; sum > size; sum--) {
        f->of_token[cheapest(tokens, f)]--;
    }
}

/* Deal the states out to the tokens, each one's far apart. The step is odd: it visits all. */
static void spread(const struct frequencies *f, unsigned log, uint8_t *tokens)
{
    uint32_t size = 1U << log, step = (size >> 1) + (size >> 3) + 3, at = 0;

    for (unsigned t = 0; t < TANS_TOKENS; t++) {
        for (uint32_t i = 0; i < f->of_token[t]; i++) {
            tokens[at] = (uint8_t)t;
            at = (at + step) & (size - 1);
        }
    }
}

/* Where each token's part of next_state starts; fills that table. */
static void build_encoder(const struct frequencies *f, unsigned log, struct chunk_scratch *s,
                          uint32_t *start)
{
    uint32_t at[TANS_TOKENS], sum = 0;

    for (unsigned t = 0; t < TANS_TOKENS; t++) {
        start[t] = at[t] = sum;
        sum += f->of_token[t];
    }
    spread(f, log, s->spread);
    for (uint32_t state = 0; state < 1U << log; state++) {
        s->next_state[at[s->spread[state]]++] = (uint16_t)state;
    }
}

/* Run the states backwards over the residuals; what they leave goes to out_bits. Returns how many
 * bits that is, with the residuals' own. */
static uint64_t run_states(uint32_t count, const struct frequencies *f, unsigned log,
                           struct chunk_scratch *s, uint32_t *state)
{
    uint32_t start[TANS_TOKENS];
    uint64_t bits = 0;

    build_encoder(f, log, s, start);
    memset(state, 0, STATES * sizeof state[0]);
    for (uint32_t i = count; i-- > 0;) {
        unsigned token = token_of(s->z[i]);
        uint32_t frequency = f->of_token[token], x = state[i % STATES] + (1U << log);
        unsigned width = bits_length(x) - bits_length(frequency);
        width -= x >> width < frequency;
        s->out_bits[i] = (uint16_t)(x & ((1U << width) - 1));
        s->out_width[i] = (uint8_t)width;
        state[i % STATES] = s->next_state[start[token] + (x >> width) - frequency];
        bits += width + token_bits(token);
    }
    return bits;
}

/* First and last token that occurs. */
static void find_ends(const struct frequencies *f, unsigned *first, unsigned *last)
{
    *first = 0;
    *last = TANS_TOKENS - 1;
    while (f->of_token[*first] == 0) {
        (*first)++;
    }
    while (f->of_token[*last] == 0) {
        (*last)--;
    }
}

static void put_frequencies(struct bits_writer *w, const struct frequencies *f, unsigned first,
                            unsigned last)
{
    bits_put(w, first, FIRST_TOKEN_BITS);
    for (unsigned t = first; t <= last; t++) {
        uint32_t x = f->of_token[t] + 1U;
        unsigned below = bits_length(x >> 1);
        bits_put(w, UINT64_C(1) << below, below + 1);
        bits_put(w, x & bits_mask(below), below);
    }
}

enum err tans_write(uint32_t count, struct chunk_scratch *s, struct writer *out)
{
    uint32_t tokens[TANS_TOKENS], state[STATES];
    struct frequencies f;
    unsigned log = log_of_count(count), first, last;

    count_tokens(s->z, count, tokens);
    normalize(tokens, count, log, &f);
    find_ends(&f, &first, &last);
    uint64_t bits = FIRST_TOKEN_BITS + STATES * log + run_states(count, &f, log, s, state);
    for (unsigned t = first; t <= last; t++) {
        bits += gamma_bits(f.of_token[t]);
    }
    if (out->limit - out->size < (bits + 7) / 8) {
        return E_LIMIT;
    }
    struct bits_writer w = {.to = out->at + out->size};
    put_frequencies(&w, &f, first, last);
    for (unsigned i = 0; i < STATES; i++) {
        bits_put(&w, state[i], log);
    }
    for (uint32_t i = 0; i < count; i++) {
        unsigned token = token_of(s->z[i]);
        bits_put(&w, s->out_bits[i], s->out_width[i]);
        bits_put(&w, s->z[i] - token_base(token), token_bits(token));
    }
    bits_flush(&w);
    out->size += (bits + 7) / 8;
    return OK;
}

/* Bits on their way in. The slack lets any place up to the end be loaded. */
struct reader {
    const uint8_t *from;
    size_t at, end; /* In bits. */
};

/* Take `width` (0..57) bits; E_CORRUPT when they are not there. */
static enum err take(struct reader *r, unsigned width, uint64_t *bits)
{
    if (r->end - r->at < width) {
        return E_CORRUPT;
    }
    *bits = bits_peek(r->from, r->at) & bits_mask(width);
    r->at += width;
    return OK;
}

static enum err take_frequencies(struct reader *r, unsigned log, struct frequencies *f)
{
    uint64_t token, low;
    uint32_t left = 1U << log;

    memset(f, 0, sizeof *f);
    TRY(take(r, FIRST_TOKEN_BITS, &token));
    for (; left > 0 && token < TANS_TOKENS; token++) {
        uint64_t word = bits_peek(r->from, r->at) | UINT64_C(1) << (LOG_MAX + 1);
        unsigned below = (unsigned)__builtin_ctzll(word);
        if (below > LOG_MAX) {
            return E_CORRUPT;
        }
        TRY(take(r, below + 1, &low));
        TRY(take(r, below, &low));
        uint32_t frequency = (1U << below | (uint32_t)low) - 1;
        if (frequency > left) {
            return E_CORRUPT;
        }
        f->of_token[token] = (uint16_t)frequency;
        left -= frequency;
    }
    return left == 0 ? OK : E_CORRUPT;
}

/* What all states of a token have in common. */
static void describe_tokens(struct scratch_state *token)
{
    for (unsigned t = 0; t < TANS_TOKENS; t++) {
        unsigned own = token_bits(t);
        bool is_long = own >= LONG_BITS_MIN;
        token[t] = (struct scratch_state){.base = is_long ? t : (uint32_t)token_base(t),
                                          .total = (uint8_t)(is_long ? LONG : own)};
    }
}

static void build_decoder(const struct frequencies *f, unsigned log, struct chunk_scratch *s)
{
    struct frequencies next = *f;
    struct scratch_state token[TANS_TOKENS];

    describe_tokens(token);
    spread(f, log, s->spread);
    for (uint32_t i = 0; i < 1U << log; i++) {
        struct scratch_state e = token[s->spread[i]];
        uint32_t x = next.of_token[s->spread[i]]++;
        e.bits = (uint8_t)(log + 1 - bits_length(x));
        e.next = (uint16_t)((x << e.bits) - (1U << log));
        e.total = e.total == LONG ? LONG : (uint8_t)(e.total + e.bits);
        s->state[i] = e;
    }
}

/* One residual, of any length, with every bit accounted for. */
static enum err take_slowly(struct reader *r, const struct chunk_scratch *s, uint32_t *state,
                            uint64_t *residual)
{
    const struct scratch_state *e = &s->state[*state];
    unsigned own = e->total == LONG ? token_bits(e->base) : (unsigned)e->total - e->bits;
    uint64_t base = e->total == LONG ? token_base(e->base) : e->base, bits, low, high = 0;

    TRY(take(r, e->bits, &bits));
    TRY(take(r, own > HALF_BITS ? HALF_BITS : own, &low));
    if (own > HALF_BITS) {
        TRY(take(r, own - HALF_BITS, &high));
    }
    *state = e->next + (uint32_t)bits;
    *residual = base + (high << HALF_BITS | low);
    return OK;
}

/* The lowest bits of a word, fewer than 64. */
static inline uint64_t low_of(uint64_t word, unsigned width)
{
    return word & ((UINT64_C(1) << width) - 1);
}

/* One of four residuals whose bits have been loaded. */
static inline __attribute__((always_inline)) uint64_t step(struct scratch_state e, uint64_t word,
                                                           uint32_t *state)
{
    *state = e.next + (uint32_t)low_of(word, e.bits);
    return e.base + (low_of(word, e.total) >> e.bits);
}

/* Four residuals at a time, from one load each, as long as that does. Returns how many; everything
 * is local, or the compiler would store and load it around each residual. */
static uint32_t take_fours(struct reader *r, const struct chunk_scratch *s, uint32_t *state,
                           uint64_t *z, uint32_t count)
{
    const uint8_t *from = r->from;
    size_t at = r->at, end = r->end;
    uint32_t state_a = state[0], state_b = state[1], state_c = state[2], state_d = state[3], i = 0;

    for (; i + STATES <= count; i += STATES) {
        const struct scratch_state a = s->state[state_a], b = s->state[state_b],
                                   c = s->state[state_c], d = s->state[state_d];
        unsigned half = (unsigned)a.total + b.total, all = half + c.total + d.total;
        if (__builtin_expect(all > FAST_BITS_MAX || end - at < all, 0)) {
            break;
        }
        uint64_t word = bits_peek(from, at), second = word >> half;
        at += all;
        z[i] = step(a, word, &state_a);
        z[i + 1] = step(b, word >> a.total, &state_b);
        z[i + 2] = step(c, second, &state_c);
        z[i + 3] = step(d, second >> c.total, &state_d);
    }
    r->at = at;
    state[0] = state_a;
    state[1] = state_b;
    state[2] = state_c;
    state[3] = state_d;
    return i;
}

enum err tans_read(struct bytes *in, uint32_t count, struct chunk_scratch *s)
{
    struct reader r = {.from = in->at, .end = in->size * 8};
    struct frequencies f;
    unsigned log = log_of_count(count);
    uint32_t state[STATES], i = 0;
    uint64_t bits = 0;

    if (count < TANS_COUNT_MIN) {
        return E_CORRUPT;
    }
    TRY(take_frequencies(&r, log, &f));
    build_decoder(&f, log, s);
    for (unsigned k = 0; k < STATES; k++) {
        TRY(take(&r, log, &bits));
        state[k] = (uint32_t)bits;
    }
    while (i < count) {
        i += take_fours(&r, s, state, &s->z[i], count - i);
        for (uint32_t end = i + STATES; i < end && i < count; i++) {
            TRY(take_slowly(&r, s, &state[i % STATES], &s->z[i]));
        }
    }
    if ((state[0] | state[1] | state[2] | state[3]) != 0) {
        return E_CORRUPT;
    }
    size_t used = (r.at + 7) / 8;
    *in = (struct bytes){in->at + used, in->size - used};
    return OK;
}
