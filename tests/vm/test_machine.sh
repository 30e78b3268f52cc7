#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The machine that the other tests here rely on: modules load, two network namespaces talk over a bridge,
# teamd forms an activebackup team whose active port follows the link.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
[ -n "${VM:-}" ] || exec "$here/boot" -t 120 "$0" "$@"

fail() {
	echo "FAILED: $*"
	exit 1
}
# Waits until a command succeeds, 10 s at most.
until_ok() {
	for _ in $(seq 100); do
		! "$@" > /dev/null 2>&1 || return 0
		sleep 0.1
	done
	fail "not within 10 s: $*"
}

for module in team team_mode_activebackup veth bridge ip_gre; do
	[ -d "/sys/module/$module" ] || fail "module $module is not loaded"
done

ip netns add peer
ip link add br0 type bridge
ip link set br0 up
for i in 0 1; do
	ip link add "a$i" type veth peer name "b$i"
	ip link set "b$i" master br0 up
done
ip link add v0 type veth peer name eth0 netns peer
ip link set v0 master br0 up
ip -n peer addr add 192.0.2.2/24 dev eth0
ip -n peer link set eth0 up

mkdir -p /run/teamd
cat > /run/team0.conf << 'X'
{ "device": "team0", "runner": { "name": "activebackup" }, "link_watch": { "name": "ethtool" },
  "ports": { "a0": { "prio": 10 }, "a1": {} } }
X
teamd -d -f /run/team0.conf
ip addr add 192.0.2.1/24 dev team0
ip link set team0 up

active() { [ "$(teamdctl team0 state item get runner.active_port)" = "$1" ]; }
until_ok active a0
until_ok ping -c 1 -W 1 192.0.2.2
ip link set b0 down
until_ok active a1
until_ok ping -c 1 -W 1 192.0.2.2
ip link set b0 up
until_ok active a0
teamd -k -t team0

ip link add gre0t type gretap local 192.0.2.1 remote 192.0.2.2 key 42 || fail "no gretap"
echo "team, veth, bridge, gretap: ok"
