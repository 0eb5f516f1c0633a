/* SPDX-License-Identifier: MIT */
/* Receivers that move in shared-memory mode: what stays behind, what goes along, and what a mover may claim. */
#include "pair.h"

#include "src/channel.h"
#include "src/handle.h"
#include "src/inbox.h"

static int move(rill_sender *tx, rill_receiver **rx)
{
    struct rill_handle handle = {.kind = RILL_HANDLE_RECEIVER, .as.receiver = *rx};
    int code = rill_send_handles(tx, NULL, 0, &handle, 1);
    *rx = handle.as.receiver;
    return code;
}

static rill_receiver *accept_receiver(rill_receiver *from)
{
    rill_message *message;
    rill_receiver *rx;
    require_ok(rill_recv(from, &message));
    require_ok(rill_message_take_receiver(message, 0, &rx));
    require_ok(rill_message_close(&message));
    return rx;
}

static const size_t sizes[] = {8, 300, 5000, 60000, 70000, 500000, 3000000};
enum { SIZES = COUNT_OF(sizes), ROUNDS = 12 };

static void send_all(rill_sender *tx, unsigned seed)
{
    for (unsigned i = 0; i < SIZES; i++)
        require_ok(send_filled(tx, sizes[i], seed + i));
}

/* Another process sends on; the receiver moves to a second child, while this one goes on reading what it holds. */
static void held_messages_stay(void *unused)
{
    (void)unused;
    struct pair pair = open_pair(), carrier = open_pair();
    struct board *board = board_make(NULL);
    pid_t sender = fork_child();
    if (sender == 0) {
        require_ok(rill_receiver_close(&pair.rx));
        for (unsigned round = 0; round < ROUNDS; round++)
            send_all(pair.tx, round * 100);
        flag_raise(board, 0);
        flag_wait(board, 1);
        for (unsigned round = 0; round < 30; round++) /* over whatever would have come back too early */
            send_all(pair.tx, 5000 + round * 100);
        require_ok(rill_sender_close(&pair.tx));
        _exit(0);
    }
    pid_t heir = fork_child();
    if (heir == 0) {
        require_ok(rill_sender_close(&pair.tx));
        require_ok(rill_receiver_close(&pair.rx));
        rill_receiver *rx = accept_receiver(carrier.rx);
        flag_raise(board, 1);
        for (unsigned round = 2; round < ROUNDS; round++)
            for (unsigned i = 0; i < SIZES; i++)
                receive_filled(rx, sizes[i], round * 100 + i);
        for (unsigned round = 0; round < 30; round++)
            for (unsigned i = 0; i < SIZES; i++)
                receive_filled(rx, sizes[i], 5000 + round * 100 + i);
        rill_message *message;
        require_code(RILL_EDISCONNECTED, rill_recv(rx, &message));
        require_ok(rill_receiver_close(&rx));
        _exit(0);
    }
    require_ok(rill_sender_close(&pair.tx));
    rill_message *held[2 * SIZES];
    flag_wait(board, 0);
    for (unsigned i = 0; i < 2 * SIZES; i++)
        require_ok(rill_recv(pair.rx, &held[i]));
    const void *before[2 * SIZES];
    for (unsigned i = 0; i < 2 * SIZES; i++)
        before[i] = rill_message_data(held[i]);
    require_ok(move(carrier.tx, &pair.rx));
    require(pair.rx == NULL);
    join_child(heir);
    join_child(sender);
    for (unsigned i = 0; i < 2 * SIZES; i++) {
        test_note = i;
        require(rill_message_data(held[i]) == before[i]);
        require_message(&held[i], sizes[i % SIZES], i / SIZES * 100 + i % SIZES);
    }
    close_pair(&carrier);
}

static void back_and_forth(void *unused)
{
    (void)unused;
    struct pair pair = open_pair(), carrier = open_pair();
    for (unsigned i = 0; i < 50; i++) {
        test_note = i;
        require_ok(send_filled(pair.tx, sizes[i % 6], i));
        require_ok(send_number(pair.tx, i));
        receive_filled(pair.rx, sizes[i % 6], i);
        require_ok(move(carrier.tx, &pair.rx));
        require_ok(send_number(pair.tx, i + 1000));
        pair.rx = accept_receiver(carrier.rx);
        require_equal(i, receive_number(pair.rx));
        require_equal(i + 1000, receive_number(pair.rx));
    }
    close_pair(&pair);
    close_pair(&carrier);
}

/* In a lane of this process's own the block that is being read cannot be set aside. */
static void own_blocks_hold_it(void *unused)
{
    (void)unused;
    struct pair pair = open_pair(), carrier = open_pair();
    rill_message *message;
    require_ok(send_filled(pair.tx, 1000, 1));
    require_ok(rill_recv(pair.rx, &message));
    require_code(RILL_EBUSY, move(carrier.tx, &pair.rx));
    require(pair.rx != NULL);
    require_ok(send_number(pair.tx, 3));
    require_equal(3, receive_number(pair.rx));
    require_message(&message, 1000, 1);
    require_ok(move(carrier.tx, &pair.rx));
    pair.rx = accept_receiver(carrier.rx);
    require_ok(send_number(pair.tx, 4));
    require_equal(4, receive_number(pair.rx));
    close_pair(&pair);
    close_pair(&carrier);
}

/* Whatever a description says, opening it is an error or gives a receiver that errors or works. */
static void lies(void *unused)
{
    (void)unused;
    uint64_t dice = 1;
    for (unsigned round = 0; round < 3000; round++) {
        test_note = round;
        struct pair pair = open_pair();
        require_ok(send_number(pair.tx, 1));
        require_ok(send_number(pair.tx, 2));
        require_equal(1, receive_number(pair.rx));
        struct rill_handle handle = {.kind = RILL_HANDLE_RECEIVER, .as.receiver = pair.rx};
        struct rill_parcel parcel;
        require_ok(rill_parcel_pack(&parcel, &handle, 1, NULL));
        dice = dice * UINT64_C(6364136223846793005) + 1442695040888963407;
        uint64_t at = 16 + (dice >> 33) % (parcel.section_bytes - 16);
        parcel.section[at] = (unsigned char)(dice >> 20);
        rill_object objects[8];
        require(parcel.object_count <= COUNT_OF(objects));
        for (uint32_t i = 0; i < parcel.object_count; i++)
            require_ok(rill_port_duplicate(parcel.objects[i], &objects[i]));
        uint32_t count = parcel.object_count;
        struct rill_attachment *attachment;
        require_ok(rill_attachment_make(parcel.section, parcel.section_bytes, objects, count, 1, NULL, &attachment));
        rill_parcel_undo(&parcel);
        int code = rill_travel_of(RILL_HANDLE_RECEIVER)->open(&attachment->travellers[0], &handle);
        if (code == RILL_OK) {
            rill_message *message;
            if (rill_try_recv(handle.as.receiver, &message) == RILL_OK)
                require_ok(rill_message_close(&message));
            require_ok(rill_receiver_release(&handle.as.receiver));
        }
        rill_attachment_free(attachment);
        close_pair(&pair);
    }
}

static const struct test tests[] = {
    {"messages read in place stay readable where they are, and their memory goes back", held_messages_stay, NULL, 60},
    {"a receiver comes back with its queue as often as it is sent", back_and_forth, NULL, 0},
    {"a block of the process's own that is being read holds a move up", own_blocks_hold_it, NULL, 0},
    {"a lying description harms nobody", lies, NULL, 60},
};

int main(void)
{
    return run_group("move", tests, COUNT_OF(tests));
}
