/* SPDX-License-Identifier: MIT */
/* Typed structs: every kind of field at its limits, handles, and what has to be refused. */
#include "support.h"

#include <float.h>
#include <math.h>
#include <pthread.h>
#include <sys/stat.h>

#include <rill/value.h>

#include "types.h"

static void open_channel(uint32_t transport, rill_sender **tx, rill_receiver **rx)
{
    struct rill_channel_options options = {.size = sizeof options, .transport = transport};
    require_ok(rill_channel(&options, tx, rx));
}

static void close_channel(rill_sender **tx, rill_receiver **rx)
{
    require_ok(rill_sender_close(tx));
    require_ok(rill_receiver_close(rx));
}

static void require_same(const struct rill_type *type, const void *a, const void *b)
{
    int order = 99;
    require_ok(rill_type_compare(type, a, b, &order));
    require_equal(0, order);
}

/* Through a channel of each transport, and through memory; *copy is the last one received. */
static void pass(const struct rill_type *type, void *value, void *copy)
{
    static const uint32_t transports[] = {RILL_SHM, RILL_SOCKET, RILL_INPROC};
    for (size_t i = 0; i < COUNT_OF(transports); i++) {
        rill_sender *tx;
        rill_receiver *rx;
        open_channel(transports[i], &tx, &rx);
        pid_t child = transports[i] == RILL_SOCKET ? fork_child() : -1; /* a large value waits for its receiver there */
        if (child <= 0)
            require_ok(rill_send_as(tx, type, value));
        if (child == 0)
            _exit(0);
        require_ok(rill_recv_as(rx, type, copy));
        if (child > 0)
            join_child(child);
        require_same(type, value, copy);
        close_channel(&tx, &rx);
        if (i + 1 < COUNT_OF(transports))
            require_ok(rill_type_free(type, copy));
    }
}

/* What libcbor makes of the encoded value: one item, and nothing behind it. */
static void require_cbor(const struct rill_type *type, const void *value)
{
    size_t size;
    require_code(RILL_EMSGSIZE, rill_type_encode(type, value, NULL, 0, &size));
    unsigned char *bytes = malloc(size);
    require(bytes != NULL);
    require_ok(rill_type_encode(type, value, bytes, size, &size));
    struct cbor_load_result result;
    cbor_item_t *item = cbor_load(bytes, size, &result);
    require(item && result.read == size && cbor_isa_tag(item) && cbor_tag_value(item) == RILL_TAG_TYPED);
    cbor_decref(&item);
    free(bytes);
}

/* ---------------------------------------------------------------- numbers */

static void run_numbers(void *argument)
{
    (void)argument;
    static const struct numbers limits[] = {
        {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, false},
        {UINT8_MAX, UINT16_MAX, UINT32_MAX, UINT64_MAX, INT8_MAX, INT16_MAX, INT32_MAX, INT64_MAX, FLT_MAX, DBL_MAX, true},
        {23, 24, 255, 256, INT8_MIN, INT16_MIN, INT32_MIN, INT64_MIN, -FLT_MAX, -DBL_MAX, true},
        {24, 256, 65536, UINT64_C(1) << 32, -24, -25, -256, -257, FLT_MIN, DBL_MIN, false},
        {1, 23, 65535, UINT32_MAX, -1, -1, -65537, -INT64_C(4294967297), FLT_TRUE_MIN, DBL_TRUE_MIN, false},
        {1, 2, 3, 4, 5, 6, 7, 8, INFINITY, -INFINITY, true},
        {1, 2, 3, 4, 5, 6, 7, 8, NAN, NAN, true},
    };
    for (size_t i = 0; i < COUNT_OF(limits); i++) {
        struct numbers value = limits[i], copy;
        test_note = (long long)i;
        pass(&numbers_type, &value, &copy);
        require_cbor(&numbers_type, &value);
        require(value.d == copy.d && value.h == copy.h && value.e == copy.e && value.k == copy.k);
        require(signbit(value.i) == signbit(copy.i) && isnan(value.j) == isnan(copy.j));
    }
}

