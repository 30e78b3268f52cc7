#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The Debian package: built and judged here, then installed, used, restarted and removed in a machine in which systemd
# is the first process. Two guests (vhu-peer, run as somebody else) outlive reload, restart and a crash of the switch.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
source=$(cd "$here/../.." && pwd)

fail() {
	echo "FAILED: $*"
	exit 1
}

# What Debian's own judges say; beside the machine, for neither needs all of the time.
judge() {
	local scratch=$1 unit
	lintian --allow-root --fail-on error,warning "$scratch"/out/*.changes || fail "lintian"
	rpmspec -P "$source/packaging/rpm/vswitchd.spec" > /dev/null || fail "the rpm spec does not parse"
	dpkg-deb -x "$scratch"/out/vswitchd_*.deb "$scratch/root"
	for unit in vswitchd vswitch-policyd; do
		systemd-analyze security --offline=true --threshold=30 --no-pager \
			"$scratch/root/lib/systemd/system/$unit.service" > "$scratch/security" ||
			{ cat "$scratch/security"; fail "$unit.service may do too much"; }
		tail -1 "$scratch/security"
	done
}

outside() {
	local scratch judging status=0
	scratch=$(mktemp -d)
	trap "rm -rf $scratch" EXIT
	# Compiled as users get it. Only what debug information calls the directory is left out, for ccache to know it
	# again; debhelper gives what it runs another home directory.
	if type ccache > /dev/null 2>&1; then
		CCACHE_DIR=$(ccache -k cache_dir)
		export CCACHE_DIR CC="ccache gcc" CCACHE_NOHASHDIR=1 CCACHE_SLOPPINESS=locale
	fi
	DEB_BUILD_OPTIONS="nocheck reproducible=-fixfilepath,-fixdebugpath" "$source/packaging/deb/build" \
		"$scratch/out" > "$scratch/log" 2>&1 || { tail -40 "$scratch/log"; fail "the package does not build"; }
	grep -q -- "-O2 .*-D_FORTIFY_SOURCE=2" "$scratch/log" || fail "it was not compiled as users get it"
	echo "== built after $SECONDS s"
	(judge "$scratch") > "$scratch/judged" 2>&1 &
	judging=$!
	cp "$(realpath "${VSWITCHD_BUILD:-$source/build}")/tests/lib/frontend/vhu-peer" "$scratch/out/"
	"$here/boot" --systemd -m 1536 -t 480 -o "$scratch/out" "$0" || status=$?
	wait "$judging" || status=1
	cat "$scratch/judged"
	echo "== all after $SECONDS s"
	return "$status"
}

# Waits until a command succeeds, a minute.
until_ok() {
	local end=$((SECONDS + 60))
	while [ "$SECONDS" -lt "$end" ]; do
		! "$@" > /dev/null 2>&1 || return 0
		sleep 0.2
	done
	journalctl --no-pager -n 40 -u vswitchd
	vswitchctl port list || :
	fail "not within 60 s: $*"
}

# guest NAME ADDRESS : a namespace behind a port, as QEMU would be: another user, in the switch's group.
guest() {
	ip netns add "$1"
	setpriv --reuid=root --regid=vswitchd --clear-groups bash -c "umask 002; exec $VM_OUT/vhu-peer --port \
		socket=/run/vswitchd/ports/$1.sock,name=$1,server=1,mode=tap,tap=eth0,netns=$1,mac=02:00:00:00:00:0$2" \
		> "/run/$1.log" 2>&1 &
	until_ok ip -n "$1" link set eth0 up
	ip -n "$1" addr add "10.0.0.$2/24" dev eth0
}
reaches() {
	ip netns exec a ping -c 1 -W 1 10.0.0.2
}
main_pid() {
	systemctl show -P MainPID vswitchd
}
ready() {
	systemctl -q is-active vswitchd && vswitchctl --json version | grep -q '"ready":true'
}

# It runs, and is not that process.
another() {
	ready && [ "$(main_pid)" != 0 ] && [ "$(main_pid)" != "$1" ]
}
attached() {
	[ "$(grep -c '"event":"ready"' "/run/$1.log")" = "$2" ]
}
package() {
	dpkg --force-unsafe-io "$@" > /run/dpkg.log 2>&1 || { grep -v "files list file" /run/dpkg.log; fail "dpkg $1"; }
}

inside() {
	local drivers pid before
	# Reading through 9p is slow: leave of DPDK's drivers those that are used.
	drivers=$(echo /usr/lib/*/dpdk/pmds-*)
	mkdir /run/drivers
	cp -a "$drivers"/librte_{net_af_packet,mempool_ring,bus_vdev}.so* /run/drivers
	mount --bind /run/drivers "$drivers"
	# So is dpkg's knowledge of a thousand packages' files: only that they are installed is left, and no triggers.
	mkdir -p /run/dpkg/{info,updates,triggers,parts,alternatives}
	cp /var/lib/dpkg/status /run/dpkg/
	echo 1 > /run/dpkg/info/format
	touch /run/dpkg/available /run/dpkg/triggers/{File,Unincorp}
	mount --bind /run/dpkg /var/lib/dpkg
	rm -f /usr/sbin/policy-rc.d # containers have one that keeps services from starting

	package -i "$VM_OUT"/vswitchd_*.deb
	until_ok ready
	echo "== installed and up after $(cut -d' ' -f1 /proc/uptime) s"
	[ "$(stat -c %U:%G:%a /run/vswitchd/ports)" = vswitchd:vswitchd:2770 ] || fail "rights of the socket directory"
	[ "$(stat -c %U:%a /var/lib/vswitchd)" = vswitchd:700 ] || fail "rights of the state directory"
	[ "$(ps -o user= -p "$(main_pid)")" = vswitchd ] || fail "it runs as $(ps -o user= -p "$(main_pid)")"
	man -w vswitchd vswitchctl vswitchd.conf vswitchd-metrics > /dev/null || fail "manual pages"

	cat >> /etc/vswitchd/vswitchd.conf <<- 'X'
		ports = ( { id = "a"; }, { id = "b"; } );
	X
	systemctl reload vswitchd
	guest a 1
	guest b 2
	until_ok reaches
	systemctl reload vswitchd
	reaches > /dev/null || fail "reload"
	pid=$(main_pid)
	systemctl restart vswitchd
	until_ok another "$pid"
	until_ok reaches
	pid=$(main_pid)
	kill -9 "$pid"
	until_ok another "$pid"
	until_ok reaches
	for name in a b; do
		until_ok attached "$name" 3
		kill -0 "$(pgrep -f "name=$name," | head -1)" || fail "guest $name has ended"
	done
	echo "== guests outlived reload, restart and crash after $(cut -d' ' -f1 /proc/uptime) s"

	before=$(cat /var/lib/dpkg/info/vswitchd.list)
	package -r vswitchd
	until_ok eval '! systemctl -q is-active vswitchd'
	for path in /etc/vswitchd/vswitchd.conf /var/lib/vswitchd/salt /run/vswitchd/ports/a.sock; do
		[ -e "$path" ] || fail "$path has gone with the package"
	done
	[ ! -e /run/vswitchd/control ] || fail "the control socket is still there"
	package -P vswitchd
	for path in $before /run/vswitchd; do
		case $path in
		*vswitchd*) [ ! -e "$path" ] || fail "left behind: $path" ;;
		esac
	done
	before=$(find /etc /var/lib/{vswitchd,systemd,dpkg/info} -name '*vswitchd*' -newer "$VM_OUT/command" || :)
	[ -z "$before" ] || fail "left behind: $before"
	echo "package: ok"
}

if [ -n "${VM:-}" ]; then inside; else outside; fi
