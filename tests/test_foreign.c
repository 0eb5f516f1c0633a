/* SPDX-License-Identifier: MIT */
/* usage: test_foreign PYTHON SCRIPT LIBRARY
 *
 * What is on the wire is standard CBOR: another program reads it with another implementation, and sends back. */
#include "support.h"

#include <stdbool.h>
#include <sys/wait.h>

#include <rill/value.h>

#define STATE(F) F(state_new, 1) F(state_done, 2)
RILL_ENUM(state, STATE);
#define PLACE(F) F(u8, x) F(i32, y) F(boolean, z)
RILL_PLAIN_STRUCT(place, PLACE);
#define FORM(F) F(f64, side) F(string, name)
RILL_UNION(form, FORM);
#define JOB(F) \
    F(u64, id) F(i64, low) F(f64, ratio) F(f32, small) F(boolean, on) F(string, title) F(text, code, 8) F(bytes, blob) F(octets, hash, 3) \
    F(enumeration, state, state) F(list, numbers, u32) F(array, corner, 2, i8) F(optional, note, string) F(optional, missing, u8) \
    F(nested, shape, form) F(string, nothing) F(nested, place, place) F(list, path, nested, place)
RILL_STRUCT(job, JOB);

static char **program;

struct ends {
    rill_sender *to;
    rill_receiver *from;
    pid_t child;
};

static void start(struct ends *ends)
{
    struct rill_handle handles[2] = {{.kind = RILL_HANDLE_RECEIVER}, {.kind = RILL_HANDLE_SENDER}};
    require_ok(rill_channel(NULL, &ends->to, &handles[0].as.receiver));
    require_ok(rill_channel(NULL, &handles[1].as.sender, &ends->from));
    require_ok(rill_spawn(program[0], program, NULL, handles, 2, &ends->child));
    require_ok(rill_sender_close(&handles[1].as.sender));
}

static void ask_for_job(struct ends *ends)
{
    static uint32_t numbers[] = {0, 24, 65536};
    static unsigned char bytes[] = {0, 255};
    static struct place path[] = {{1, 2, false}, {3, -4, true}};
    struct job job = {
        .id = UINT64_MAX,
        .low = INT64_MIN,
        .ratio = 0.1,
        .small = 1.5f,
        .on = true,
        .title = (char *)(uintptr_t)"gr\xc3\xbc\xc3\x9f \xf0\x9f\xa6\x80",
        .code = "abc",
        .blob = {bytes, 2},
        .hash = {1, 2, 3},
        .state = state_done,
        .numbers = {numbers, 3},
        .corner = {1, 2},
        .note = {true, (char *)(uintptr_t)"a note"},
        .shape = {.which = RILL_CASE(form, side), .as.side = 2.5},
        .place = {9, -5, true},
        .path = {path, 2},
    };
    require_ok(rill_send_as(ends->to, &job_type, &job));
    require_ok(rill_recv_as(ends->from, &job_type, &job));
    require(job.id == 5 && job.low == -1 && job.ratio >= 2 && job.ratio <= 2 && !job.on && strcmp(job.title, "back") == 0 && !job.code[0]);
    require(!job.blob.size && memcmp(job.hash, "abc", 3) == 0 && job.state == state_new && !job.numbers.count && job.corner[1] == 8);
    require(!job.note.present && job.shape.which == RILL_CASE(form, name) && strcmp(job.shape.as.name, "ring") == 0 && strcmp(job.nothing, "x") == 0);
    require(job.place.x == 1 && job.place.y == 77 && !job.place.z && job.path.count == 2 && job.path.items[1].y == 77);
    require_ok(rill_type_free(&job_type, &job));
}

static void ask_for_place(struct ends *ends)
{
    struct place place = {200, INT32_MAX, true};
    require_ok(rill_send_as(ends->to, &place_type, &place));
    require_ok(rill_recv_as(ends->from, &place_type, &place));
    require(place.x == 1 && place.y == 2 && !place.z);
}

static void ask_for_value(struct ends *ends)
{
    rill_sender *reply;
    rill_receiver *answers;
    rill_message *message;
    require_ok(rill_channel(NULL, &reply, &answers));
    struct rill_handle handle = {.kind = RILL_HANDLE_SENDER, .as.sender = reply};
    cbor_item_t *value = cbor_new_definite_map(2);
    require(cbor_map_add(value, (struct cbor_pair){cbor_move(cbor_build_string("name")), cbor_move(cbor_build_string("service"))}));
    require(cbor_map_add(value, (struct cbor_pair){cbor_move(cbor_build_string("reply")), cbor_move(rill_value_handle(RILL_HANDLE_SENDER, 0))}));
    require_ok(rill_send_value(ends->to, value, &handle, 1, RILL_AS_CONFIGURED));
    cbor_decref(&value);
    require_ok(rill_sender_close(&reply));
    require_ok(rill_recv_value(answers, RILL_FOREVER, &value, &message));
    require(cbor_isa_map(value) && cbor_map_size(value) == 5);
    const struct cbor_pair *pairs = cbor_map_handle(value);
    require(cbor_array_size(pairs[0].value) == 1000 && cbor_get_int(cbor_array_handle(pairs[0].value)[999]) == 999);
    require(cbor_isa_negint(pairs[2].value) && cbor_get_int(pairs[2].value) == UINT64_MAX && cbor_string_length(pairs[3].value) == 70000);
    require(cbor_tag_value(pairs[4].value) == 9);
    cbor_decref(&value);
    require_ok(rill_message_close(&message));
    require_code(RILL_EDISCONNECTED, rill_recv(answers, &message));
    require_ok(rill_receiver_close(&answers));
}

static void run_foreign(void *argument)
{
    (void)argument;
    struct ends ends;
    int status;
    start(&ends);
    ask_for_job(&ends);
    ask_for_place(&ends);
    ask_for_value(&ends);
    require_equal(ends.child, waitpid(ends.child, &status, 0));
    require_equal(0, status);
    require_ok(rill_sender_close(&ends.to));
    require_ok(rill_receiver_close(&ends.from));
}

static const struct test tests[] = {
    {"another implementation of CBOR reads what is sent, and what it sends is read", run_foreign, NULL, 60},
};

int main(int argc, char **argv)
{
    if (argc < 4)
        return 77;
    program = argv + 1;
    return run_group("foreign", tests, COUNT_OF(tests));
}