/* ---------------------------------------------------------------- everything */

static struct shape circle = {.which = RILL_CASE(shape, circle), .as.circle = {3, -4}};
static struct shape named = {.which = RILL_CASE(shape, name), .as.name = (char *)(uintptr_t)"a name"};

static void fill_everything(struct everything *all)
{
    static uint32_t list[] = {0, 23, 24, UINT32_MAX};
    static char *strings[] = {(char *)(uintptr_t)"", NULL, (char *)(uintptr_t)"gr\xc3\xbc\xc3\x9f", (char *)(uintptr_t)"\xf0\x9f\xa6\x80"};
    static unsigned char octets[] = {0, 255, 7};
    static struct rill_blob blobs[] = {{NULL, 0}, {octets, 3}};
    static struct point points[] = {{1, 2}, {-3, INT32_MIN}};
    static struct pixel pixel = {9, {1, 2}, true, color_none, "four", 0.5, {{5, 6}, {7, 8}}};
    static struct pixel pixels[3];
    static struct tree leaves[] = {{.name = (char *)(uintptr_t)"leaf"}, {.name = NULL}};
    static struct tree trees[] = {{.name = (char *)(uintptr_t)"root", .children = {leaves, 2}}};
    static enum color colors[] = {color_red, color_last};
    static double reals[] = {0.1, -0.0, 1e300};
    static bool flags[] = {true, false};
    static struct shape shapes[2];
    require_ok(rill_type_init(&everything_type, all));
    free(all->greeting);
    for (size_t i = 0; i < 3; i++)
        pixels[i] = pixel;
    shapes[0] = circle;
    shapes[1] = (struct shape){.which = RILL_CASE(shape, path), .as.path = {points, 2}};
    all->string = strings[3];
    memcpy(all->text, "1234567", 8);
    all->bytes = blobs[1];
    memcpy(all->octets, "\0\1\2\3", 4);
    all->color = color_red;
    all->point = points[1];
    all->pixel = pixel;
    all->span = (struct span){.low = 1, .inner = {pixel, pixel}, .key = {1, 2, 3}, .high = INT64_MIN};
    all->shape = named;
    all->tree = trees[0];
    all->array[2] = INT16_MIN;
    all->pixels[0] = all->pixels[1] = pixel;
    all->texts[1] = strings[2];
    all->shapes[0] = circle;
    all->shapes[1] = (struct shape){.which = RILL_CASE(shape, blur), .as.blur = pixel};
    all->list.items = list, all->list.count = 4;
    all->strings.items = strings, all->strings.count = 4;
    all->blobs.items = blobs, all->blobs.count = 2;
    all->points.items = points, all->points.count = 2;
    all->more_pixels.items = pixels, all->more_pixels.count = 3;
    all->trees.items = trees, all->trees.count = 1;
    all->colors.items = colors, all->colors.count = 2;
    all->reals.items = reals, all->reals.count = 3;
    all->flags.items = flags, all->flags.count = 2;
    all->more_shapes.items = shapes, all->more_shapes.count = 2;
    all->maybe.present = true, all->maybe.value = INT32_MIN;
    all->maybe_point.present = true, all->maybe_point.value = points[0];
    all->greeting = strings[2];
}

static void run_everything(void *argument)
{
    (void)argument;
    static struct everything value, copy;
    fill_everything(&value);
    pass(&everything_type, &value, &copy);
    require_cbor(&everything_type, &value);
    require(strcmp(copy.strings.items[2], value.strings.items[2]) == 0 && !copy.strings.items[1]);
    require(copy.trees.items[0].children.count == 2 && !copy.trees.items[0].children.items[1].children.items);
    require(copy.maybe.present && !copy.maybe_text.present && copy.maybe_point.value.x == 1);
    require(copy.more_pixels.items[2].trail[1].y == 8 && strcmp(copy.more_pixels.items[2].label, "four") == 0);
    require(copy.more_shapes.items[1].which == RILL_CASE(shape, path) && copy.more_shapes.items[1].as.path.items[1].x == -3);
    require(copy.span.inner[1].trail[0].x == 5 && copy.span.high == INT64_MIN && copy.shapes[1].as.blur.lit);
    require_ok(rill_type_free(&everything_type, &copy));
    require(!copy.string && !copy.list.items && !copy.maybe.present);
}

