#!/usr/bin/env python3
"""Sends samples to the socket of a SOCK clock, once a second, until it is ended.

usage: sock.py PATH [offset=S] [pulse=0|1] [leap=N] [width=64|32] [age=S] [magic=N] [times=N]
offset: true time minus this machine's; width: of time_t; age: how old the samples are; times: so many, and no more.
"""
import socket
import struct
import sys
import time


def main():
    path = sys.argv[1]
    options = dict(word.split("=", 1) for word in sys.argv[2:])
    layout = "@qqdiiii" if options.get("width", "64") == "64" else "=iidiiii"
    sender = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    sender.connect(path)
    for _ in range(int(options.get("times", 10**9))):
        now = time.time() - float(options.get("age", 0))
        sample = struct.pack(layout, int(now), int(now % 1 * 1e6), float(options.get("offset", 0)),
                             int(options.get("pulse", 0)), int(options.get("leap", 0)), 0,
                             int(options.get("magic", "0x534f434b"), 0))
        sender.send(sample)
        time.sleep(1 - (time.time() - 0.5) % 1)


main()
