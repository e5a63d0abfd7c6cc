// The Windrow ABI, version 1, for C without a standard library: include it in one source file of a module.
//
// Input is read with windrow_read, results are made with windrow_result. Memory from windrow_room lasts until the next call;
// memory from windrow_keep lasts as long as the instance. Whatever goes wrong ends the call with a message.
#ifndef WINDROW_H
#define WINDROW_H

#include <stddef.h>
#include <stdint.h>

// A function that the host calls by this name: `windrow_call plus_tax(int32_t pointer, int32_t length)`.
#define WINDROW_EXPORT(name) __attribute__((export_name(name)))
#define WINDROW_IMPORT(name) __attribute__((import_module("windrow"), import_name(name)))
#define WINDROW_ONCE static __attribute__((noinline)) // Called once for a batch: a copy at each call is only longer.

WINDROW_IMPORT("fail") _Noreturn void windrow_fail_bytes(const char *message, int32_t length);
WINDROW_IMPORT("count") void windrow_count_bytes(const char *name, int32_t length, int64_t amount);
WINDROW_IMPORT("log") void windrow_log_bytes(const char *line, int32_t length);

// With a literal: the length is known where it is compiled.
#define windrow_fail(text) windrow_fail_bytes(text, sizeof(text) - 1)
#define windrow_count(name, amount) windrow_count_bytes(name, sizeof(name) - 1, amount)
#define windrow_log(text) windrow_log_bytes(text, sizeof(text) - 1)

// ---- memory ----

// One piece of memory from which room is cut off.
typedef struct {
    uintptr_t at, end;
} windrow_piece;

extern uint8_t __heap_base; // From the linker: where static data ends.

static windrow_piece windrow_short, windrow_long;
static uintptr_t windrow_short_start;

// Makes room for `bytes` in a piece, and returns whether it has stayed where it was. Each growth is at least as large as what
// the piece has, so that what is left behind is never more than what is used.
WINDROW_ONCE int windrow_grow(windrow_piece *piece, uintptr_t has, uintptr_t bytes) {
    const uintptr_t page = 65536;
    uintptr_t wanted = bytes > has ? bytes : has;
    uintptr_t start = __builtin_wasm_memory_size(0) * page;
    if (__builtin_wasm_memory_grow(0, (wanted + page - 1) / page) == (size_t)-1) windrow_fail("no memory is left");
    int stays = piece->end == start;
    if (!stays) piece->at = start;
    piece->end = __builtin_wasm_memory_size(0) * page;
    return stays;
}

// Room until the next call, at a multiple of 8; its content is undefined.
WINDROW_ONCE void *windrow_room(size_t bytes) {
    bytes = (bytes + 7) & ~(size_t)7;
    if (windrow_short.end == 0) {
        windrow_short_start = windrow_short.at = ((uintptr_t)&__heap_base + 7) & ~(uintptr_t)7;
        windrow_short.end = __builtin_wasm_memory_size(0) * 65536;
    }
    if (windrow_short.end - windrow_short.at < bytes) {
        if (!windrow_grow(&windrow_short, windrow_short.end - windrow_short_start, bytes))
            windrow_short_start = windrow_short.at;
    }
    void *room = (void *)windrow_short.at;
    windrow_short.at += bytes;
    return room;
}

// Room for as long as the instance lives, zeroed.
WINDROW_ONCE void *windrow_keep(size_t bytes) {
    bytes = (bytes + 7) & ~(size_t)7;
    if (windrow_long.end - windrow_long.at < bytes) windrow_grow(&windrow_long, 0, bytes);
    void *room = (void *)windrow_long.at;
    windrow_long.at += bytes;
    return room;
}

// Moves what was kept to a larger room. The old one is lost: at least double it.
static void *windrow_keep_more(const void *old, size_t old_bytes, size_t bytes) {
    void *room = windrow_keep(bytes);
    if (old_bytes) __builtin_memcpy(room, old, old_bytes);
    return room;
}

// The host's request for room for an input: all that was made for the call before may go.
WINDROW_EXPORT("windrow_alloc") void *windrow_alloc(int32_t bytes) {
    windrow_short.at = windrow_short_start;
    return windrow_room((uint32_t)bytes);
}

// ---- columns ----