/* A message that is too large for a ring goes into the arena, right from the encoder. */
static void run_large(void *argument)
{
    (void)argument;
    static struct everything value, copy;
    static char text[200001];
    fill_everything(&value);
    memset(text, 'x', sizeof text - 1);
    value.string = text;
    pass(&everything_type, &value, &copy);
    require(strlen(copy.string) == sizeof text - 1);
    require_ok(rill_type_free(&everything_type, &copy));
    size_t count = 20000;
    value.points.items = calloc(count, sizeof *value.points.items);
    require(value.points.items != NULL);
    value.points.items[count - 1].y = 77;
    value.points.count = count;
    pass(&everything_type, &value, &copy);
    require(copy.points.count == count && copy.points.items[count - 1].y == 77);
    require_ok(rill_type_free(&everything_type, &copy));
    free(value.points.items);
}

static void run_plain(void *argument)
{
    (void)argument;
    struct point point = {INT32_MIN, INT32_MAX}, point_copy;
    pass(&point_type, &point, &point_copy);
    require(point_copy.x == INT32_MIN && point_copy.y == INT32_MAX);
    struct span span = {.low = 255, .key = {1, 2, 3}, .high = -1}, span_copy;
    for (size_t i = 0; i < 2; i++)
        span.inner[i] = (struct pixel){.lit = i == 1, .color = color_none, .label = "abcd", .weight = -0.5};
    memset(&span_copy, 0xee, sizeof span_copy);
    pass(&span_type, &span, &span_copy);
    require_cbor(&span_type, &span);
    require(span_copy.inner[1].lit && span_copy.high == -1 && span_copy.key[2] == 3);
    unsigned char bytes[256];
    size_t size;
    require_ok(rill_type_encode(&span_type, &span, bytes, sizeof bytes, &size));
    size_t packed = 1 + 2 * (1 + 8 + 1 + 4 + 5 + 8 + 16) + 3 + 8;
    require_equal(5 + 1 + 5 + 9 + 2 + packed, size); /* tag, array, "span", fingerprint, head; no gaps */
}

/* ---------------------------------------------------------------- defaults, order, text */

static void run_defaults(void *argument)
{
    (void)argument;
    static struct everything value;
    memset(&value, 0xee, sizeof value);
    require_ok(rill_type_init(&everything_type, &value));
    require(value.priority == 7 && value.ratio >= 0.5 && value.ratio <= 0.5 && value.single <= -2.5f && value.on && value.tint == color_green);
    require(strcmp(value.greeting, "hello") == 0 && value.most == UINT64_MAX && !value.string && !value.maybe.present);
    require_ok(rill_type_free(&everything_type, &value));
    struct hands hands;
    require_ok(rill_type_init(&hands_type, &hands));
    require(hands.file == -1 && hands.other.value == -1 && hands.files[1] == -1 && !hands.reply);
    require_ok(rill_type_free(&hands_type, &hands));
}

static int order_of(const struct rill_type *type, const void *a, const void *b)
{
    int order;
    require_ok(rill_type_compare(type, a, b, &order));
    return order;
}

