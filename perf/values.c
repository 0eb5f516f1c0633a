/* SPDX-License-Identifier: MIT */
/*
 * What do values cost beside bytes? Encode, send, receive and decode, in one thread with both ends of a channel:
 *   raw       the same bytes (and handles), as they are
 *   libcbor   libcbor alone, without a channel: a tree is built from the struct, serialised, loaded, and read back into a struct
 *   memory    rill's encoding and decoding without a channel
 *   rill      the whole way
 * and, between two processes, how many plain structs go one way, beside bytes of the same size.
 */
#include <stdlib.h>
#include <string.h>

#include <rill/value.h>

#include "perf/bench.h"
#include "perf/ends.h"
#include "perf/stream.h"

#define ITEMS 1000
#define SENDERS 64
#define CODE_BYTES 16

#define RECORD(F) \
    F(u64, id) F(u32, width) F(u32, height) F(i32, offset) F(i64, time) F(f64, ratio) F(f64, weight) F(boolean, done) F(u16, kind) \
    F(text, code, CODE_BYTES)
RILL_STRUCT(record, RECORD);

#define TABLE(F) F(list, records, nested, record)
RILL_STRUCT(table, TABLE);

#define PLAIN(F) F(u64, id) F(u64, time) F(f64, a) F(f64, b) F(i64, c) F(i64, d) F(u32, e) F(u32, f) F(u32, g) F(u32, h)
RILL_PLAIN_STRUCT(plain, PLAIN);

/* What a step works on. */
struct bench {
    struct run *run;
    rill_sender *tx, *reply;
    rill_receiver *rx, *answers;
    struct table table;
    struct plain plain;
    cbor_item_t *tree;
    struct rill_handle handles[SENDERS];
    unsigned char *bytes;
    size_t size, capacity;
    uint64_t sum; /* of something in each result, so that it is looked at */
};

static struct record make_record(uint64_t number)
{
    return (struct record){.id = number * 1000003, .width = 1920, .height = 1080, .offset = -17, .time = INT64_C(1700000000000000) + (int64_t)number,
                           .ratio = 1.5, .weight = 0.1, .done = true, .kind = 7, .code = "code-17"};
}

/* ---------------------------------------------------------------- bytes */

static void step_raw(struct bench *bench)
{
    rill_message *message;
    check(bench->run, "rill_send", rill_send(bench->tx, bench->bytes, bench->size));
    check(bench->run, "rill_recv", rill_recv(bench->rx, &message));
    bench->sum += *(const unsigned char *)rill_message_data(message);
    rill_message_close(&message);
}

static void take_senders(struct bench *bench, rill_message *message)
{
    for (size_t i = 0; i < SENDERS; i++) {
        rill_sender *taken;
        check(bench->run, "rill_message_take_sender", rill_message_take_sender(message, i, &taken));
        rill_sender_close(&taken);
    }
}

static void step_raw_senders(struct bench *bench)
{
    rill_message *message;
    check(bench->run, "rill_send_handles", rill_send_handles(bench->tx, bench->bytes, bench->size, bench->handles, SENDERS));
    check(bench->run, "rill_recv", rill_recv(bench->rx, &message));
    take_senders(bench, message);
    rill_message_close(&message);
}

/* ---------------------------------------------------------------- libcbor by hand */

static void add(cbor_item_t *map, const char *name, cbor_item_t *value)
{
    if (!cbor_map_add(map, (struct cbor_pair){.key = cbor_move(cbor_build_string(name)), .value = cbor_move(value)}))
        abort();
}

static cbor_item_t *build_int(int64_t number)
{
    cbor_item_t *item = cbor_build_uint64((uint64_t)(number < 0 ? ~number : number));
    if (number < 0)
        cbor_mark_negint(item);
    return item;
}

static cbor_item_t *build_record(const struct record *record)
{
    cbor_item_t *map = cbor_new_definite_map(10);
    add(map, "id", cbor_build_uint64(record->id));
    add(map, "width", cbor_build_uint32(record->width));
    add(map, "height", cbor_build_uint32(record->height));
    add(map, "offset", build_int(record->offset));
    add(map, "time", build_int(record->time));
    add(map, "ratio", cbor_build_float8(record->ratio));
    add(map, "weight", cbor_build_float8(record->weight));
    add(map, "done", cbor_build_bool(record->done));
    add(map, "kind", cbor_build_uint16(record->kind));
    add(map, "code", cbor_build_string(record->code));
    return map;
}

static int64_t int_of(const cbor_item_t *item)
{
    int64_t number = (int64_t)cbor_get_int(item);
    return cbor_isa_negint(item) ? ~number : number;
}

