# SPDX-License-Identifier: BSD-3-Clause
"""TCP between guests that proves what it carried."""

from __future__ import annotations

import re

from .guest import Guest, Job
from .wait import until

COPY_PORT, IPERF_PORT = 7007, 5201

# every byte tells its place; both ends print what they think of it
SERVE = f"""exec /usr/bin/python3 -c '
import hashlib, socket
s = socket.create_server(("::", {COPY_PORT}), family=socket.AF_INET6, dualstack_ipv6=True)
while True:
    c, h, n = s.accept()[0], hashlib.sha256(), 0
    while d := c.recv(1 << 20):
        h.update(d)
        n += len(d)
    c.sendall(f"{{n}} {{h.hexdigest()}}".encode())
    c.close()
'"""
_SEND = """/usr/bin/python3 -c '
import hashlib, random, socket
d = random.Random({seed}).randbytes({size})
c = socket.create_connection(("{to}", {port}), 20)
c.settimeout(20)
c.sendall(d)
c.shutdown(socket.SHUT_WR)
print(c.recv(200).decode() == f"{{len(d)}} {{hashlib.sha256(d).hexdigest()}}")
'"""


def send(to: str, seed: int, size: int) -> str:
    """A script that prints True if all bytes have arrived at an end that runs SERVE."""
    return _SEND.format(to=to, seed=seed, size=size, port=COPY_PORT)


def listening(guest: Guest, port: int) -> bool:
    """By what every guest has, a machine with nothing but busybox, too."""
    table = guest.run("cat /proc/net/tcp /proc/net/tcp6", check=False).output
    return re.search(rf":{port:04X} [0:]+ 0A", table) is not None


def bad_checksums(snmp: str) -> int:
    """TCP and UDP, out of /proc/net/snmp of whoever has received. Wrong segments alone stop no copy: what they carried
    is sent again, in packets of one segment.
    """
    rows = [line.split() for line in snmp.splitlines() if line.startswith(("Tcp:", "Udp:"))]
    return sum(int(values[names.index("InCsumErrors")]) for names, values in zip(rows[::2], rows[1::2]))


def serve(guest: Guest) -> Job:
    job = guest.start(SERVE)
    until(lambda: listening(guest, COPY_PORT), f"{guest.name} listens")
    return job


def copy(guest: Guest, to: str, seed: int, size: int) -> None:
    said = guest.run(send(to, seed, size), timeout=40).output
    assert said.strip() == "True", f"{guest.name} -> {to}: {said}"


def copy_file(source: Guest, target: Guest, address: str, mebibytes: int, timeout: float = 120.0) -> None:
    """As scp does it, with busybox only: a file of random bytes is sent, its checksum is compared."""
    said = source.run(
        f"dd if=/dev/urandom of=/tmp/sent bs=1M count={mebibytes} 2> /dev/null && "
        "busybox wc -c < /tmp/sent; busybox sha256sum < /tmp/sent",
        timeout=timeout,
    ).output
    # a listener that reads the end of its own input would tell the sender that there is no more
    job = target.start(
        "rm -f /tmp/open; mkfifo /tmp/open; exec 3<>/tmp/open; "
        f"busybox nc -l -p {COPY_PORT} <&3 > /tmp/got; busybox wc -c < /tmp/got; busybox sha256sum < /tmp/got"
    )
    until(lambda: listening(target, COPY_PORT), f"{target.name} listens")
    source.run(f"busybox nc {address} {COPY_PORT} < /tmp/sent; rm /tmp/sent", timeout=timeout)
    got = job.wait(timeout).output
    target.run("rm /tmp/got")
    assert got.split() == said.split(), f"{source.name} -> {target.name}: sent {said}, got {got}"


def stream(source: Guest, target: Guest, address: str, size: str, timeout: float = 120.0) -> float:
    """iperf3 of `size` bytes ("64M"); bits per second at the receiver."""
    server = target.start("iperf3 -s -1")
    until(lambda: listening(target, IPERF_PORT), f"iperf3 listens in {target.name}")
    output = source.run(f"iperf3 -f k -c {address} -n {size}", timeout=timeout).output
    server.wait()
    found = re.search(r"([\d.]+) Kbits/sec\s+receiver", output)
    assert found, output
    return float(found[1]) * 1e3
