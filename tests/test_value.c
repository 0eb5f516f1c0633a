/* SPDX-License-Identifier: MIT */
/* Values: libcbor's trees over channels. */
#include "support.h"

#include <rill/value.h>

/* ---------------------------------------------------------------- the examples of RFC 8949, appendix A */

static const char *const examples[] = {
    "00", "01", "0a", "17", "1818", "1819", "1864", "1903e8", "1a000f4240", "1b000000e8d4a51000", "1bffffffffffffffff",
    "c249010000000000000000", "3bffffffffffffffff", "c349010000000000000000", "20", "29", "3863", "3903e7",
    "f90000", "f98000", "f93c00", "fb3ff199999999999a", "f93e00", "f97bff", "fa47c35000", "fa7f7fffff", "fb7e37e43c8800759c",
    "f90001", "f90400", "f9c400", "fbc010666666666666",
    "f97c00", "f97e00", "f9fc00", "fa7f800000", "fa7fc00000", "faff800000", "fb7ff0000000000000", "fb7ff8000000000000", "fbfff0000000000000",
    "f4", "f5", "f6", "f7",
    "c074323031332d30332d32315432303a30343a30305a", "c11a514b67b0", "c1fb41d452d9ec200000", "d74401020304", "d818456449455446",
    "d82076687474703a2f2f7777772e6578616d706c652e636f6d",
    "40", "4401020304", "60", "6161", "6449455446", "62225c", "62c3bc", "63e6b0b4", "64f0908591",
    "80", "83010203", "8301820203820405", "98190102030405060708090a0b0c0d0e0f101112131415161718181819",
    "a0", "a201020304", "a26161016162820203", "826161a161626163", "a56161614161626142616361436164614461656145",
    "5f42010243030405ff", "7f657374726561646d696e67ff",
    "9fff", "9f018202039f0405ffff", "9f01820203820405ff", "83018202039f0405ff", "83019f0203ff820405",
    "9f0102030405060708090a0b0c0d0e0f101112131415161718181819ff",
    "bf61610161629f0203ffff", "826161bf61626163ff", "bf6346756ef563416d7421ff",
};

/* Those that libcbor 0.8 itself does not decode, but holds and writes: simple values without a meaning; and, not among the examples, tags 6 to 20. */
static const char *const examples_without_libcbor[] = {"f0", "f8ff", "c600", "d400"};

static size_t from_hex(const char *hex, unsigned char *bytes)
{
    size_t size = strlen(hex) / 2;
    for (size_t i = 0; i < size; i++) {
        unsigned byte;
        require(sscanf(hex + 2 * i, "%2x", &byte) == 1);
        bytes[i] = (unsigned char)byte;
    }
    return size;
}

/* Sends the value, and asks that these bytes come out, which decode to a value that does the same. */
static void require_bytes_sent(const cbor_item_t *value, const unsigned char *bytes, size_t size)
{
    rill_sender *tx;
    rill_receiver *rx;
    rill_message *message;
    cbor_item_t *received;
    require_ok(rill_channel(NULL, &tx, &rx));
    require_ok(rill_send_value(tx, value, NULL, 0, RILL_AS_CONFIGURED));
    require_ok(rill_recv_value(rx, RILL_FOREVER, &received, &message));
    require_equal(size, rill_message_size(message));
    require(memcmp(rill_message_data(message), bytes, size) == 0);
    require_ok(rill_message_close(&message));
    unsigned char *again;
    size_t capacity;
    require_equal(size, cbor_serialize_alloc(received, &again, &capacity));
    require(memcmp(again, bytes, size) == 0);
    free(again);
    cbor_decref(&received);
    require_ok(rill_sender_close(&tx));
    require_ok(rill_receiver_close(&rx));
}

static void run_examples(void *argument)
{
    (void)argument;
    unsigned char bytes[128];
    cbor_item_t *value;
    for (size_t i = 0; i < COUNT_OF(examples); i++) {
        size_t size = from_hex(examples[i], bytes);
        test_note = (long long)i;
        require_ok(rill_value_decode(bytes, size, NULL, &value));
        require_bytes_sent(value, bytes, size);
        cbor_decref(&value);
        for (size_t cut = 0; cut < size; cut++)
            require_code(RILL_EDECODE, rill_value_decode(bytes, cut, NULL, &value));
        bytes[size] = 0;
        require_code(RILL_EDECODE, rill_value_decode(bytes, size + 1, NULL, &value));
    }
    for (size_t i = 0; i < COUNT_OF(examples_without_libcbor); i++) {
        struct cbor_load_result result;
        size_t size = from_hex(examples_without_libcbor[i], bytes);
        require(!cbor_load(bytes, size, &result));
        require_ok(rill_value_decode(bytes, size, NULL, &value));
        require_bytes_sent(value, bytes, size);
        cbor_decref(&value);
    }
}