static void run_order(void *argument)
{
    (void)argument;
    struct numbers low = {.e = -1, .h = INT64_MIN, .j = 1}, high = {.e = -1, .h = INT64_MAX, .j = NAN};
    require(order_of(&numbers_type, &low, &high) < 0 && order_of(&numbers_type, &high, &low) > 0);
    low.h = high.h;
    require(order_of(&numbers_type, &low, &high) < 0); /* a NaN is above */
    low.j = NAN;
    require(order_of(&numbers_type, &low, &high) == 0);
    struct tree trees[] = {{.name = NULL}, {.name = (char *)(uintptr_t)"a"}, {.name = (char *)(uintptr_t)"b"}};
    struct tree parent = {.name = (char *)(uintptr_t)"a", .children = {trees, 2}};
    require(order_of(&tree_type, &trees[0], &trees[1]) < 0 && order_of(&tree_type, &trees[2], &trees[1]) > 0);
    require(order_of(&tree_type, &trees[1], &parent) < 0); /* fewer items are less */
    require(order_of(&shape_type, &circle, &named) < 0);
}

static void require_text(const struct rill_type *type, const void *value, const char *expected)
{
    char text[256], little[4];
    size_t size;
    require_ok(rill_type_print(type, value, text, sizeof text, &size));
    if (strcmp(text, expected) != 0)
        dprintf(2, "printed: %s\n", text);
    require(strcmp(text, expected) == 0);
    require_equal(strlen(expected), size);
    require_ok(rill_type_print(type, value, little, sizeof little, &size));
    require(strncmp(little, expected, 3) == 0 && little[3] == 0 && size == strlen(expected));
}

static void run_print(void *argument)
{
    (void)argument;
    struct pixel pixel = {9, {1, -2}, true, color_none, "f\"ur", 0.5, {{5, 6}, {7, 8}}};
    require_text(&pixel_type, &pixel,
                 "{\"depth\": 9, \"at\": {\"x\": 1, \"y\": -2}, \"lit\": true, \"color\": color_none, \"label\": \"f\\\"ur\", \"weight\": 0.5, "
                 "\"trail\": [{\"x\": 5, \"y\": 6}, {\"x\": 7, \"y\": 8}]}");
    require_text(&shape_type, &named, "{\"name\": \"a name\"}");
    struct hands hands;
    require_ok(rill_type_init(&hands_type, &hands));
    hands.shape = circle;
    hands.file = 0;
    require_text(&hands_type, &hands,
                 "{\"number\": 0, \"reply\": null, \"senders\": [], \"file\": descriptor(0), \"files\": [null, null], \"input\": null, "
                 "\"shape\": {\"circle\": {\"x\": 3, \"y\": -4}}, \"something\": null}");
    struct tree tree = {.name = (char *)(uintptr_t)"\n"};
    require_text(&tree_type, &tree, "{\"name\": \"\\u000a\", \"children\": []}");
}

/* ---------------------------------------------------------------- handles */

static void fill_hands(struct hands *hands, rill_sender *reply)
{
    rill_sender *unused;
    require_ok(rill_type_init(&hands_type, hands));
    hands->number = 5;
    require_ok(rill_sender_clone(reply, &hands->reply));
    hands->senders.items = calloc(3, sizeof(rill_sender *));
    require(hands->senders.items != NULL);
    hands->senders.count = 3;
    require_ok(rill_sender_clone(reply, &hands->senders.items[0]));
    require_ok(rill_sender_clone(reply, &hands->senders.items[2]));
    hands->files[1] = dup(0);
    hands->other.present = true;
    hands->other.value = dup(1);
    require_ok(rill_channel(NULL, &unused, &hands->input));
    require_ok(rill_send(unused, "queued", 6));
    require_ok(rill_sender_close(&unused));
    hands->shape = (struct shape){.which = RILL_CASE(shape, file), .as.file = dup(0)};
}

static bool same_file(int a, int b)
{
    struct stat states[2];
    return fstat(a, &states[0]) == 0 && fstat(b, &states[1]) == 0 && states[0].st_ino == states[1].st_ino && states[0].st_dev == states[1].st_dev;
}