/* The fields in their order, as a careful program would find them if it knows its sender. */
static bool is_key(const struct cbor_pair *pair, const char *name)
{
    size_t length = strlen(name);
    return cbor_isa_string(pair->key) && cbor_string_length(pair->key) == length && memcmp(cbor_string_handle(pair->key), name, length) == 0;
}

static bool read_record(const cbor_item_t *map, struct record *record)
{
    if (!cbor_isa_map(map) || cbor_map_size(map) != 10)
        return false;
    const struct cbor_pair *pairs = cbor_map_handle(map);
    if (!is_key(&pairs[0], "id") || !is_key(&pairs[1], "width") || !is_key(&pairs[2], "height") || !is_key(&pairs[3], "offset") ||
        !is_key(&pairs[4], "time") || !is_key(&pairs[5], "ratio") || !is_key(&pairs[6], "weight") || !is_key(&pairs[7], "done") ||
        !is_key(&pairs[8], "kind") || !is_key(&pairs[9], "code"))
        return false;
    *record = (struct record){
        .id = cbor_get_int(pairs[0].value),
        .width = (uint32_t)cbor_get_int(pairs[1].value),
        .height = (uint32_t)cbor_get_int(pairs[2].value),
        .offset = (int32_t)int_of(pairs[3].value),
        .time = int_of(pairs[4].value),
        .ratio = cbor_float_get_float(pairs[5].value),
        .weight = cbor_float_get_float(pairs[6].value),
        .done = cbor_get_bool(pairs[7].value),
        .kind = (uint16_t)cbor_get_int(pairs[8].value),
    };
    size_t length = cbor_string_length(pairs[9].value);
    if (length >= CODE_BYTES)
        return false;
    memcpy(record->code, cbor_string_handle(pairs[9].value), length);
    return true;
}

/* Serialises into memory that is there, and loads from it. */
static cbor_item_t *through_bytes(struct bench *bench, const cbor_item_t *item)
{
    struct cbor_load_result result;
    size_t size = cbor_serialize(item, bench->bytes, bench->capacity);
    cbor_item_t *loaded = size ? cbor_load(bench->bytes, size, &result) : NULL;
    if (!loaded)
        fail(bench->run, "libcbor does not load what it wrote");
    return loaded;
}

static void step_libcbor_record(struct bench *bench)
{
    struct record record;
    cbor_item_t *built = build_record(&bench->table.records.items[0]);
    cbor_item_t *loaded = through_bytes(bench, built);
    if (!read_record(loaded, &record))
        fail(bench->run, "the record is another one");
    bench->sum += record.id;
    cbor_decref(&built);
    cbor_decref(&loaded);
}

static void step_libcbor_table(struct bench *bench)
{
    cbor_item_t *built = cbor_new_definite_array(ITEMS);
    for (size_t i = 0; i < ITEMS; i++)
        if (!cbor_array_push(built, cbor_move(build_record(&bench->table.records.items[i]))))
            fail(bench->run, "no memory");
    cbor_item_t *loaded = through_bytes(bench, built);
    struct record *records = calloc(cbor_array_size(loaded), sizeof *records);
    for (size_t i = 0; i < ITEMS; i++)
        if (!read_record(cbor_array_handle(loaded)[i], &records[i]))
            fail(bench->run, "a record is another one");
    bench->sum += records[ITEMS - 1].id;
    free(records);
    cbor_decref(&built);
    cbor_decref(&loaded);
}

static void step_libcbor_tree(struct bench *bench)
{
    cbor_item_t *loaded = through_bytes(bench, bench->tree);
    bench->sum += cbor_array_size(loaded);
    cbor_decref(&loaded);
}

/* ---------------------------------------------------------------- rill */

static void step_memory_record(struct bench *bench)
{
    struct record record;
    size_t size;
    check(bench->run, "rill_type_encode", rill_type_encode(&record_type, &bench->table.records.items[0], bench->bytes, bench->capacity, &size));
    check(bench->run, "rill_type_decode", rill_type_decode(&record_type, bench->bytes, size, NULL, &record));
    bench->sum += record.id;
}

static void step_rill_record(struct bench *bench)
{
    struct record record;
    check(bench->run, "rill_send_as", rill_send_as(bench->tx, &record_type, &bench->table.records.items[0]));
    check(bench->run, "rill_recv_as", rill_recv_as(bench->rx, &record_type, &record));
    bench->sum += record.id;
}