typedef enum {
    WINDROW_OTHER, // Some type that this file does not read.
    WINDROW_INT32,
    WINDROW_UINT32,
    WINDROW_INT64,
    WINDROW_FLOAT64,
    WINDROW_UTF8,
    WINDROW_BINARY,
} windrow_type;

typedef struct {
    const char *name;        // Ends with a zero byte.
    windrow_type type;
    const void *values;      // The numbers, or the bytes of all strings.
    const int32_t *offsets;  // Of UTF8 and BINARY: row i has the bytes from offsets[i] to offsets[i + 1].
    const uint8_t *validity; // A bit for each row, lowest first: 0 is null. NULL if no row is null.
} windrow_column;

#define WINDROW_COLUMNS_MAX 64

typedef struct {
    int64_t rows;
    int32_t columns;
    windrow_column column[WINDROW_COLUMNS_MAX];
} windrow_batch;

static inline int windrow_is_null(const windrow_column *column, int64_t row) {
    return column->validity && !(column->validity[row >> 3] >> (row & 7) & 1);
}

// A column of the batch, which must have this type.
WINDROW_ONCE const windrow_column *windrow_get(const windrow_batch *batch, int32_t index, windrow_type type) {
    if (index >= batch->columns) windrow_fail("a column is missing");
    if (batch->column[index].type != type) windrow_fail("a column is of an unexpected type");
    return &batch->column[index];
}

// ---- reading: flatbuffers of the host, which are well-formed ----

static inline uint32_t windrow_u32(const uint8_t *at) { return *(const uint32_t *)at; }
static inline int64_t windrow_i64(const uint8_t *at) { return *(const int64_t *)at; }

// The place of a table's field, or NULL if it has its default.
static const uint8_t *windrow_slot(const uint8_t *table, int slot) {
    const uint8_t *vtable = table - *(const int32_t *)table;
    uint16_t place = 4 + 2 * slot;
    uint16_t offset = place < *(const uint16_t *)vtable ? *(const uint16_t *)(vtable + place) : 0;
    return offset ? table + offset : NULL;
}

// What a field refers to: a table, a vector or a string (these two begin with their length).
WINDROW_ONCE const uint8_t *windrow_child(const uint8_t *table, int slot) {
    const uint8_t *at = windrow_slot(table, slot);
    if (!at) windrow_fail("the input lacks a part");
    return at + windrow_u32(at);
}

// Reads the type of a column; returns how many buffers it has.
static int windrow_read_type(const uint8_t *field, windrow_column *column) {
    const uint8_t *tag = windrow_slot(field, 2), *type = windrow_child(field, 3);
    column->type = WINDROW_OTHER;
    switch (tag ? *tag : 0) {
    case 2: { // Int
        const uint8_t *width = windrow_slot(type, 0), *sign = windrow_slot(type, 1);
        int bits = width ? (int)windrow_u32(width) : 0, is_signed = sign && *sign;
        if (bits == 32) column->type = is_signed ? WINDROW_INT32 : WINDROW_UINT32;
        if (bits == 64 && is_signed) column->type = WINDROW_INT64;
        return 2;
    }
    case 3: { // FloatingPoint
        const uint8_t *precision = windrow_slot(type, 0);
        if (precision && *precision == 2) column->type = WINDROW_FLOAT64;
        return 2;
    }
    case 4: column->type = WINDROW_BINARY; return 3;
    case 5: column->type = WINDROW_UTF8; return 3;
    case 6: case 7: case 8: case 9: case 10: case 11: case 15: case 18: return 2;
    case 19: case 20: return 3; // Binary and UTF8 with offsets of 64 bits
    default: windrow_fail("a column has a type that windrow.h does not read");
    }
}