static void run_handles(void *argument)
{
    uint32_t *transport = argument;
    rill_sender *tx, *reply;
    rill_receiver *rx, *answers;
    rill_message *message;
    struct hands hands, copy;
    open_channel(*transport, &tx, &rx);
    require_ok(rill_channel(NULL, &reply, &answers));
    fill_hands(&hands, reply);
    require_ok(rill_sender_close(&reply));
    require_ok(rill_send_as(tx, &hands_type, &hands));
    require(!hands.input && hands.reply && hands.senders.items[2] && hands.files[1] >= 0); /* what moves is gone, what is copied is not */
    require_ok(rill_type_free(&hands_type, &hands));
    require_ok(rill_recv_as(rx, &hands_type, &copy));
    require(copy.number == 5 && copy.reply && copy.senders.count == 3 && !copy.senders.items[1] && !copy.something);
    require(copy.file == -1 && copy.files[0] == -1 && copy.other.present);
    require(same_file(copy.files[1], 0) && same_file(copy.other.value, 1) && same_file(copy.shape.as.file, 0));
    require_ok(rill_send(copy.senders.items[2], "answer", 6));
    require_ok(rill_recv(answers, &message));
    require_equal(6, rill_message_size(message));
    require_ok(rill_message_close(&message));
    require_ok(rill_recv(copy.input, &message));
    require(memcmp(rill_message_data(message), "queued", 6) == 0);
    require_ok(rill_message_close(&message));
    require_ok(rill_type_free(&hands_type, &copy));
    require_code(RILL_EDISCONNECTED, rill_recv(answers, &message)); /* all senders were closed with their values */
    require_ok(rill_receiver_close(&answers));
    close_channel(&tx, &rx);
}

#define MEMORY(F) F(region, shared) F(list, regions, region) F(buffer, frame) F(buffer, pooled) F(region, none)
RILL_STRUCT(memory, MEMORY);

static void run_memory(void *argument)
{
    uint32_t *transport = argument;
    rill_sender *tx;
    rill_receiver *rx;
    rill_pool *pool;
    struct memory memory, copy;
    void *data;
    open_channel(*transport, &tx, &rx);
    require_ok(rill_type_init(&memory_type, &memory));
    require_ok(rill_region_make_filled(7, 10000, NULL, &memory.shared));
    require_ok(rill_buffer_loan(tx, 100000, NULL, &memory.frame));
    require_ok(rill_buffer_data_mutable(memory.frame, &data));
    memset(data, 9, 100000);
    require_ok(rill_pool_make(NULL, &pool));
    require_ok(rill_pool_loan(pool, 5000, &memory.pooled));
    require_ok(rill_buffer_data_mutable(memory.pooled, &data));
    memset(data, 8, 5000);
    memory.regions.items = calloc(2, sizeof(rill_region *));
    require(memory.regions.items != NULL);
    memory.regions.count = 2;
    require_ok(rill_region_clone(memory.shared, &memory.regions.items[1]));
    require_ok(rill_send_as(tx, &memory_type, &memory));
    require(!memory.frame && memory.shared);
    require_ok(rill_recv_as(rx, &memory_type, &copy));
    require(rill_region_equal(copy.shared, memory.shared) == 1 && rill_region_equal(copy.regions.items[1], memory.shared) == 1);
    require(!copy.regions.items[0] && !copy.none && rill_buffer_size(copy.frame) == 100000);
    require(((const unsigned char *)rill_buffer_data(copy.frame))[99999] == 9);
    require(!memory.pooled && rill_buffer_size(copy.pooled) == 5000 && ((const unsigned char *)rill_buffer_data(copy.pooled))[4999] == 8);
    require_ok(rill_pool_close(&pool));
    require_ok(rill_type_free(&memory_type, &memory));
    require_ok(rill_type_free(&memory_type, &copy));
    close_channel(&tx, &rx);
}

