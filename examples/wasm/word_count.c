// Counts words: a mapper that splits lines, and a combiner and reducer that adds up what is sorted by word.
#include "windrow.h"

static int is_space(uint8_t byte) { return byte == ' ' || (byte >= '\t' && byte <= '\r'); }

// tokenize: line VARCHAR -> word VARCHAR, n BIGINT: a row for each word between ASCII white space.
WINDROW_EXPORT("tokenize") uint64_t tokenize(int32_t pointer, int32_t length) {
    windrow_batch batch;
    windrow_read(pointer, &batch);
    const windrow_column *line = windrow_get(&batch, 0, WINDROW_UTF8);
    const uint8_t *from = line->values;
    size_t bytes = (size_t)line->offsets[batch.rows];
    // All words of a line but the last have a space after them.
    size_t words_max = (bytes + (size_t)batch.rows) / 2;
    uint8_t *words = windrow_room(bytes + 1), *to = words;
    int32_t *offsets = windrow_room((words_max + 1) * 4);
    int64_t count = 0;
    offsets[0] = 0;
    for (int64_t row = 0; row < batch.rows; row++) {
        if (windrow_is_null(line, row)) continue;
        int32_t i = line->offsets[row], end = line->offsets[row + 1];
        while (i < end) {
            while (i < end && is_space(from[i])) i++;
            if (i == end) break;
            while (i < end && !is_space(from[i])) *to++ = from[i++];
            offsets[++count] = (int32_t)(to - words);
        }
    }
    int64_t *ones = windrow_room((size_t)count * 8);
    for (int64_t i = 0; i < count; i++) ones[i] = 1;
    windrow_count("words", count);
    windrow_column columns[] = {{"word", WINDROW_UTF8, words, offsets, NULL}, {"n", WINDROW_INT64, ones, NULL, NULL}};
    return windrow_result(columns, 2, count);
}

// The word that is being added up: the next call may go on with it.
static struct {
    uint8_t *bytes;
    int32_t length, room;
    int64_t sum;
    int is_held;
} last;

static int is_last(const uint8_t *word, int32_t length) {
    if (!last.is_held || last.length != length) return 0;
    for (int32_t i = 0; i < length; i++)
        if (last.bytes[i] != word[i]) return 0;
    return 1;
}

static void hold(const uint8_t *word, int32_t length) {
    if (length > last.room) {
        last.room = 2 * length;
        last.bytes = windrow_keep((size_t)last.room);
    }
    if (length) __builtin_memcpy(last.bytes, word, (size_t)length);
    last.length = length;
    last.sum = 0;
    last.is_held = 1;
}

// The words that are done.
typedef struct {
    uint8_t *bytes;
    int32_t *offsets;
    int64_t *sums, count;
} sums;

static sums sums_of(size_t words_max, size_t bytes_max) {
    sums made = {windrow_room(bytes_max), windrow_room((words_max + 1) * 4), windrow_room(words_max * 8), 0};
    made.offsets[0] = 0;
    return made;
}

static void add_last(sums *done) {
    int32_t at = done->offsets[done->count];
    if (last.length) __builtin_memcpy(done->bytes + at, last.bytes, (size_t)last.length);
    done->sums[done->count++] = last.sum;
    done->offsets[done->count] = at + last.length;
}

static uint64_t result_of(const sums *done) {
    windrow_column columns[] = {{"word", WINDROW_UTF8, done->bytes, done->offsets, NULL},
                                {"n", WINDROW_INT64, done->sums, NULL, NULL}};
    return windrow_result(columns, 2, done->count);
}

// sum: word VARCHAR, n BIGINT, sorted by word -> the same columns, a row for each word.
WINDROW_EXPORT("sum") uint64_t sum(int32_t pointer, int32_t length) {
    windrow_batch batch;
    windrow_read(pointer, &batch);
    const windrow_column *word = windrow_get(&batch, 0, WINDROW_UTF8), *n = windrow_get(&batch, 1, WINDROW_INT64);
    const uint8_t *bytes = word->values;
    const int64_t *numbers = n->values;
    sums done = sums_of((size_t)batch.rows, (size_t)(last.length + word->offsets[batch.rows]) + 1);
    for (int64_t row = 0; row < batch.rows; row++) {
        if (windrow_is_null(word, row)) continue;
        const uint8_t *this = bytes + word->offsets[row];
        int32_t this_length = word->offsets[row + 1] - word->offsets[row];
        if (!is_last(this, this_length)) {
            if (last.is_held) add_last(&done);
            hold(this, this_length);
        }
        if (!windrow_is_null(n, row)) last.sum += numbers[row];
    }
    return result_of(&done);
}

WINDROW_EXPORT("sum_finish") uint64_t sum_finish(void) {
    if (!last.is_held) return 0;
    sums done = sums_of(1, (size_t)last.length + 1);
    add_last(&done);
    last.is_held = 0;
    return result_of(&done);
}
