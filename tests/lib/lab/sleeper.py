# SPDX-License-Identifier: BSD-3-Clause
"""sleeper.py CPU: sleeps there until stdin ends; prints by how many seconds each sleep was too long (witness.py)."""

import os
import select
import sys
import time

SLEEP = 0.001

os.sched_setaffinity(0, {int(sys.argv[1])})
late: list[float] = []
poll = select.poll()
poll.register(sys.stdin, select.POLLIN | select.POLLHUP)
print("ready", flush=True)
while not poll.poll(0):
    start = time.monotonic()
    time.sleep(SLEEP)
    late.append(time.monotonic() - start - SLEEP)
print(" ".join(f"{each:.6f}" for each in late))