/* An error while encoding or sending leaves value, handles and channel as they were. */
static void run_error_leaves(void *argument)
{
    (void)argument;
    rill_sender *tx, *reply;
    rill_receiver *rx, *answers;
    rill_message *message;
    struct hands hands, before;
    struct rill_channel_options options = {.size = sizeof options, .max_message = 2000};
    require_ok(rill_channel(&options, &tx, &rx));
    require_ok(rill_channel(NULL, &reply, &answers));
    fill_hands(&hands, reply);
    before = hands;
    hands.shape.which = 99;
    require_code(RILL_EINVAL, rill_send_as(tx, &hands_type, &hands)); /* found behind handles that were encoded */
    hands.shape.which = before.shape.which;
    hands.files[0] = 9999;
    require_code(RILL_EDESCRIPTOR, rill_send_as(tx, &hands_type, &hands));
    hands.files[0] = -1;
    require(memcmp(&hands, &before, sizeof hands) == 0);
    static char long_text[4000];
    memset(long_text, 'x', sizeof long_text - 1);
    struct tree tree = {.name = long_text};
    require_code(RILL_EMSGSIZE, rill_send_as(tx, &tree_type, &tree));
    tree.name = (char *)(uintptr_t)"\xff";
    require_code(RILL_EINVAL, rill_send_as(tx, &tree_type, &tree));
    tree = (struct tree){.children = {NULL, 1}};
    require_code(RILL_EINVAL, rill_send_as(tx, &tree_type, &tree));
    struct pixel pixel = {.color = 55};
    require_code(RILL_EINVAL, rill_send_as(tx, &pixel_type, &pixel));
    pixel = (struct pixel){.color = color_red, .label = {'f', 'i', 'v', 'e', '!'}};
    require_code(RILL_EINVAL, rill_send_as(tx, &pixel_type, &pixel));
    require_code(RILL_EEMPTY, rill_try_recv(rx, &message)); /* nothing went out */
    require_ok(rill_send_as(tx, &hands_type, &hands));      /* and all still works */
    require_ok(rill_type_free(&hands_type, &hands));
    require_ok(rill_recv_as(rx, &hands_type, &hands));
    require_ok(rill_type_free(&hands_type, &hands));
    require_ok(rill_sender_close(&reply));
    require_ok(rill_receiver_close(&answers));
    close_channel(&tx, &rx);
}

/* ---------------------------------------------------------------- opaque messages */

static void run_opaque(void *argument)
{
    (void)argument;
    rill_sender *first_tx, *second_tx;
    rill_receiver *first_rx, *second_rx;
    rill_message *message;
    struct rill_type_id id;
    struct hands hands, copy;
    require_ok(rill_channel(NULL, &first_tx, &first_rx));
    require_ok(rill_channel(NULL, &second_tx, &second_rx));
    fill_hands(&hands, first_tx);
    require_ok(rill_send_as(first_tx, &hands_type, &hands));
    require_ok(rill_type_free(&hands_type, &hands));
    require_ok(rill_recv(first_rx, &message));
    require_ok(rill_message_type(message, &id));
    require(strcmp(id.name, "hands") == 0 && id.fingerprint == rill_type_fingerprint(&hands_type));
    struct point point;
    require_code(RILL_ETYPE, rill_message_as(message, &point_type, NULL, &point)); /* nothing is lost by a wrong guess */
    require_ok(rill_forward(second_tx, &message, RILL_NOW));
    require_ok(rill_recv(second_rx, &message));
    require_ok(rill_message_as(message, &hands_type, NULL, &copy));
    require(copy.number == 5 && copy.input && copy.senders.items[2]);
    require_ok(rill_message_close(&message));
    require_ok(rill_type_free(&hands_type, &copy));
    require_ok(rill_send(first_tx, "plain bytes", 11));
    require_ok(rill_recv(first_rx, &message));
    require_code(RILL_ETYPE, rill_message_type(message, &id));
    require_code(RILL_ETYPE, rill_message_as(message, &hands_type, NULL, &copy));
    require_ok(rill_message_close(&message));
    close_channel(&first_tx, &first_rx);
    close_channel(&second_tx, &second_rx);
}

/* ---------------------------------------------------------------- several threads, and a sender that goes on writing */

struct racers {
    pthread_barrier_t start;
    const struct rill_type *type;
    _Atomic uint64_t fingerprints;
};

