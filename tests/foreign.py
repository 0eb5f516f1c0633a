# SPDX-License-Identifier: MIT
"""usage: foreign.py LIBRARY

The other end of test_foreign.c: reads what rill wrote with another implementation of CBOR, and answers with it.
"""

import ctypes
import struct
import sys

import cbor2

FOREVER = 2**63 - 1
TYPED, PLAIN, SENDER = 0x72696C20, 0x72696C21, 0x72696C01
library = ctypes.CDLL(sys.argv[1])
library.rill_error_name.restype = ctypes.c_char_p
library.rill_message_data.restype = ctypes.c_void_p
library.rill_message_size.restype = ctypes.c_size_t


class Handle(ctypes.Structure):
    _fields_ = [("kind", ctypes.c_uint32), ("reserved", ctypes.c_uint32), ("end", ctypes.c_void_p)]


def check(result):
    assert result == 0, library.rill_error_name(result).decode()


def inherited(index):
    handle = Handle()
    check(library.rill_inherited(ctypes.c_size_t(index), ctypes.byref(handle)))
    return ctypes.c_void_p(handle.end)


def receive():
    message = ctypes.c_void_p()
    check(library.rill_recv(receiver, ctypes.byref(message)))
    data = ctypes.string_at(library.rill_message_data(message), library.rill_message_size(message))
    return message, cbor2.loads(data)


def send(to, value):
    data = cbor2.dumps(value)
    check(library.rill_send(to, data, ctypes.c_size_t(len(data))))


receiver, sender = inherited(0), inherited(1)

# A struct with every sort of field.
message, value = receive()
assert value.tag == TYPED
name, fingerprint, job = value.value
assert name == "job" and fingerprint > 0
place = job.pop("place")
assert place.tag == PLAIN and struct.unpack("<Bi?", place.value[1]) == (9, -5, True)
path = job.pop("path")
assert path.tag == PLAIN and list(struct.iter_unpack("<Bi?", path.value[1])) == [(1, 2, False), (3, -4, True)]
assert job == {
    "id": 2**64 - 1,
    "low": -(2**63),
    "ratio": 0.1,
    "small": 1.5,
    "on": True,
    "title": "grüß \U0001f980",
    "code": "abc",
    "blob": b"\x00\xff",
    "hash": b"\x01\x02\x03",
    "state": 2,
    "numbers": [0, 24, 65536],
    "corner": [1, 2],
    "note": "a note",
    "shape": {"side": 2.5},
    "nothing": None,
}, job
check(library.rill_message_close(ctypes.byref(message)))

# Back: in another order, 2 for 2.0, plain structs as maps, something unknown in between, and no fingerprint.
place = {"z": False, "y": 77, "x": 1}
answer = {"unknown": [1, {"deep": [None, 2.5]}], "shape": {"name": "ring"}, "place": place, "path": [place, place]}
answer.update(id=5, low=-1, ratio=2, small=0.5, on=False, title="back", code="", blob=b"", hash=b"abc", state=1, numbers=[], corner=[9, 8], nothing="x")
send(sender, cbor2.CBORTag(TYPED, ["job", 0, answer]))

# A plain struct, all of the message.
message, value = receive()
name, fingerprint, packed = value.value
assert name == "place" and struct.unpack("<Bi?", packed) == (200, 2**31 - 1, True)
check(library.rill_message_close(ctypes.byref(message)))
send(sender, cbor2.CBORTag(TYPED, [name, fingerprint, struct.pack("<Bi?", 1, 2, False)]))

# A value with a sender in it, which is answered to.
message, value = receive()
assert value["name"] == "service" and value["reply"].tag == SENDER
reply = ctypes.c_void_p()
check(library.rill_message_take_sender(message, ctypes.c_size_t(value["reply"].value), ctypes.byref(reply)))
send(reply, {"numbers": list(range(1000)), "half": 1.5, "negative": -(2**64), "text": "x" * 70000, "tag": cbor2.CBORTag(9, [1])})
check(library.rill_sender_close(ctypes.byref(reply)))
check(library.rill_message_close(ctypes.byref(message)))
check(library.rill_sender_close(ctypes.byref(sender)))
check(library.rill_receiver_close(ctypes.byref(receiver)))
