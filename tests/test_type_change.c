/* SPDX-License-Identifier: MIT */
/* Programs whose types differ: what goes together, and what is refused; and what limits hold against. */
#include "support.h"

#include <stdbool.h>

#include <rill/value.h>

/* Several versions of one type. Each is in a namespace of its own by its C name, and has the same name on the wire. */
#define VERSION(version, LIST) \
    RILL_STRUCT(version, LIST); \
    static struct rill_type_state version##_same_state; \
    static struct rill_type version##_same; \
    static void version##_prepare(void) \
    { \
        version##_same = version##_type; \
        version##_same.name = "order"; \
        version##_same.state = &version##_same_state; \
    }

#define FIRST(F) F(u32, number) F(string, text)
VERSION(first, FIRST)
#define ADDED(F) F(optional, note, string) F(string, text) F(defaulted, priority, 5, i32) F(u32, number) F(optional, weight, f64)
VERSION(added, ADDED)
#define WIDER(F) F(i64, number) F(string, text)
VERSION(wider, WIDER)
#define REQUIRED(F) F(u32, number) F(string, text) F(u32, more)
VERSION(required, REQUIRED)
#define OTHER_KIND(F) F(string, number) F(string, text)
VERSION(other_kind, OTHER_KIND)

#define PAIR(F) F(u32, a) F(u32, b)
RILL_PLAIN_STRUCT(pair, PAIR);
#define SWAPPED(F) F(u32, b) F(u32, a)
RILL_PLAIN_STRUCT(swapped, SWAPPED);
#define PAIRS(F) F(list, pairs, nested, pair) F(nested, one, pair)
RILL_STRUCT(pairs, PAIRS);
#define SWAPPED_PAIRS(F) F(list, pairs, nested, swapped) F(nested, one, swapped)
RILL_STRUCT(swapped_pairs, SWAPPED_PAIRS);

static void open_channel(rill_sender **tx, rill_receiver **rx)
{
    first_prepare();
    added_prepare();
    wider_prepare();
    required_prepare();
    other_kind_prepare();
    require_ok(rill_channel(NULL, tx, rx));
}

static void close_channel(rill_sender **tx, rill_receiver **rx)
{
    require_ok(rill_sender_close(tx));
    require_ok(rill_receiver_close(rx));
}

static struct first first = {7, (char *)(uintptr_t)"seven"};

static void run_added(void *argument)
{
    (void)argument;
    rill_sender *tx;
    rill_receiver *rx;
    struct added added, second = {.text = (char *)(uintptr_t)"new", .number = 8, .priority = 9, .weight = {true, 0.5}};
    struct first back;
    open_channel(&tx, &rx);
    require_ok(rill_send_as(tx, &first_same, &first));
    require_ok(rill_recv_as(rx, &added_same, &added)); /* missing: defaults */
    require(added.number == 7 && strcmp(added.text, "seven") == 0 && added.priority == 5 && !added.note.present && !added.weight.present);
    require_ok(rill_type_free(&added_same, &added));
    require_ok(rill_send_as(tx, &added_same, &second));
    require_ok(rill_recv_as(rx, &first_same, &back)); /* unknown: skipped */
    require(back.number == 8 && strcmp(back.text, "new") == 0);
    require_ok(rill_type_free(&first_same, &back));
    close_channel(&tx, &rx);
}

static void run_wider(void *argument)
{
    (void)argument;
    rill_sender *tx;
    rill_receiver *rx;
    struct wider wider, far = {.number = INT64_C(1) << 32, .text = NULL};
    struct first back;
    open_channel(&tx, &rx);
    require_ok(rill_send_as(tx, &first_same, &first));
    require_ok(rill_recv_as(rx, &wider_same, &wider));
    require(wider.number == 7);
    require_ok(rill_send_as(tx, &wider_same, &wider));
    require_ok(rill_type_free(&wider_same, &wider));
    require_ok(rill_recv_as(rx, &first_same, &back));
    require_ok(rill_type_free(&first_same, &back));
    require_ok(rill_send_as(tx, &wider_same, &far));
    require_code(RILL_ETYPE, rill_recv_as(rx, &first_same, &back)); /* does not fit */
    far.number = -1;
    require_ok(rill_send_as(tx, &wider_same, &far));
    require_code(RILL_ETYPE, rill_recv_as(rx, &first_same, &back));
    close_channel(&tx, &rx);
}