static void *use_first(void *argument)
{
    struct racers *racers = argument;
    (void)pthread_barrier_wait(&racers->start);
    atomic_fetch_add(&racers->fingerprints, rill_type_fingerprint(racers->type));
    return NULL;
}

static void run_first_use(void *argument)
{
    (void)argument;
    struct racers racers = {.type = &everything_type};
    uint64_t fingerprint = rill_type_fingerprint(&everything_type);
    for (size_t i = 0; i < rounds(200); i++) {
        pthread_t threads[4];
        require_ok(rill_type_forget(&everything_type));
        require(pthread_barrier_init(&racers.start, NULL, COUNT_OF(threads)) == 0);
        atomic_store(&racers.fingerprints, 0);
        for (size_t k = 0; k < COUNT_OF(threads); k++)
            require(pthread_create(&threads[k], NULL, use_first, &racers) == 0);
        for (size_t k = 0; k < COUNT_OF(threads); k++)
            require(pthread_join(threads[k], NULL) == 0);
        require(atomic_load(&racers.fingerprints) == fingerprint * COUNT_OF(threads));
        require(pthread_barrier_destroy(&racers.start) == 0);
    }
}

struct writer {
    unsigned char *bytes;
    size_t size;
    _Atomic bool stop;
};

/* Changes a byte for a moment, again and again. */
static void *go_on_writing(void *argument)
{
    struct writer *writer = argument;
    struct dice dice = {.state = 9};
    while (!atomic_load_explicit(&writer->stop, memory_order_relaxed)) {
        volatile unsigned char *byte = writer->bytes + roll_between(&dice, 0, writer->size - 1);
        unsigned char before = *byte;
        *byte = (unsigned char)roll(&dice);
        *byte = before;
    }
    return NULL;
}

/* The lane is this process's own, so it can do here what a sender that means harm does in its process. */
static void run_changing(void *argument)
{
    (void)argument;
    static struct everything value, copy;
    struct writer writer = {0};
    rill_sender *tx;
    rill_receiver *rx;
    rill_message *message;
    cbor_item_t *tree;
    pthread_t thread;
    if (THREAD_SANITIZED)
        skip_test("it races on purpose");
    fill_everything(&value);
    open_channel(RILL_SHM, &tx, &rx);
    require_ok(rill_send_as(tx, &everything_type, &value));
    require_ok(rill_recv(rx, &message));
    writer.bytes = (unsigned char *)(uintptr_t)rill_message_data(message);
    writer.size = rill_message_size(message);
    require(pthread_create(&thread, NULL, go_on_writing, &writer) == 0);
    for (size_t i = 0; i < rounds(20000); i++) {
        int code = rill_message_as(message, &everything_type, NULL, &copy);
        require(code == RILL_OK || code == RILL_ETYPE || code == RILL_EDECODE);
        require_ok(rill_type_free(&everything_type, &copy));
        if (rill_message_value(message, NULL, &tree) == RILL_OK)
            cbor_decref(&tree);
    }
    atomic_store(&writer.stop, true);
    require(pthread_join(thread, NULL) == 0);
    require_ok(rill_message_as(message, &everything_type, NULL, &copy));
    require_same(&everything_type, &value, &copy);
    require_ok(rill_type_free(&everything_type, &copy));
    require_ok(rill_message_close(&message));
    close_channel(&tx, &rx);
}

/* ---------------------------------------------------------------- descriptions that are not in order */

#define REFUSED_COUNT 13

