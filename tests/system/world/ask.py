#!/usr/bin/env python3
"""What --explain says of a client, and what the running daemon does for it.

usage: RSNTPD --explain CLIENT CONF | ask.py SERVER CLIENT

The first on the server's host, the second on the client's. Asks SERVER from the address CLIENT for the time, in versions 4 and 3, from port 123 and another
one, and with mode 6 for variables and the list of clients; compares each response with the sentences of the explanation.
Prints a line for each difference; exit status 1 if there is one.
"""
import os
import re
import socket
import struct
import sys

ANY_PORT, NTP_PORT = 0, 123
WAIT = 0.4


def explained(text, client):
    """The sections of --explain: what follows "may" and "may not", by the client's port."""
    sections, may, part = {}, None, None
    for line in text.splitlines():
        head = re.match(re.escape(client) + r"( from a port other than 123| from port 123)?.*: the entry ", line)
        if head:
            may = {"may": [], "may not": []}
            where = head.group(1)
            ports = {None: (ANY_PORT, NTP_PORT), " from port 123": (NTP_PORT,)}.get(where, (ANY_PORT,))
            sections.update({port: may for port in ports})
            part = None
        elif line == "  This client may":
            part = "may"
        elif line == "  It may not":
            part = "may not"
        elif not line.startswith("    "):
            part = None
        elif part and may is not None:
            may[part].append(line.strip())
    return sections


def expected(section, kind):
    """Whether there should be a response."""
    time = [text for text in section["may"] if text.startswith("get the time")]
    state = [text for text in section["may"] if text.startswith("query the state")]
    if kind == "time4":
        return bool(time) and "MAC of a trusted key only" not in time[0]
    if kind == "time3":
        return expected(section, "time4") and "version 4 only" not in time[0]
    if kind == "state":
        return bool(state)
    return bool(state) and "nomrulist" not in state[0]


def ask(kind, server, client, port):
    """Whether the daemon gave what was asked for."""
    family = socket.AF_INET6 if ":" in client else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind((client, port))
        s.settimeout(WAIT)
        if kind.startswith("time"):
            cookie = os.urandom(8)
            s.sendto(bytes([int(kind[4]) << 3 | 3]) + bytes(39) + cookie, (server, 123))
            reply = receive(s)
            return reply is not None and len(reply) >= 48 and reply[0] & 7 == 4 and reply[24:32] == cookie
        if kind == "state":
            reply = control(s, server, 2, b"version,processor,stratum")
            return reply is not None and b"stratum" in reply
        nonce = control(s, server, 12, b"")
        if nonce is None:
            return False
        reply = control(s, server, 10, nonce.strip() + b", frags=1")
        return reply is not None and b"addr.0" in reply


def control(s, server, opcode, data):
    """The data of a mode-6 response; nothing for an error."""
    s.sendto(struct.pack("!BBHHHHH", 0x16, opcode, 7, 0, 0, 0, len(data)) + data, (server, 123))
    reply = receive(s)
    if reply is None or reply[1] & 0x40:
        return None
    return reply[12:12 + struct.unpack("!H", reply[10:12])[0]]


def receive(s):
    try:
        return s.recv(1024)
    except (socket.timeout, ConnectionRefusedError):
        return None


def main():
    server, client = sys.argv[1:]
    text = sys.stdin.read()
    sections = explained(text, client)
    if not sections:
        print(f"{client}: no section in\n{text}")
        return 1
    wrong = asked = 0
    for port, section in sorted(sections.items()):
        if port == NTP_PORT and server == client:
            continue  # the daemon has that port itself
        limited = any("limited" in line and "no rate limit" not in line for line in section["may"])
        for kind in ("time4", "time3", "state", "mru"):
            if limited and (kind == "time3" or kind == "time4" and port == NTP_PORT and ANY_PORT in sections):
                continue  # the second request within two seconds gets none, for another reason
            want, got = expected(section, kind), ask(kind, server, client, port)
            asked += 1
            if want != got:
                wrong += 1
                print(f"{client} port {port or 'any'} {kind}: explained {want}, seen {got}")
    print(f"{client}: {asked} questions, {wrong} responses not as explained")
    return 1 if wrong else 0


sys.exit(main())