static void step_memory_table(struct bench *bench)
{
    struct table table;
    size_t size;
    check(bench->run, "rill_type_encode", rill_type_encode(&table_type, &bench->table, bench->bytes, bench->capacity, &size));
    check(bench->run, "rill_type_decode", rill_type_decode(&table_type, bench->bytes, size, NULL, &table));
    bench->sum += table.records.items[ITEMS - 1].id;
    rill_type_free(&table_type, &table);
}

static void step_rill_table(struct bench *bench)
{
    struct table table;
    check(bench->run, "rill_send_as", rill_send_as(bench->tx, &table_type, &bench->table));
    check(bench->run, "rill_recv_as", rill_recv_as(bench->rx, &table_type, &table));
    bench->sum += table.records.items[ITEMS - 1].id;
    rill_type_free(&table_type, &table);
}

static void step_rill_tree(struct bench *bench)
{
    cbor_item_t *value;
    rill_message *message;
    check(bench->run, "rill_send_value", rill_send_value(bench->tx, bench->tree, bench->handles, SENDERS, RILL_AS_CONFIGURED));
    check(bench->run, "rill_recv_value", rill_recv_value(bench->rx, RILL_FOREVER, &value, &message));
    take_senders(bench, message);
    bench->sum += cbor_array_size(value);
    cbor_decref(&value);
    rill_message_close(&message);
}

static void step_rill_plain(struct bench *bench)
{
    struct plain plain;
    check(bench->run, "rill_send_as", rill_send_as(bench->tx, &plain_type, &bench->plain));
    check(bench->run, "rill_recv_as", rill_recv_as(bench->rx, &plain_type, &plain));
    bench->sum += plain.id;
}

/* ---------------------------------------------------------------- the runs */

/* Records, each with a sender. */
static cbor_item_t *build_tree(const struct bench *bench)
{
    cbor_item_t *tree = cbor_new_definite_array(SENDERS);
    for (size_t i = 0; i < SENDERS; i++) {
        cbor_item_t *map = build_record(&bench->table.records.items[i]), *both = cbor_new_definite_array(2);
        bool pushed = cbor_array_push(both, cbor_move(map)) && cbor_array_push(both, cbor_move(rill_value_handle(RILL_HANDLE_SENDER, i)));
        if (!pushed || !cbor_array_push(tree, cbor_move(both)))
            abort();
    }
    return tree;
}

static const struct {
    const char *name; /* what of, and how */
    void (*step)(struct bench *bench);
    const struct rill_type *type; /* raw: of which the bytes are */
    bool tree;
} rows[] = {
    {"struct raw", step_raw, &record_type, false},
    {"struct libcbor", step_libcbor_record, NULL, false},
    {"struct memory", step_memory_record, NULL, false},
    {"struct rill", step_rill_record, NULL, false},
    {"array raw", step_raw, &table_type, false},
    {"array libcbor", step_libcbor_table, NULL, false},
    {"array memory", step_memory_table, NULL, false},
    {"array rill", step_rill_table, NULL, false},
    {"tree raw", step_raw_senders, NULL, true},
    {"tree libcbor", step_libcbor_tree, NULL, true},
    {"tree rill", step_rill_tree, NULL, true},
    {"plain raw", step_raw, &plain_type, false},
    {"plain rill", step_rill_plain, NULL, false},
};

static void prepare(struct run *run, struct bench *bench, size_t row)
{
    struct rill_channel_options options = {.size = sizeof options, .transport = run->contestant->rill};
    *bench = (struct bench){.run = run, .capacity = 1 << 20, .plain = {.id = 1, .a = 0.5, .h = 9}};
    bench->bytes = calloc(1, bench->capacity);
    bench->table.records.items = calloc(ITEMS, sizeof *bench->table.records.items);
    bench->table.records.count = ITEMS;
    if (!bench->bytes || !bench->table.records.items)
        fail(run, "no memory");
    check(run, "rill_channel", rill_channel(&options, &bench->tx, &bench->rx));
    check(run, "rill_channel", rill_channel(NULL, &bench->reply, &bench->answers));
    for (size_t i = 0; i < ITEMS; i++)
        bench->table.records.items[i] = make_record(i);
    for (size_t i = 0; i < SENDERS; i++)
        bench->handles[i] = (struct rill_handle){.kind = RILL_HANDLE_SENDER, .as.sender = bench->reply};
    bench->tree = build_tree(bench);
    const struct rill_type *type = rows[row].type;
    const void *value = type == &table_type ? (void *)&bench->table : type == &plain_type ? (void *)&bench->plain : bench->table.records.items;
    if (type == &plain_type) { /* what a program without types would send: the struct */
        bench->size = sizeof bench->plain;
        memcpy(bench->bytes, value, bench->size);
    } else if (type) {
        check(run, "rill_type_encode", rill_type_encode(type, value, bench->bytes, bench->capacity, &bench->size));
    } else if (rows[row].tree) {
        bench->size = cbor_serialize(bench->tree, bench->bytes, bench->capacity);
    }
}