// Reads the input at `pointer`: the columns stay where they are.
WINDROW_ONCE void windrow_read(int32_t pointer, windrow_batch *batch) {
    static const int32_t windrow_no_offset;
    // A stream's messages: 4 bytes of ones, the metadata's length, the metadata, the body.
    const uint8_t *first = (const uint8_t *)pointer + 8, *second = first + windrow_u32(first - 4) + 8;
    const uint8_t *body = second + windrow_u32(second - 4);
    const uint8_t *schema = windrow_child(first + windrow_u32(first), 2);
    const uint8_t *rows = windrow_child(second + windrow_u32(second), 2);
    const uint8_t *fields = windrow_child(schema, 1), *nodes = windrow_child(rows, 1) + 4;
    const uint8_t *buffers = windrow_child(rows, 2) + 4, *count = windrow_slot(rows, 0);
    batch->rows = count ? windrow_i64(count) : 0;
    batch->columns = (int32_t)windrow_u32(fields);
    if (batch->columns > WINDROW_COLUMNS_MAX) windrow_fail("the input has too many columns");
    for (int32_t i = 0; i < batch->columns; i++, nodes += 16) {
        const uint8_t *entry = fields + 4 + 4 * i, *field = entry + windrow_u32(entry);
        windrow_column *column = &batch->column[i];
        column->name = (const char *)windrow_child(field, 0) + 4;
        int parts = windrow_read_type(field, column);
        column->validity = windrow_i64(nodes + 8) ? body + windrow_i64(buffers) : NULL;
        column->offsets = parts == 3 ? (const int32_t *)(body + windrow_i64(buffers + 16)) : NULL;
        if (parts == 3 && batch->rows == 0) column->offsets = &windrow_no_offset; // Nothing is sent then.
        column->values = body + windrow_i64(buffers + 16 * (parts - 1));
        buffers += 16 * parts;
    }
}

// ---- writing: flatbuffers of a fixed layout, each a vtable, its table and what that refers to ----

typedef struct {
    uint32_t ones, length, root;
    uint16_t vtable[6]; // version, header's type, header, body's length
    uint32_t to_vtable, header;
    int64_t body_bytes;
    uint16_t version, header_type;
    uint32_t padding;
} windrow_message;

typedef struct {
    uint16_t vtable[4]; // endianness (absent), fields
    uint32_t to_vtable, fields, count, references[];
} windrow_schema;

typedef struct {
    uint16_t vtable[8]; // name, nullable, the type's tag, the type
    uint32_t to_vtable, name, type;
    uint8_t nullable, tag, padding[2];
    uint16_t type_vtable[4];
    uint32_t to_type_vtable, detail[3], name_length;
    char name_bytes[];
} windrow_field;

typedef struct {
    uint16_t vtable[8]; // length, nodes, buffers
    uint32_t to_vtable, nodes;
    int64_t rows;
    uint32_t buffers, padding[2], count;
} windrow_rows;

static inline size_t windrow_padded(int64_t bytes) { return (size_t)(bytes + 7) & ~(size_t)7; }

static size_t windrow_text_bytes(const char *text) {
    size_t bytes = 0;
    while (text[bytes]) bytes++;
    return bytes;
}

// A message's length is known where it ends.
static void windrow_end(windrow_message *message, const uint8_t *end) {
    message->length = (uint32_t)(end - (const uint8_t *)&message->root);
}

static uint8_t *windrow_put_field(uint8_t *at, const windrow_column *column) {
    static const uint8_t tags[] = {1, 2, 2, 2, 3, 5, 4};
    windrow_field *field = (windrow_field *)at;
    *field = (windrow_field){{12, 16, 4, 12, 13, 8}, 16, 36, 16, 1, tags[column->type], {0, 0}, {4, 4}, 8};
    if (tags[column->type] == 2) { // Int: its width and whether it has a sign.
        uint32_t bits = column->type == WINDROW_INT64 ? 64 : 32;
        *field = (windrow_field){{12, 16, 4, 12, 13, 8}, 16, 36, 16, 1, 2, {0, 0}, {8, 12, 4, 8}, 8,
                                 {bits, column->type != WINDROW_UINT32}};
    }
    if (column->type == WINDROW_FLOAT64) // Its precision.
        *field = (windrow_field){{12, 16, 4, 12, 13, 8}, 16, 36, 16, 1, 3, {0, 0}, {6, 8, 4}, 8, {2}};
    field->name_length = (uint32_t)windrow_text_bytes(column->name);
    __builtin_memcpy(field->name_bytes, column->name, field->name_length + 1);
    return at + windrow_padded(sizeof *field + field->name_length + 1);
}

