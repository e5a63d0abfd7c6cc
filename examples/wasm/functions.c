// Functions for SQL: two over rows, one that goes wrong, an aggregate and a table function.
#include "windrow.h"

// The validity of what two columns give: null where either is. NULL if nothing is null.
static const uint8_t *both_valid(const windrow_column *a, const windrow_column *b, int64_t rows) {
    if (!a->validity) return b->validity;
    if (!b->validity) return a->validity;
    uint8_t *both = windrow_room((size_t)rows / 8 + 1);
    for (int64_t i = 0; i < (rows + 7) / 8; i++) both[i] = a->validity[i] & b->validity[i];
    return both;
}

// plus_tax(price DOUBLE, rate DOUBLE) -> DOUBLE
WINDROW_EXPORT("plus_tax") uint64_t plus_tax(int32_t pointer, int32_t length) {
    windrow_batch batch;
    windrow_read(pointer, &batch);
    const windrow_column *price = windrow_get(&batch, 0, WINDROW_FLOAT64);
    const windrow_column *rate = windrow_get(&batch, 1, WINDROW_FLOAT64);
    const double *prices = price->values, *rates = rate->values;
    double *totals = windrow_room((size_t)batch.rows * 8);
    for (int64_t row = 0; row < batch.rows; row++) totals[row] = prices[row] * (1 + rates[row]);
    windrow_column total = {"total", WINDROW_FLOAT64, totals, NULL, both_valid(price, rate, batch.rows)};
    return windrow_result(&total, 1, batch.rows);
}

// slug(text VARCHAR) -> VARCHAR: ASCII letters in lower case and digits; each run of anything else is one dash.
WINDROW_EXPORT("slug") uint64_t slug(int32_t pointer, int32_t length) {
    windrow_batch batch;
    windrow_read(pointer, &batch);
    const windrow_column *text = windrow_get(&batch, 0, WINDROW_UTF8);
    const uint8_t *from = text->values;
    uint8_t *bytes = windrow_room((size_t)text->offsets[batch.rows] + 1), *to = bytes;
    int32_t *offsets = windrow_room(((size_t)batch.rows + 1) * 4);
    offsets[0] = 0;
    for (int64_t row = 0; row < batch.rows; row++) {
        int in_run = 0;
        for (int32_t i = text->offsets[row]; i < text->offsets[row + 1]; i++) {
            uint8_t byte = from[i], lower = byte | 0x20;
            int is_letter = lower >= 'a' && lower <= 'z', is_digit = byte >= '0' && byte <= '9';
            if (is_letter || is_digit) *to++ = is_letter ? lower : byte;
            else if (!in_run) *to++ = '-';
            in_run = !(is_letter || is_digit);
        }
        offsets[row + 1] = (int32_t)(to - bytes);
    }
    windrow_column result = {"slug", WINDROW_UTF8, bytes, offsets, text->validity};
    return windrow_result(&result, 1, batch.rows);
}

// checked(x BIGINT) -> BIGINT: x itself; traps at 13, and never returns from 14.
WINDROW_EXPORT("checked") uint64_t checked(int32_t pointer, int32_t length) {
    windrow_batch batch;
    windrow_read(pointer, &batch);
    const windrow_column *x = windrow_get(&batch, 0, WINDROW_INT64);
    const int64_t *values = x->values;
    volatile int forever = 1; // Compilers may leave out a loop that does nothing.
    for (int64_t row = 0; row < batch.rows; row++) {
        if (windrow_is_null(x, row)) continue;
        if (values[row] == 13) __builtin_trap();
        while (values[row] == 14 && forever) {}
    }
    windrow_column result = {"x", WINDROW_INT64, values, NULL, x->validity};
    return windrow_result(&result, 1, batch.rows);
}

// series(from BIGINT, to BIGINT) -> TABLE(n BIGINT): both ends are in it; nothing for a null.
WINDROW_EXPORT("series") uint64_t series(int32_t pointer, int32_t length) {
    const int64_t rows_max = 1 << 23; // 64 MiB.
    windrow_batch batch;
    windrow_read(pointer, &batch);
    const windrow_column *from = windrow_get(&batch, 0, WINDROW_INT64), *to = windrow_get(&batch, 1, WINDROW_INT64);
    const int64_t *firsts = from->values, *lasts = to->values;
    int64_t count = 0;
    for (int64_t row = 0; row < batch.rows; row++) {
        if (windrow_is_null(from, row) || windrow_is_null(to, row) || firsts[row] > lasts[row]) continue;
        uint64_t more = (uint64_t)lasts[row] - (uint64_t)firsts[row];
        if (more >= (uint64_t)(rows_max - count)) windrow_fail("a series has more than 8388608 numbers");
        count += (int64_t)more + 1;
    }
    int64_t *numbers = windrow_room((size_t)count * 8), *next = numbers;
    for (int64_t row = 0; row < batch.rows; row++) {
        if (windrow_is_null(from, row) || windrow_is_null(to, row) || firsts[row] > lasts[row]) continue;
        uint64_t more = (uint64_t)lasts[row] - (uint64_t)firsts[row];
        for (uint64_t i = 0; i <= more; i++) *next++ = firsts[row] + (int64_t)i;
    }
    windrow_column n = {"n", WINDROW_INT64, numbers, NULL, NULL};
    return windrow_result(&n, 1, count);
}

// ---- geo_mean(x DOUBLE) -> DOUBLE: the geometric mean of positive numbers ----