static void finish(struct run *run, struct bench *bench)
{
    check(run, "rill_sender_close", rill_sender_close(&bench->tx));
    check(run, "rill_sender_close", rill_sender_close(&bench->reply));
    check(run, "rill_receiver_close", rill_receiver_close(&bench->rx));
    check(run, "rill_receiver_close", rill_receiver_close(&bench->answers));
    cbor_decref(&bench->tree);
    free(bench->table.records.items);
    free(bench->bytes);
}

static size_t row_of(const struct run *run)
{
    size_t row = 0;
    while (strcmp(rows[row].name, run->contestant->variant) != 0)
        row++;
    return row;
}

static void values_work(struct run *run)
{
    struct bench bench;
    size_t row = row_of(run);
    prepare(run, &bench, row);
    meet_before(run);
    if (run->role == 0) {
        int64_t length = (int64_t)(run->options->seconds * SECOND), begin = now(), time = begin;
        uint64_t count = 0;
        while (now() < begin + length / 10)
            rows[row].step(&bench);
        for (begin = now(); time < begin + length; time = now(), count += 16)
            for (unsigned i = 0; i < 16; i++)
                rows[row].step(&bench);
        figure(run, MSGS_PER_S, (double)count * (double)SECOND / (double)(time - begin));
    }
    meet_after(run);
    finish(run, &bench);
}

/* ---------------------------------------------------------------- plain structs between processes */

struct typed_end {
    struct rill_end end;
    struct plain received;
};

static void put_typed(struct run *run, void *end, const void *message, size_t size)
{
    struct typed_end *mine = end;
    (void)size;
    check(run, "rill_send_as", rill_send_as(mine->end.sender, &plain_type, (void *)(uintptr_t)message));
}

static bool take_typed(struct run *run, void *end, const void **message, size_t *size)
{
    struct typed_end *mine = end;
    int code = rill_recv_as(mine->end.receiver, &plain_type, &mine->received);
    if (code != RILL_EDISCONNECTED)
        check(run, "rill_recv_as", code);
    *message = &mine->received;
    *size = sizeof mine->received;
    return code == RILL_OK;
}

static void drop_typed(struct run *run, void *end)
{
    (void)run;
    (void)end;
}

#define TYPED_CALLS ((struct stream_calls){.put = put_typed, .finish = rill_end_finish, .take = take_typed, .drop = drop_typed})

static void stream_open(struct run *run)
{
    ends_open(run, 1, 0, RILL_PIPELINE_LIMIT);
}

static void stream_raw(struct run *run)
{
    bool receiving = run->role == 0;
    struct rill_end end = ends_keep(run, receiving ? NO_END : 1, receiving ? 0 : NO_END);
    if (receiving)
        stream_receive(run, &end, RILL_CALLS);
    else
        stream_send(run, &end, RILL_CALLS);
}

static void stream_typed(struct run *run)
{
    bool receiving = run->role == 0;
    struct typed_end end = {.end = ends_keep(run, receiving ? NO_END : 1, receiving ? 0 : NO_END)};
    if (receiving)
        stream_receive(run, &end, TYPED_CALLS);
    else
        stream_send(run, &end, TYPED_CALLS);
}

int bench_values(const struct options *options)
{
    int result = 0;
    for (size_t t = 0; t < options->transport_count; t++) {
        struct contestant contestants[COUNT_OF(rows) + 2];
        size_t count = 0, selected = 0;
        for (; count < COUNT_OF(rows);) {
            struct contestant *it = contestant_add(contestants, &count, "values", rows[count].name, options->transports[t], NO_SIZE);
            it->work = values_work;
            it->close = NULL;
            it->roles = options->placement == PLACE_SPLIT ? 2 : 1;
        }
        for (unsigned typed = 0; typed < 2; typed++) {
            struct contestant *it =
                contestant_add(contestants, &count, "values", typed ? "stream plain" : "stream raw", options->transports[t], sizeof(struct plain));
            it->open = stream_open;
            it->work = typed ? stream_typed : stream_raw;
        }
        for (size_t i = 0; i < count; i++)
            if (options_variant(options, contestants[i].variant))
                contestants[selected++] = contestants[i];
        result |= measure(options, contestants, selected);
    }
    return result;
}