static void run_incompatible(void *argument)
{
    (void)argument;
    rill_sender *tx;
    rill_receiver *rx;
    rill_message *message;
    struct required required;
    struct other_kind other;
    struct wider wider;
    struct first back;
    open_channel(&tx, &rx);
    for (size_t i = 0; i < 4; i++)
        require_ok(rill_send_as(tx, &first_same, &first));
    require_code(RILL_ETYPE, rill_recv_as(rx, &required_same, &required)); /* one is missing */
    require(!required.text);
    require_code(RILL_ETYPE, rill_recv_as(rx, &other_kind_same, &other)); /* one is of another kind */
    require_code(RILL_ETYPE, rill_recv_as(rx, &wider_type, &wider));      /* the same fields under another name */
    require_ok(rill_recv(rx, &message));
    require_code(RILL_ETYPE, rill_message_as(message, &required_same, NULL, &required));
    require_ok(rill_message_as(message, &first_same, NULL, &back)); /* it is still there */
    require_ok(rill_message_close(&message));
    require_ok(rill_type_free(&first_same, &back));
    close_channel(&tx, &rx);
}

/* Plain structs have no names on the wire: the fingerprint stands for all of them. */
static void run_plain(void *argument)
{
    (void)argument;
    rill_sender *tx;
    rill_receiver *rx;
    struct pair pair = {1, 2};
    struct swapped swapped;
    struct rill_type as_pair = swapped_type, as_pairs = swapped_pairs_type;
    struct rill_type_state states[2] = {{NULL}, {NULL}};
    open_channel(&tx, &rx);
    as_pair.name = "pair";
    as_pair.state = &states[0];
    require_ok(rill_send_as(tx, &pair_type, &pair));
    require_code(RILL_ETYPE, rill_recv_as(rx, &as_pair, &swapped));
    struct pairs pairs = {.pairs = {&pair, 1}, .one = pair};
    struct swapped_pairs others;
    as_pairs.name = "pairs";
    as_pairs.state = &states[1];
    require_ok(rill_send_as(tx, &pairs_type, &pairs));
    require_code(RILL_ETYPE, rill_recv_as(rx, &as_pairs, &others)); /* not by way of what contains them, either */
    require(!others.pairs.items);
    require_ok(rill_type_forget(&as_pair));
    require_ok(rill_type_forget(&as_pairs));
    close_channel(&tx, &rx);
}

/* What a program without rill's types may write. */
struct hand_made {
    const char *hex;
    int code;
    const struct rill_type *type;
};

#define ENVELOPE_PAIR "da72696c20836470616972"
#define ENVELOPE_FIRST "da72696c2083656669727374"

static const struct hand_made hand_made[] = {
    {ENVELOPE_PAIR "00a2616201616102", RILL_OK, &pair_type},                             /* a map, in another order, without a fingerprint */
    {ENVELOPE_PAIR "00bf61620161611a00000002ff", RILL_OK, &pair_type},                   /* indefinite, longer than it need be */
    {"da72696c209f6470616972" "00a2616201616102ff", RILL_ETYPE, &pair_type},             /* the envelope itself is an array of three */
    {ENVELOPE_PAIR "004801000000" "02000000", RILL_ETYPE, &pair_type},                   /* bytes need the fingerprint */
    {ENVELOPE_PAIR "00a2616201616201", RILL_EDECODE, &pair_type},                        /* twice the same */
    {ENVELOPE_PAIR "00a16162f5", RILL_ETYPE, &pair_type},
    {ENVELOPE_PAIR "00a2616201616102" "00", RILL_EDECODE, &pair_type},                   /* something behind */
    {ENVELOPE_PAIR "00a3616201616102" "0a9f0102ff", RILL_OK, &pair_type},                /* a key that is no text, and an item of any kind */
    {ENVELOPE_PAIR "00a3616201616102" "0a9f0102", RILL_EDECODE, &pair_type},
    {ENVELOPE_FIRST "00a2666e756d62657207" "64746578747f62616261" "63ff", RILL_OK, &first_type}, /* text in pieces */
    {ENVELOPE_FIRST "00a2666e756d62657207" "64746578747f42616261" "63ff", RILL_EDECODE, &first_type},
    {ENVELOPE_FIRST "00a2666e756d62657207" "6474657874626100", RILL_EDECODE, &first_type}, /* a 0 inside */
    {ENVELOPE_FIRST "00a2666e756d62657207" "647465787461ff", RILL_EDECODE, &first_type},  /* no UTF-8 */
    {ENVELOPE_FIRST "00a2666e756d62657207" "6474657874f6", RILL_OK, &first_type},
    {ENVELOPE_FIRST "00a2666e756d626572f6" "6474657874f6", RILL_ETYPE, &first_type},
    {ENVELOPE_FIRST "00a2666e756d6265721b0000000100000000" "6474657874f6", RILL_ETYPE, &first_type},
    {"", RILL_ETYPE, &first_type},
    {"a0", RILL_ETYPE, &first_type},
    {ENVELOPE_FIRST, RILL_ETYPE, &first_type},
    {ENVELOPE_FIRST "00", RILL_EDECODE, &first_type},
};

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

