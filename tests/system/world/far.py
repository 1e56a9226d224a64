#!/usr/bin/env python3
"""A server of stratum 1 with this machine's clock, at the end of a path: `far.py DELAY QUEUE`, seconds. Each way takes DELAY and an
exponential queue of mean QUEUE. A request is taken as if it had arrived so much later, and the response leaves so much later still."""
import heapq
import random
import select
import socket
import struct
import sys
import time

DELAY, QUEUE = float(sys.argv[1]), float(sys.argv[2])
EPOCH = 2208988800


def stamp(at):
    seconds = int(at)
    return (seconds + EPOCH & 0xFFFFFFFF) << 32 | int((at - seconds) * 2**32)


def way():
    return DELAY + random.expovariate(1 / QUEUE)


random.seed(1)
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("", 123))
waiting = []
while True:
    patience = max(0.0, waiting[0][0] - time.time()) if waiting else None
    if select.select([server], [], [], patience)[0]:
        request, client = server.recvfrom(512)
        if len(request) >= 48 and request[0] & 7 == 3:
            arrived = time.time() + way()
            # Leap 0, the version of the request, mode 4; stratum 1, precision 2^-20, no root distance, GPS.
            head = struct.pack(">BBbbII4sQ8sQQ", request[0] & 0x38 | 4, 1, request[2], -20, 0, 0, b"GPS\0",
                               stamp(arrived - 8), request[40:48], stamp(arrived), stamp(arrived))
            heapq.heappush(waiting, (arrived + way(), head, client))
    while waiting and waiting[0][0] <= time.time():
        _, response, client = heapq.heappop(waiting)
        server.sendto(response, client)