// The state of a group, as it is and as it travels.
typedef struct {
    int64_t count;
    double sum_of_logarithms;
} state;

static state *groups;
static uint32_t groups_len;

// The state of a group; those up to it are made.
static state *state_of(uint32_t group) {
    if (group >= groups_len) {
        uint32_t len = groups_len ? groups_len : 64;
        while (len <= group) len *= 2;
        groups = windrow_keep_more(groups, groups_len * sizeof(state), len * sizeof(state));
        groups_len = len;
    }
    return &groups[group];
}

static const double LN2 = 0x1.62e42fefa39efp-1, LN2_REST = 0x1.abc9e3b39803fp-56;

// Of a positive, normal number: its exponent, and a series for a mantissa from √½ to √2.
static double logarithm(double x) {
    union { double real; uint64_t bits; } it = {x};
    int exponent = (int)(it.bits >> 52) - 1023;
    it.bits = (it.bits & 0xfffffffffffffull) | 1023ull << 52;
    if (it.real > 0x1.6a09e667f3bcdp0) it.real /= 2, exponent++;
    double s = (it.real - 1) / (it.real + 1), sum = 0;
    for (int k = 21; k > 0; k -= 2) sum = sum * s * s + 1.0 / k;
    return exponent * LN2 + (exponent * LN2_REST + 2 * s * sum);
}

// Of a logarithm of a normal number: a power of two, and a series for what is left, about ln(2) / 2.
static double exponential(double y) {
    int exponent = (int)(y / LN2 + (y < 0 ? -0.5 : 0.5));
    if (exponent > 1023) exponent = 1023; // The largest there is; the rest is then up to ln(2).
    double rest = (y - exponent * LN2) - exponent * LN2_REST, sum = 1;
    for (int k = 18; k > 0; k--) sum = 1 + sum * rest / k;
    union { uint64_t bits; double real; } power = {(uint64_t)(exponent + 1023) << 52};
    return sum * power.real;
}

WINDROW_EXPORT("geo_mean_update") uint64_t geo_mean_update(int32_t pointer, int32_t length) {
    windrow_batch batch;
    windrow_read(pointer, &batch);
    const uint32_t *group = windrow_get(&batch, 0, WINDROW_UINT32)->values;
    const windrow_column *x = windrow_get(&batch, 1, WINDROW_FLOAT64);
    const double *values = x->values;
    for (int64_t row = 0; row < batch.rows; row++) {
        state *state = state_of(group[row]);
        if (windrow_is_null(x, row)) continue;
        if (!(values[row] >= 0x1p-1022 && values[row] <= 0x1.fffffffffffffp1023))
            windrow_fail("geo_mean is of positive, finite numbers");
        state->count++;
        state->sum_of_logarithms += logarithm(values[row]);
    }
    return 0;
}

WINDROW_EXPORT("geo_mean_merge") uint64_t geo_mean_merge(int32_t pointer, int32_t length) {
    windrow_batch batch;
    windrow_read(pointer, &batch);
    const uint32_t *group = windrow_get(&batch, 0, WINDROW_UINT32)->values;
    const windrow_column *states = windrow_get(&batch, 1, WINDROW_BINARY);
    for (int64_t row = 0; row < batch.rows; row++) {
        state *state = state_of(group[row]), other;
        if (windrow_is_null(states, row)) continue;
        if (states->offsets[row + 1] - states->offsets[row] != sizeof other) windrow_fail("a state has a wrong length");
        __builtin_memcpy(&other, (const uint8_t *)states->values + states->offsets[row], sizeof other);
        state->count += other.count;
        state->sum_of_logarithms += other.sum_of_logarithms;
    }
    return 0;
}

WINDROW_EXPORT("geo_mean_state") uint64_t geo_mean_state(int32_t pointer, int32_t length) {
    windrow_batch batch;
    windrow_read(pointer, &batch);
    const uint32_t *group = windrow_get(&batch, 0, WINDROW_UINT32)->values;
    state *states = windrow_room((size_t)batch.rows * sizeof(state));
    int32_t *offsets = windrow_room(((size_t)batch.rows + 1) * 4);
    offsets[0] = 0;
    for (int64_t row = 0; row < batch.rows; row++) {
        states[row] = *state_of(group[row]);
        offsets[row + 1] = (int32_t)(row + 1) * (int32_t)sizeof(state);
    }
    windrow_column result = {"state", WINDROW_BINARY, states, offsets, NULL};
    return windrow_result(&result, 1, batch.rows);
}

WINDROW_EXPORT("geo_mean_evaluate") uint64_t geo_mean_evaluate(int32_t pointer, int32_t length) {
    windrow_batch batch;
    windrow_read(pointer, &batch);
    const uint32_t *group = windrow_get(&batch, 0, WINDROW_UINT32)->values;
    double *means = windrow_room((size_t)batch.rows * 8);
    uint8_t *validity = windrow_room((size_t)batch.rows / 8 + 1);
    for (int64_t row = 0; row < batch.rows; row++) {
        const state *state = state_of(group[row]);
        if (row % 8 == 0) validity[row / 8] = 0;
        validity[row / 8] |= (uint8_t)((state->count > 0) << row % 8);
        means[row] = state->count ? exponential(state->sum_of_logarithms / (double)state->count) : 0;
    }
    windrow_column result = {"geo_mean", WINDROW_FLOAT64, means, NULL, validity};
    return windrow_result(&result, 1, batch.rows);
}