static void run_hand_made(void *argument)
{
    (void)argument;
    unsigned char bytes[128];
    union {
        struct pair pair;
        struct first first;
    } value;
    for (size_t i = 0; i < COUNT_OF(hand_made); i++) {
        test_note = (long long)i;
        require_code(hand_made[i].code, rill_type_decode(hand_made[i].type, bytes, from_hex(hand_made[i].hex, bytes), NULL, &value));
        require(hand_made[i].code != RILL_OK || hand_made[i].type != &pair_type || (value.pair.a == 2 && value.pair.b == 1));
        require_ok(rill_type_free(hand_made[i].type, &value));
    }
}

/* ---------------------------------------------------------------- handles that a message claims to have */

#define TWO(F) F(sender, a) F(sender, b)
RILL_STRUCT(two, TWO);

#define ENVELOPE_TWO "da72696c20836374776f00a2"

static const struct {
    const char *hex;
    int code;
} claims[] = {
    {ENVELOPE_TWO "6161da72696c0100" "6162da72696c0101", RILL_OK},
    {ENVELOPE_TWO "6161da72696c0101" "6162da72696c0100", RILL_OK},
    {ENVELOPE_TWO "6161da72696c0100" "6162f6", RILL_OK},
    {ENVELOPE_TWO "6161da72696c0100" "6162da72696c0100", RILL_EDECODE},               /* twice */
    {ENVELOPE_TWO "6161da72696c0100" "6162da72696c0102", RILL_EDECODE},               /* of another kind in the message */
    {ENVELOPE_TWO "6161da72696c0100" "6162da72696c0103", RILL_EDECODE},               /* not there */
    {ENVELOPE_TWO "6161da72696c0100" "6162da72696c011bffffffffffffffff", RILL_EDECODE},
    {ENVELOPE_TWO "6161da72696c0100" "6162da72696c0201", RILL_ETYPE},                 /* of another kind by its tag */
    {ENVELOPE_TWO "6161da72696c0100" "616201", RILL_ETYPE},
};

static void run_claims(void *argument)
{
    (void)argument;
    rill_sender *tx, *taken;
    rill_receiver *rx;
    rill_message *message;
    unsigned char bytes[128];
    struct two two;
    open_channel(&tx, &rx);
    struct rill_handle of_tx = {.kind = RILL_HANDLE_SENDER, .as.sender = tx}, handles[] = {of_tx, of_tx, {.kind = RILL_HANDLE_DESCRIPTOR}};
    for (size_t i = 0; i < COUNT_OF(claims); i++) {
        test_note = (long long)i;
        require_ok(rill_send_handles(tx, bytes, from_hex(claims[i].hex, bytes), handles, 3));
        require_ok(rill_recv(rx, &message));
        require_code(claims[i].code, rill_message_as(message, &two_type, NULL, &two));
        require(!two.a == (claims[i].code != RILL_OK));
        require_ok(rill_type_free(&two_type, &two));
        if (claims[i].code != RILL_OK) { /* nothing was taken */
            require_ok(rill_message_take_sender(message, 0, &taken));
            require_ok(rill_sender_close(&taken));
        }
        require_ok(rill_message_close(&message));
    }
    close_channel(&tx, &rx);
}

/* ---------------------------------------------------------------- limits */

#define TREE(F) F(list, children, nested, tree)
RILL_STRUCT(tree, TREE);
#define BIG(F) F(optional, text, string) F(array, room, 1000, u64)
RILL_STRUCT(big, BIG);
#define BIGS(F) F(list, all, nested, big)
RILL_STRUCT(bigs, BIGS);

