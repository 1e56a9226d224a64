#!/usr/bin/env python3
"""Writes time into a segment of the SHM driver, once a second, as gpsd does, until it is ended.

usage: shm.py UNIT [offset=S] [mode=0|1|N] [leap=N] [precision=N] [age=S] [layout=wide|narrow] [perm=OCTAL]
               [every=S] [order=gpsd|ptp4l] [coarse]
       shm.py UNIT show | remove
offset: true time minus this machine's; age: how old the receive stamp is; every=0: as fast as it goes; coarse: no nanoseconds.
"""
import ctypes
import sys
import time

LAYOUTS = {  # size; format of a second; clock, clock us, receive, receive us, leap (precision, nsamples, valid, two ns follow)
    "wide": (96, ctypes.c_int64, 8, 16, 24, 32, 36),
    "narrow": (80, ctypes.c_int32, 8, 12, 16, 20, 24),
}
IPC_CREAT, IPC_RMID = 0o1000, 0
libc = ctypes.CDLL(None, use_errno=True)
libc.shmat.restype = ctypes.c_void_p
libc.shmat.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_int]


def failed(what):
    sys.exit(f"{what}: errno {ctypes.get_errno()}")


def main():
    unit, words = int(sys.argv[1]), sys.argv[2:]
    key = 0x4E545030 + unit
    options = dict(word.split("=", 1) for word in words if "=" in word)
    size, second, clock, clock_us, receive, receive_us, leap = LAYOUTS[options.get("layout", "wide")]
    if "remove" in words:
        segment = libc.shmget(key, 0, 0)
        sys.exit(libc.shmctl(segment, IPC_RMID, None) != 0)
    if "show" in words:
        segment = libc.shmget(key, 0, 0)
        if segment < 0:
            failed("shmget")
    else:
        segment = libc.shmget(key, size, IPC_CREAT | int(options.get("perm", "600" if unit < 2 else "666"), 8))
        if segment < 0:
            failed("shmget")
    start = libc.shmat(segment, None, 0)
    if start in (None, ctypes.c_void_p(-1).value):
        failed("shmat")

    def at(kind, place):
        return kind.from_address(start + place)

    mode, count, valid = at(ctypes.c_int32, 0), at(ctypes.c_int32, 4), at(ctypes.c_int32, leap + 12)
    if "show" in words:
        print(f"mode {mode.value} count {count.value} precision {at(ctypes.c_int32, leap + 4).value} "
              f"nsamples {at(ctypes.c_int32, leap + 8).value} valid {valid.value}")
        return
    offset, age = int(float(options.get("offset", 0)) * 1e9), int(float(options.get("age", 0)) * 1e9)
    every = float(options.get("every", 1))
    at(ctypes.c_int32, leap).value = int(options.get("leap", 0))
    at(ctypes.c_int32, leap + 4).value = int(options.get("precision", -20))
    mode.value = int(options.get("mode", 1))
    fine = "coarse" not in words
    while True:
        now = time.clock_gettime_ns(time.CLOCK_REALTIME) - age
        true = now + offset
        if options.get("order") == "ptp4l":
            count.value += 1
            valid.value = 0
        else:
            valid.value = 0
            count.value += 1
        at(second, clock).value, at(ctypes.c_int32, clock_us).value = true // 10**9, true % 10**9 // 1000
        at(second, receive).value, at(ctypes.c_int32, receive_us).value = now // 10**9, now % 10**9 // 1000
        at(ctypes.c_uint32, leap + 16).value = true % 10**9 if fine else 0
        at(ctypes.c_uint32, leap + 20).value = now % 10**9 if fine else 0
        count.value += 1
        valid.value = 1
        if every:
            # Away from the second and from the reader's tick.
            time.sleep(every - (time.time() - 0.5) % every)


main()