/* ---------------------------------------------------------------- random trees */

static cbor_item_t *random_value(struct dice *dice, unsigned depth);

static cbor_item_t *random_integer(struct dice *dice)
{
    uint64_t number = roll(dice) >> roll_between(dice, 0, 63);
    cbor_item_t *item;
    switch (roll_between(dice, 0, 3)) {
    case 0:
        item = cbor_build_uint8((uint8_t)number);
        break;
    case 1:
        item = cbor_build_uint16((uint16_t)number);
        break;
    case 2:
        item = cbor_build_uint32((uint32_t)number);
        break;
    default:
        item = cbor_build_uint64(number);
        break;
    }
    if (item && roll_between(dice, 0, 1))
        cbor_mark_negint(item);
    return item;
}

static cbor_item_t *random_bytes(struct dice *dice, bool text)
{
    static const size_t sizes[] = {0, 1, 23, 24, 255, 256, 65535, 65536};
    static unsigned char bytes[65537];
    size_t size = sizes[roll_between(dice, 0, roll_between(dice, 0, 9) ? 4 : 7)];
    memset(bytes, 'a' + (int)roll_between(dice, 0, 25), size);
    bytes[size] = 0;
    return text ? cbor_build_stringn((char *)bytes, size) : cbor_build_bytestring(bytes, size);
}

static cbor_item_t *random_pieces(struct dice *dice, bool text)
{
    cbor_item_t *item = text ? cbor_new_indefinite_string() : cbor_new_indefinite_bytestring();
    for (uint64_t i = roll_between(dice, 0, 3); i > 0; i--)
        require(text ? cbor_string_add_chunk(item, cbor_move(random_bytes(dice, true)))
                     : cbor_bytestring_add_chunk(item, cbor_move(random_bytes(dice, false))));
    return item;
}

static cbor_item_t *random_simple(struct dice *dice)
{
    double number = (double)roll(dice) / (double)(1 + (roll(dice) >> roll_between(dice, 0, 63)));
    switch (roll_between(dice, 0, 4)) {
    case 0:
        return cbor_build_bool(number > 1);
    case 1:
        return cbor_new_null();
    case 2:
        return cbor_build_float4((float)number);
    case 3:
        return cbor_build_float2(1.5f);
    default:
        return cbor_build_float8(number);
    }
}

static cbor_item_t *random_array(struct dice *dice, unsigned depth)
{
    static const size_t counts[] = {0, 1, 3, 24};
    size_t count = counts[roll_between(dice, 0, 3)];
    cbor_item_t *item = roll_between(dice, 0, 1) ? cbor_new_definite_array(count) : cbor_new_indefinite_array();
    for (size_t i = 0; i < count; i++)
        require(cbor_array_push(item, cbor_move(random_value(dice, depth))));
    return item;
}

static cbor_item_t *random_map(struct dice *dice, unsigned depth)
{
    size_t count = roll_between(dice, 0, 4);
    cbor_item_t *item = roll_between(dice, 0, 1) ? cbor_new_definite_map(count) : cbor_new_indefinite_map();
    for (size_t i = 0; i < count; i++)
        require(cbor_map_add(item, (struct cbor_pair){.key = cbor_move(random_value(dice, 0)), .value = cbor_move(random_value(dice, depth))}));
    return item;
}

static cbor_item_t *random_value(struct dice *dice, unsigned depth)
{
    cbor_item_t *item;
    switch (roll_between(dice, 0, depth ? 8 : 4)) {
    case 0:
        return random_integer(dice);
    case 1:
        return random_bytes(dice, false);
    case 2:
        return random_bytes(dice, true);
    case 3:
        return random_simple(dice);
    case 4:
        return random_pieces(dice, roll_between(dice, 0, 1));
    case 5:
    case 6:
        return random_array(dice, depth - 1);
    case 7:
        return random_map(dice, depth - 1);
    default:
        item = random_value(dice, depth - 1);
        return cbor_build_tag(roll(dice) >> roll_between(dice, 0, 63), cbor_move(item));
    }
}

