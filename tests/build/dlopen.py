# SPDX-License-Identifier: MIT
"""usage: dlopen.py LIBRARY

A program that knew nothing of the library can load it late, use it from several threads, with messages that need an arena,
and let go of it while those threads still run.
"""

import _ctypes
import ctypes
import sys
import threading

FOREVER = 2**63 - 1
SIZES = [0, 5, 1000, 1 << 16, 1 << 20, 5]


def check(result):
    assert result == 0, library.rill_error_name(result).decode()


def exchange():
    sender, receiver = ctypes.c_void_p(), ctypes.c_void_p()
    check(library.rill_channel(None, ctypes.byref(sender), ctypes.byref(receiver)))
    for index, size in enumerate(SIZES):
        sent = bytes([index + 1]) * size
        check(library.rill_send(sender, sent, ctypes.c_size_t(size)))
        buffer, received = ctypes.create_string_buffer(size + 1), ctypes.c_size_t()
        check(library.rill_recv_into(receiver, buffer, ctypes.c_size_t(size), ctypes.c_int64(FOREVER), ctypes.byref(received)))
        assert buffer.raw[: received.value] == sent
    check(library.rill_sender_close(ctypes.byref(sender)))
    check(library.rill_receiver_close(ctypes.byref(receiver)))


def in_thread():
    try:
        exchange()
        succeeded.append(True)
    finally:
        used.release()
    unloaded.wait()


library = ctypes.CDLL(sys.argv[1])
library.rill_error_name.restype = ctypes.c_char_p
succeeded, used, unloaded = [], threading.Semaphore(0), threading.Event()

exchange()
threads = [threading.Thread(target=in_thread) for _ in range(4)]
for thread in threads:
    thread.start()
for _ in threads:
    used.acquire()
# The threads outlive the handle, and what the library kept for each must not be looked for in unmapped memory.
_ctypes.dlclose(library._handle)
unloaded.set()
for thread in threads:
    thread.join()
assert len(succeeded) == len(threads)