WINDROW_ONCE uint8_t *windrow_put_schema(uint8_t *at, const windrow_column *columns, int32_t count) {
    windrow_message *message = (windrow_message *)at;
    windrow_schema *schema = (windrow_schema *)(message + 1);
    *message = (windrow_message){-1u, 0, 16, {12, 24, 16, 18, 4, 8}, 12, 28, 0, 4, 1};
    *schema = (windrow_schema){{8, 8, 0, 4}, 8, 4, (uint32_t)count};
    at = (uint8_t *)schema + windrow_padded(sizeof *schema + 4 * count);
    for (int32_t i = 0; i < count; i++) {
        schema->references[i] = (uint32_t)(at + 16 - (uint8_t *)&schema->references[i]); // Past its vtable.
        at = windrow_put_field(at, &columns[i]);
    }
    windrow_end(message, at);
    return at;
}

// Bytes of a column's validity, offsets and values; 0 where it has none.
WINDROW_ONCE void windrow_sizes(const windrow_column *column, int64_t rows, int64_t sizes[3]) {
    int64_t width = column->type == WINDROW_INT64 || column->type == WINDROW_FLOAT64 ? 8 : 4;
    sizes[0] = column->validity ? (rows + 7) / 8 : 0;
    sizes[1] = column->offsets ? 4 * (rows + 1) : 0;
    sizes[2] = column->offsets ? column->offsets[rows] : width * rows;
}

WINDROW_ONCE int64_t windrow_nulls(const windrow_column *column, int64_t rows) {
    int64_t nulls = 0;
    for (int64_t row = 0; column->validity && row < rows; row++) nulls += windrow_is_null(column, row);
    return nulls;
}

WINDROW_ONCE uint8_t *windrow_put_rows(uint8_t *at, const windrow_column *columns, int32_t count, int64_t rows) {
    windrow_message *message = (windrow_message *)at;
    windrow_rows *batch = (windrow_rows *)(message + 1);
    *batch = (windrow_rows){{10, 20, 8, 4, 16}, 16, 24, rows, 20 + 16 * count, {0, 0}, (uint32_t)count};
    int64_t *number = (int64_t *)(batch + 1), body_bytes = 0, sizes[3];
    for (int32_t i = 0; i < count; i++) {
        *number++ = rows;
        *number++ = windrow_nulls(&columns[i], rows);
    }
    uint32_t *buffers = (uint32_t *)number++ + 1; // The vector's length: its elements begin at a multiple of 8.
    *buffers = 0;
    for (int32_t i = 0; i < count; i++) {
        windrow_sizes(&columns[i], rows, sizes);
        for (int part = 0; part < 3; part++) {
            if (part == 1 && !columns[i].offsets) continue;
            *number++ = body_bytes;
            *number++ = sizes[part];
            body_bytes += windrow_padded(sizes[part]);
            *buffers += 1;
        }
    }
    *message = (windrow_message){-1u, 0, 16, {12, 24, 16, 18, 4, 8}, 12, 36, body_bytes, 4, 3};
    windrow_end(message, at = (uint8_t *)number);
    for (int32_t i = 0; i < count; i++) {
        const void *parts[] = {columns[i].validity, columns[i].offsets, columns[i].values};
        windrow_sizes(&columns[i], rows, sizes);
        for (int part = 0; part < 3; at += windrow_padded(sizes[part++]))
            if (sizes[part]) __builtin_memcpy(at, parts[part], (size_t)sizes[part]);
    }
    return at;
}

// The result of a call: a stream of one batch. UTF8 and BINARY have offsets that begin with 0; numbers have none.
WINDROW_ONCE uint64_t windrow_result(const windrow_column *columns, int32_t count, int64_t rows) {
    size_t bytes = 512;
    int64_t sizes[3];
    for (int32_t i = 0; i < count; i++) {
        windrow_sizes(&columns[i], rows, sizes);
        // Its metadata takes less than 200 bytes beside its name; each part may be padded.
        bytes += 256 + windrow_text_bytes(columns[i].name) + (size_t)(sizes[0] + sizes[1] + sizes[2]);
    }
    uint8_t *start = windrow_room(bytes), *end = windrow_put_schema(start, columns, count);
    end = windrow_put_rows(end, columns, count, rows);
    *(uint64_t *)end = 0xffffffff; // The end: a message of no bytes.
    return (uint64_t)(uintptr_t)start << 32 | (uint32_t)(end + 8 - start);
}

#endif
