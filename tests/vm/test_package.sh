#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The Debian package: built and judged here, then installed, used, restarted and removed in a machine in which systemd
# is the first process. It comes up again with that machine, and two guests (vhu-peer, run as somebody else) outlive
# reload, restart and a crash of the switch.
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
	MANPATH=$scratch/root/usr/share/man man -w vswitchd vswitchctl vswitchd.conf vswitchd-metrics vswitch-policyd \
		> /dev/null || fail "manual pages"
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
	"$here/boot" --systemd -m 1536 -t 600 -o "$scratch/out" "$0" || status=$?
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
	journalctl --no-pager -n 40 -u 'vswitch*'
	systemctl --no-pager list-jobs
	timeout 10 vswitchctl port list || :
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

# Who owns what, after an installation and after a boot.
rights() {
	[ "$(stat -c %U:%G:%a /run/vswitchd/ports)" = vswitchd:vswitchd:2770 ] || fail "rights of the socket directory"
	[ "$(stat -c %U:%a /run/vswitchd/control)" = vswitchd:666 ] || fail "rights of the control socket"
	[ "$(stat -c %U:%a /var/lib/vswitchd)" = vswitchd:700 ] || fail "rights of the state directory"
	[ "$(ps -o user= -p "$(main_pid)")" = vswitchd ] || fail "it runs as $(ps -o user= -p "$(main_pid)")"
}

# What is enabled runs. A systemctl takes two seconds here: one for all of them.
came_up() {
	local units="vswitchd.socket vswitchd.service vswitch-policyd.service"
	[ "$(systemctl is-enabled $units | uniq)" = enabled ] && [ "$(systemctl is-active $units | uniq)" = active ] &&
		ready && vswitchctl --manager --json version | grep -q '"ready":true'
}

# Below a fresh /run, as every boot leaves it, are the parts of dpkg's knowledge that this needs: that packages are
# installed, but not the files of a thousand of them, which take long to read through 9p; and no triggers.
short_dpkg() {
	mount --bind /var/short-dpkg /var/lib/dpkg
}

install() {
	local drivers
	# Of DPDK's drivers, those that are used: for the same reason.
	drivers=$(echo /usr/lib/*/dpdk/pmds-*)
	find "$drivers" -name '*.so*' ! -name 'librte_net_af_packet.*' ! -name 'librte_mempool_ring.*' \
		! -name 'librte_bus_vdev.*' -delete
	mkdir -p /var/short-dpkg/{info,updates,triggers,parts,alternatives}
	cp /var/lib/dpkg/status /var/short-dpkg/
	echo 1 > /var/short-dpkg/info/format
	touch /var/short-dpkg/available /var/short-dpkg/triggers/{File,Unincorp}
	short_dpkg
	rm -f /usr/sbin/policy-rc.d # containers have one that keeps services from starting

	package -i "$VM_OUT"/vswitchd_*.deb
	until_ok ready
	echo "== installed and up after $(cut -d' ' -f1 /proc/uptime) s"
	rights
	cat > /etc/vswitchd/policyd.conf <<- 'X'
		host = { id = "m1"; };
		store = { path = "/var/lib/vswitchd/shared.sqlite"; };
	X
	[ "$(systemctl is-enabled vswitchd.service vswitchd.socket vswitch-policyd.service | xargs)" = \
		"enabled enabled disabled" ] || fail "what the package enables"
	systemctl -q enable --now vswitch-policyd.service vswitchd.service vswitchd.socket ||
		fail "enable --now"
	vswitchctl subnet add vsid=5001 rdid=red 'gateways=[10.0.0.254/24]' > /dev/null || fail "subnet add"

	# Of what is enabled on the machine whose root this is, these units only are part of it.
	mkdir -p /etc/systemd/system/vm.service.d
	printf '[Unit]\nWants=%s\n' "$(cd /etc/systemd/system/multi-user.target.wants && echo vswitch*)" \
		> /etc/systemd/system/vm.service.d/boot.conf
	touch "$VM_OUT/rebooting"
	echo "== reboot after $(cut -d' ' -f1 /proc/uptime) s"
	systemctl reboot 2> /dev/null # it misses logind
	sleep infinity
}

use() {
	local pid before
	short_dpkg
	until_ok came_up
	rights
	vswitchctl subnet list | grep -q 5001 || fail "the state did not survive the boot"
	echo "== came up by itself after $(cut -d' ' -f1 /proc/uptime) s"

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
	# The switch ends, and is started by who asks for it.
	systemctl -q stop vswitchd.service 2> /dev/null
	timeout 60 vswitchctl version > /dev/null || fail "the socket does not start the switch"
	until_ok reaches
	echo "== guests outlived reload, restart, crash and stop after $(cut -d' ' -f1 /proc/uptime) s"

	before=$(cat /var/lib/dpkg/info/vswitchd.list)
	package -r vswitchd
	until_ok eval '! systemctl -q is-active vswitchd'
	for path in /etc/vswitchd/vswitchd.conf /var/lib/vswitchd/salt /run/vswitchd/ports/a.sock; do
		[ -e "$path" ] || fail "$path has gone with the package"
	done
	[ ! -e /run/vswitchd/control ] || fail "the control socket is still there"
	! pgrep -u vswitchd > /dev/null || fail "still there: $(pgrep -l -u vswitchd)"
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

if [ -z "${VM:-}" ]; then
	outside
elif [ -e "$VM_OUT/rebooting" ]; then
	use
else
	install
fi