static void run_random(void *argument)
{
    (void)argument;
    struct dice dice = {.state = 12};
    for (size_t i = 0; i < rounds(600); i++) {
        test_note = (long long)i;
        cbor_item_t *value = random_value(&dice, 4);
        unsigned char *bytes;
        size_t capacity, size = cbor_serialize_alloc(value, &bytes, &capacity);
        require(size > 0);
        require_bytes_sent(value, bytes, size);
        cbor_decref(&value);
        free(bytes);
    }
}

/* ---------------------------------------------------------------- handles */

static cbor_item_t *pair_of(cbor_item_t *first, cbor_item_t *second)
{
    cbor_item_t *pair = cbor_new_definite_array(2);
    require(pair && cbor_array_push(pair, cbor_move(first)) && cbor_array_push(pair, cbor_move(second)));
    return pair;
}

static void run_handles(void *argument)
{
    (void)argument;
    rill_sender *tx, *reply, *other_tx;
    rill_receiver *rx, *answers, *other_rx;
    rill_message *message;
    require_ok(rill_channel(NULL, &tx, &rx));
    require_ok(rill_channel(NULL, &reply, &answers));
    require_ok(rill_channel(NULL, &other_tx, &other_rx));
    struct rill_handle handles[] = {
        {.kind = RILL_HANDLE_SENDER, .as.sender = reply},
        {.kind = RILL_HANDLE_RECEIVER, .as.receiver = other_rx},
        {.kind = RILL_HANDLE_DESCRIPTOR, .as.descriptor = 0},
    };
    cbor_item_t *value = pair_of(pair_of(rill_value_handle(RILL_HANDLE_DESCRIPTOR, 2), rill_value_handle(RILL_HANDLE_SENDER, 0)),
                                 cbor_build_tag(1, cbor_move(rill_value_handle(RILL_HANDLE_RECEIVER, 1))));
    require_code(RILL_EINVAL, rill_send_value(tx, value, handles, 2, RILL_NOW)); /* one that is not there */
    handles[2].kind = RILL_HANDLE_SENDER;
    require_code(RILL_EINVAL, rill_send_value(tx, value, handles, 3, RILL_NOW)); /* one of another kind */
    handles[2] = (struct rill_handle){.kind = RILL_HANDLE_DESCRIPTOR, .as.descriptor = 9999};
    require_code(RILL_EDESCRIPTOR, rill_send_value(tx, value, handles, 3, RILL_NOW));
    require(handles[1].as.receiver == other_rx && handles[0].as.sender == reply);
    require_code(RILL_EEMPTY, rill_try_recv(rx, &message));
    handles[2].as.descriptor = 0;
    require_ok(rill_send_value(tx, value, handles, 3, RILL_NOW));
    require(!handles[1].as.receiver && handles[0].as.sender == reply);
    cbor_decref(&value);

    require_ok(rill_recv_value(rx, RILL_FOREVER, &value, &message));
    uint32_t kind;
    size_t index;
    const cbor_item_t *inner = cbor_array_handle(cbor_array_handle(value)[0])[1];
    require(rill_value_is_handle(inner, &kind, &index) && kind == RILL_HANDLE_SENDER && index == 0);
    require(!rill_value_is_handle(value, NULL, NULL) && !rill_value_is_handle(NULL, NULL, NULL));
    cbor_decref(&value);
    rill_sender *answer;
    require_ok(rill_message_take_sender(message, index, &answer));
    require_ok(rill_message_take_receiver(message, 1, &other_rx));
    require_ok(rill_message_value(message, NULL, &value)); /* also when they were taken */
    cbor_decref(&value);
    require_ok(rill_message_close(&message));
    require_ok(send_number(answer, 4));
    require_equal(4, receive_number(answers));
    require_ok(rill_sender_close(&answer));
    require_ok(rill_sender_close(&reply));
    require_ok(rill_sender_close(&tx));
    require_ok(rill_sender_close(&other_tx));
    require_ok(rill_receiver_close(&rx));
    require_ok(rill_receiver_close(&answers));
    require_ok(rill_receiver_close(&other_rx));
}

/* ---------------------------------------------------------------- what has to be refused */

static void run_hostile(void *argument)
{
    (void)argument;
    static const char *const malformed[] = {
        "", "1c", "1d", "1e", "1f", "3f", "ff", "81", "8201", "a1", "a101", "9f", "bf01ff", "bf01", "5f", "5f6161ff", "5f5f4100ffff", "7f4161ff",
        "c1", "df00", "f800", "f81f", "fc", "fe", "62c328", "61ff", "63eda080", "64f4908080", "62c080", "9bffffffffffffffff", "bbffffffffffffffff",
        "5bffffffffffffffff", "7b7fffffffffffffff00", "9a7fffffff00", "ba7fffffff00", "9b800000000000000100", "da72696c0100", "da72696c01f6",
    };
    unsigned char bytes[128];
    cbor_item_t *value;
    for (size_t i = 0; i < COUNT_OF(malformed); i++) {
        size_t size = from_hex(malformed[i], bytes);
        test_note = (long long)i;
        require_code(RILL_EDECODE, rill_value_decode(bytes, size, NULL, &value));
    }
}