static void run_limits(void *argument)
{
    (void)argument;
    struct rill_limits limits = {.size = sizeof limits};
    struct tree trees[200], tree;
    static unsigned char bytes[1 << 17];
    size_t size;
    for (size_t i = 0; i < COUNT_OF(trees); i++)
        trees[i] = (struct tree){.children = {i + 1 < COUNT_OF(trees) ? &trees[i + 1] : NULL, i + 1 < COUNT_OF(trees)}};
    require_code(RILL_EINVAL, rill_type_encode(&tree_type, &trees[0], bytes, sizeof bytes, &size));
    require_ok(rill_type_encode(&tree_type, &trees[COUNT_OF(trees) - 100], bytes, sizeof bytes, &size));
    require_code(RILL_EDECODE, rill_type_decode(&tree_type, bytes, size, NULL, &tree));
    limits.max_depth = 200;
    require_ok(rill_type_decode(&tree_type, bytes, size, &limits, &tree));
    require_ok(rill_type_free(&tree_type, &tree));
    limits.max_items = 199;
    require_code(RILL_EDECODE, rill_type_decode(&tree_type, bytes, size, &limits, &tree));

    /* One byte for a large struct: what is allocated is bounded, however short the message. */
    struct bigs bigs;
    unsigned char *at = bytes + from_hex("da72696c208364" "62696773" "00a163616c6c9a00010000", bytes);
    memset(at, 0xa0, 1 << 16);
    size = (size_t)(at - bytes) + (1 << 16);
    require_code(RILL_EDECODE, rill_type_decode(&bigs_type, bytes, size, NULL, &bigs));
    limits = (struct rill_limits){.size = sizeof limits, .max_bytes = (uint64_t)sizeof(struct big) << 16};
    require_code(RILL_ETYPE, rill_type_decode(&bigs_type, bytes, size, &limits, &bigs)); /* enough for it; then a field is missing */
    require(!bigs.all.items && !bigs.all.count);
    limits.max_depth = 513;
    require_code(RILL_EINVAL, rill_type_decode(&bigs_type, bytes, size, &limits, &bigs));
}

/* ---------------------------------------------------------------- typed messages and values */

/* A typed message is a value, too, for who does not know the type. */
static void run_as_value(void *argument)
{
    (void)argument;
    rill_sender *tx;
    rill_receiver *rx;
    rill_message *message;
    cbor_item_t *value;
    struct first back;
    open_channel(&tx, &rx);
    require_ok(rill_send_as(tx, &first_type, &first));
    require_ok(rill_recv_value(rx, RILL_FOREVER, &value, &message));
    require(cbor_isa_tag(value) && cbor_tag_value(value) == RILL_TAG_TYPED);
    require_ok(rill_message_close(&message));
    require_ok(rill_send_value(tx, value, NULL, 0, RILL_NOW)); /* and back */
    cbor_decref(&value);
    require_ok(rill_recv_as(rx, &first_type, &back));
    require(back.number == 7 && strcmp(back.text, "seven") == 0);
    require_ok(rill_type_free(&first_type, &back));
    close_channel(&tx, &rx);
}

/* Two programs with different types on one channel: each message says what it is. */
static void run_many_senders(void *argument)
{
    (void)argument;
    rill_sender *tx;
    rill_receiver *rx;
    struct first back;
    size_t good = 0, bad = 0;
    open_channel(&tx, &rx);
    pid_t children[4];
    for (size_t i = 0; i < COUNT_OF(children); i++) {
        children[i] = fork_child();
        if (children[i] != 0)
            continue;
        struct pair pair = {1, 2};
        for (size_t k = 0; k < 100; k++)
            require_ok(i % 2 ? rill_send_as(tx, &first_type, &first) : rill_send_as(tx, &pair_type, &pair));
        _exit(0);
    }
    require_ok(rill_sender_close(&tx));
    for (int code; (code = rill_recv_as(rx, &first_type, &back)) != RILL_EDISCONNECTED;) {
        require(code == RILL_OK || code == RILL_ETYPE);
        good += code == RILL_OK;
        bad += code == RILL_ETYPE;
        require_ok(rill_type_free(&first_type, &back));
    }
    require(good == 200 && bad == 200);
    for (size_t i = 0; i < COUNT_OF(children); i++)
        join_child(children[i]);
    require_ok(rill_receiver_close(&rx));
}

static const struct test tests[] = {
    {"fields that were added are skipped by old programs, and have their defaults in new ones", run_added, NULL, 0},
    {"numbers may become wider, as long as they fit", run_wider, NULL, 0},
    {"what is not compatible is refused, and the message is still there", run_incompatible, NULL, 0},
    {"plain structs that differ are refused, also inside of others", run_plain, NULL, 0},
    {"what other languages write is accepted if it is of the type", run_hand_made, NULL, 0},
    {"handles that stand twice, or are not there, are refused, and none is taken", run_claims, NULL, 0},
    {"depth, items and memory have limits", run_limits, NULL, 0},
    {"a typed message is a value for whoever does not know its type", run_as_value, NULL, 0},
    {"senders of different types on one channel are told apart", run_many_senders, NULL, 0},
};

int main(void)
{
    return run_group("type_change", tests, COUNT_OF(tests));
}