static void run_bad_types(void *argument)
{
    (void)argument;
    static struct rill_type_state state;
    static const struct rill_enum_name names[] = {{"one", INT64_MAX}};
    static const struct rill_type enumeration = {"e", RILL_FORM_ENUM, 0, 4, NULL, 0, NULL, names, 1, &state};
    static const struct rill_field good = {"x", RILL_FIELD_u32, RILL_SHAPE_one, 0, 4, 1, 0, NULL, {0, 0, NULL}};
    static struct rill_field fields[REFUSED_COUNT][2];
    static struct rill_type types[REFUSED_COUNT];
    for (size_t i = 0; i < REFUSED_COUNT; i++) {
        fields[i][0] = fields[i][1] = good;
        fields[i][1].name = "y";
        types[i] = (struct rill_type){.name = "t", .form = RILL_FORM_STRUCT, .size = 16, .fields = fields[i], .field_count = 2, .state = &state};
    }
    types[0].name = "";
    types[1].form = 9;
    fields[2][1].name = "x";
    fields[3][1].offset = 13;
    fields[4][1].size = 3;
    fields[5][1].kind = 99;
    fields[6][1].kind = RILL_FIELD_nested;
    fields[7][1] = (struct rill_field){"y", RILL_FIELD_nested, RILL_SHAPE_one, 0, 16, 1, 0, &types[7], {0, 0, NULL}}; /* inside of itself */
    fields[8][1] = (struct rill_field){"y", RILL_FIELD_enumeration, RILL_SHAPE_one, 0, 4, 1, 0, &enumeration, {0, 0, NULL}};
    types[9].form = RILL_FORM_PLAIN;
    fields[9][1] = (struct rill_field){"y", RILL_FIELD_string, RILL_SHAPE_one, 8, 8, 1, 0, NULL, {0, 0, NULL}};
    fields[10][1].shape = RILL_SHAPE_array;
    fields[10][1].count = SIZE_MAX / 2;
    types[11].form = RILL_FORM_UNION; /* its first case lies over the number of the case */
    fields[12][1] = (struct rill_field){"y", RILL_FIELD_enumeration, RILL_SHAPE_defaulted, 8, 4, 1, 0, &color_type, {99, 0, NULL}};
    char memory[16] = {0};
    for (size_t i = 0; i < REFUSED_COUNT; i++) {
        test_note = (long long)i;
        require_code(RILL_EINVAL, rill_type_init(&types[i], memory));
        require_equal(0, rill_type_fingerprint(&types[i]));
    }
    require(state.plan == NULL);
    require_code(RILL_EINVAL, rill_type_init(&color_type, memory)); /* not a value by itself */
    require_code(RILL_EINVAL, rill_type_init(NULL, memory));
    require_code(RILL_EINVAL, rill_type_init(&point_type, NULL));
}

static uint32_t shm = RILL_SHM, inproc = RILL_INPROC, over_socket = RILL_SOCKET;

static const struct test tests[] = {
    {"numbers of every width arrive as they were, at their limits", run_numbers, NULL, 0},
    {"a struct with every kind of field arrives as it was", run_everything, NULL, 0},
    {"a value that is larger than a ring's share arrives as it was", run_large, NULL, 0},
    {"plain structs travel without their gaps", run_plain, NULL, 0},
    {"a value that was only initialised has its defaults, and no descriptor", run_defaults, NULL, 0},
    {"values are ordered by their fields", run_order, NULL, 0},
    {"values are printed in diagnostic notation", run_print, NULL, 0},
    {"handles anywhere in a value arrive with it, over shared memory", run_handles, &shm, 0},
    {"handles anywhere in a value arrive with it, in one process", run_handles, &inproc, 0},
    {"handles anywhere in a value arrive with it, over a socket", run_handles, &over_socket, 0},
    {"regions and buffers travel in values, over shared memory", run_memory, &shm, 0},
    {"regions and buffers travel in values, in one process", run_memory, &inproc, 0},
    {"a value that cannot be encoded or sent keeps its handles, and the channel works on", run_error_leaves, NULL, 0},
    {"a message can be asked for its type, tried, and passed on unread", run_opaque, NULL, 0},
    {"threads that use a type for the first time at once agree on it", run_first_use, NULL, 0},
    {"a message that its sender changes while it is decoded does no harm", run_changing, NULL, 60},
    {"a description that is not in order is refused", run_bad_types, NULL, 0},
};

int main(void)
{
    return run_group("type", tests, COUNT_OF(tests));
}