static void run_limits(void *argument)
{
    (void)argument;
    static unsigned char deep[1 << 20], wide[4096] = {0x99, 0x0f, 0xfd};
    struct rill_limits limits = {.size = sizeof limits};
    cbor_item_t *value;
    memset(deep, 0x81, sizeof deep);
    deep[64] = deep[511] = 0;
    require_ok(rill_value_decode(deep, 65, NULL, &value));
    cbor_decref(&value);
    deep[64] = 0x81;
    deep[65] = 0;
    require_code(RILL_EDECODE, rill_value_decode(deep, 66, NULL, &value));
    require_code(RILL_EDECODE, rill_value_decode(deep, sizeof deep, NULL, &value));
    deep[65] = 0x81;
    limits.max_depth = 511;
    require_ok(rill_value_decode(deep, 512, &limits, &value));
    cbor_decref(&value);
    limits.max_depth = 510;
    require_code(RILL_EDECODE, rill_value_decode(deep, 512, &limits, &value));
    limits.max_depth = 513;
    require_code(RILL_EINVAL, rill_value_decode(deep, 512, &limits, &value));

    limits = (struct rill_limits){.size = sizeof limits, .max_items = 4094};
    require_ok(rill_value_decode(wide, sizeof wide, &limits, &value));
    cbor_decref(&value);
    limits.max_items = 4093;
    require_code(RILL_EDECODE, rill_value_decode(wide, sizeof wide, &limits, &value));
    limits = (struct rill_limits){.size = sizeof limits, .max_bytes = 65536};
    require_code(RILL_EDECODE, rill_value_decode(wide, sizeof wide, &limits, &value));
    limits.size = 3;
    require_code(RILL_EINVAL, rill_value_decode(wide, sizeof wide, &limits, &value));
    require_code(RILL_EINVAL, rill_value_decode(NULL, 1, NULL, &value));
    require_code(RILL_EINVAL, rill_value_decode(wide, 1, NULL, NULL));
}

static void run_unsendable(void *argument)
{
    (void)argument;
    rill_sender *tx;
    rill_receiver *rx;
    rill_message *message;
    require_ok(rill_channel(NULL, &tx, &rx));
    cbor_item_t *items[] = {cbor_build_ctrl(24), cbor_build_stringn("\xff", 1), cbor_new_tag(7), rill_value_handle(RILL_HANDLE_SENDER, 0)};
    for (size_t i = 0; i < COUNT_OF(items); i++) {
        test_note = (long long)i;
        require_code(RILL_EINVAL, rill_send_value(tx, items[i], NULL, 0, RILL_NOW));
        if (i == 2) /* libcbor cannot free a tag without its item */
            cbor_tag_set_item(items[i], cbor_move(cbor_new_null()));
        cbor_decref(&items[i]);
    }
    cbor_item_t *deep = cbor_build_uint8(1);
    for (size_t i = 0; i < 600; i++)
        deep = cbor_build_tag(1, cbor_move(deep));
    require_code(RILL_EINVAL, rill_send_value(tx, deep, NULL, 0, RILL_NOW));
    cbor_decref(&deep);
    require_code(RILL_EINVAL, rill_send_value(tx, NULL, NULL, 0, RILL_NOW));
    require(!rill_value_handle(RILL_HANDLE_OPAQUE, 0) && !rill_value_handle(0, 0));
    require_code(RILL_EEMPTY, rill_try_recv(rx, &message));
    require_ok(rill_sender_close(&tx));
    require_ok(rill_receiver_close(&rx));
}

static const struct test tests[] = {
    {"the examples of RFC 8949 travel and decode, and cut off they do not", run_examples, NULL, 0},
    {"random trees arrive as they were", run_random, NULL, 0},
    {"handles stand anywhere in a value", run_handles, NULL, 0},
    {"bytes that are not one value are refused", run_hostile, NULL, 0},
    {"depth, items and bytes have limits", run_limits, NULL, 0},
    {"a tree that is not a value is not sent", run_unsendable, NULL, 0},
};

int main(void)
{
    return run_group("value", tests, COUNT_OF(tests));
}
