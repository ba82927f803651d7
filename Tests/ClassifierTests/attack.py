#!/usr/bin/python3
"""Sends every row of frames.py from a slice's network namespace, as a slice that has got hold of raw
sockets could. usage: attack.py KIND BLAST INTERFACE SECONDS FIELD=VALUE…     fields of frames.Scene
KIND: `forbidden` or `allowed` rows, each in every way to send; `in-turn`: forbidden ones, each in one.

Prints a line each: MODE REASON COUNT WORDS
"""

import subprocess
import sys

import frames
from frames import IPV4, Scene

MODES = "packet", "bypass", "ring", "raw"
# Those that send every row.
IN_TURN = {"packet": 0, "bypass": 1, "ring": 2}


def rows(scene, kind, mode):
    for number, (words, reason, frame) in enumerate(frames.sent(scene)):
        if (reason == "pass") != (kind == "allowed"):
            continue
        if kind == "in-turn" and number % len(IN_TURN) != IN_TURN.get(mode):
            continue
        ours = frame[:12] == scene.host_mac + scene.mac
        is_ipv4 = frame[12:14] == IPV4.to_bytes(2, "big") and frame[14] == 0x45
        # A raw socket makes the Ethernet header itself, and the length field is the packet's.
        if mode != "raw" or (ours and is_ipv4 and int.from_bytes(frame[16:18], "big") == len(frame) - 14):
            yield words, reason, frame


def main(kind, blast, interface, seconds, *fields):
    for name, value in (field.split("=", 1) for field in fields):
        known = getattr(Scene, name)  # an unknown name is an error
        setattr(Scene, name, bytes.fromhex(value) if isinstance(known, bytes) else value)
    for mode in MODES:
        table = list(rows(Scene, kind, mode))
        text = "\n".join(frame.hex() for _, _, frame in table) + "\n"
        counts = subprocess.run([blast, interface, mode, seconds], input=text, text=True,
                                stdout=subprocess.PIPE, check=True).stdout.split()
        for (words, reason, _), count in zip(table, counts, strict=True):
            print(mode, reason, count, words)


main(*sys.argv[1:])
