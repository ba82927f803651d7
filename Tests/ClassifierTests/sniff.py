#!/usr/bin/python3
"""Counts the frames in this network namespace that attack.py has sent. usage: sniff.py
Prints `ready`, and at SIGTERM how many came in."""

import signal
import socket
import sys

from packets import is_marked

count = 0


def end(*_):
    print(count, flush=True)
    sys.exit(0)


signal.signal(signal.SIGTERM, end)
sniffer = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))  # ETH_P_ALL
sniffer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 << 20)
print("ready", flush=True)
while True:
    frame, address = sniffer.recvfrom(4096)
    if address[2] != socket.PACKET_OUTGOING and is_marked(frame):
        count += 1
