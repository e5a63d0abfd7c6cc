#!/usr/bin/env python3
"""Requests sorted by address and time become sessions, which end after half an hour without a request."""
import sys

PAUSE = 30 * 60
session = None


def end():
    if session:
        address, first, last, requests = session
        print(address, first, last - first, requests, sep="\t")


for line in sys.stdin:
    address, time, _ = line.split("\t", 2)
    time = int(time)
    if session and session[0] == address and time - session[2] <= PAUSE:
        session = (address, session[1], time, session[3] + 1)
    else:
        end()
        session = (address, time, time, 1)
end()
