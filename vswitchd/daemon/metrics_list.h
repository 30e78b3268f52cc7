/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Every metric of the endpoint, once: the text that is served, vswitchd-metrics(7) and the test of the dashboard come
 * from this list. Names are stable. Labels never hold addresses of customers or MACs, but for scope RECORD, which has a
 * place of its own.
 *
 * X(scope, member, "name", TYPE, "unit", "help")
 *   scope   what there is one value of: the structure below, whose `member` is the value, and its labels
 *   name    without "vswitchd_", and without the "_total" of counters
 *   unit    "" or bytes, seconds (member: nanoseconds)
 */
#ifndef DAEMON_METRICS_LIST_H
#define DAEMON_METRICS_LIST_H

#include <stdint.h>

#include "base/object.h"
#include "base/str.h"

/* X(scope, structure, "labels", "what there is one value of") */
#define METRIC_SCOPE_LIST(X)                                                   \
	X(SWITCH, metric_switch, "", "the daemon") \
	X(OBJECT, metric_named, "kind", "a kind of object") \
	X(DROP, metric_named, "reason", "a reason of drops, see vswitchd(8)") \
	X(STAGE, metric_named, "stage", "a stage of the packet path, see vswitchd(8)") \
	X(NEIGHBOUR, metric_named, "state", "a state of resolution") \
	X(PA, metric_named, "state", "a state of provider addresses") \
	X(PORT, metric_port, "port,vsid", "a port") \
	X(PORT_DROP, metric_port_drop, "port,vsid,reason", "a reason by which the port lost packets") \
	X(PORT_QUEUE, metric_queue, "port,vsid,queue", "a queue pair of a port") \
	X(VSID, metric_vsid, "vsid", "a virtual subnet that has or had ports here, 0: the plain segment") \
	X(MEMBER, metric_member, "member", "a member of the team") \
	X(MEMBER_QUEUE, metric_queue, "member,queue", "a queue pair of a member's device") \
	X(WORKER, metric_worker, "worker", "a worker") \
	X(RECORD, metric_record, "vsid,ca", "under /metrics/records: a lookup record that packets went to")

struct metric_switch {
	uint64_t ready, start_ns, reloads, reload_failures, events, store_pending, store_failed, jobs_pending;
	uint64_t buffers, buffers_free, rebalanced, members_usable, render_ns;
};

struct metric_named {
	const char *name;
	uint64_t n;
};

struct metric_port {
	char id[ID_SIZE];
	uint32_t vsid;
	uint64_t active, connected, queues, reconnects, bad_chains, mtu_mismatch;
	uint64_t rx_packets, rx_bytes, tx_packets, tx_bytes;
};

struct metric_port_drop {
	uint32_t port; /* index into the ports of the snapshot */
	const char *reason;
	uint64_t n;
};

struct metric_queue {
	uint32_t owner, queue; /* owner: index into the ports or members of the snapshot */
	uint64_t rx_packets, rx_bytes, tx_packets, tx_bytes;
};

struct metric_vsid {
	uint64_t vsid; /* the label */
	uint64_t ports, rx_packets, rx_bytes, tx_packets, tx_bytes, drops;
};

struct metric_member {
	char name[ID_SIZE];
	uint64_t usable, link, speed, buckets, tx_dropped;
	uint64_t rx_packets, rx_bytes, tx_packets, tx_bytes;
};

struct metric_worker {
	uint64_t index; /* the label */
	uint64_t queues, member_queues, turns, busy_turns, busy_cycles, busy_ns, packets, sleeps, sleep_ns, remote_numa;
};

/* Not in a snapshot: metrics_records.c. */
struct metric_record {
	uint64_t vsid; /* the labels */
	char ca[IP_STR];
	uint64_t packets, bytes;
};

#define METRIC_LIST(X)                                                                                                \
	X(SWITCH, ready, "ready", GAUGE, "", "1 when ports and policy are up") \
	X(SWITCH, start_ns, "start_time_seconds", GAUGE, "seconds", "When the daemon was started, since the epoch") \
	X(SWITCH, reloads, "reloads", COUNTER, "", "Configurations that were applied") \
	X(SWITCH, reload_failures, "reload_failures", COUNTER, "", "Configurations that were refused") \
	X(SWITCH, events, "events", COUNTER, "", "Events, as vswitchctl events shows them") \
	X(SWITCH, store_pending, "store_pending_changes", GAUGE, "", "Changes of policy that are not on disk yet") \
	X(SWITCH, store_failed, "store_failed", GAUGE, "", "1 while the policy store cannot be written") \
	X(SWITCH, jobs_pending, "jobs_pending", GAUGE, "", "Work on ports and members that is not done yet") \
	X(SWITCH, buffers, "packet_buffers", GAUGE, "", "Packet buffers") \
	X(SWITCH, buffers_free, "packet_buffers_free", GAUGE, "", "Packet buffers that nobody holds") \
	X(SWITCH, rebalanced, "rebalanced_buckets", COUNTER, "", "Flow buckets that moved to a less busy member") \
	X(SWITCH, members_usable, "members_usable", GAUGE, "", "Members that carry traffic") \
	X(SWITCH, render_ns, "render_seconds", GAUGE, "seconds", "Time the previous exposition took to make") \
	X(OBJECT, n, "objects", GAUGE, "", "Objects of policy and configuration") \
	X(DROP, n, "drops", COUNTER, "", "Packets lost, whole host") \
	X(STAGE, n, "stage_packets", COUNTER, "", "Packets that a stage has seen") \
	X(NEIGHBOUR, n, "neighbours", GAUGE, "", "Remote provider addresses and next hops") \
	X(PA, n, "provider_addresses", GAUGE, "", "Provider addresses of this host") \
	X(PORT, active, "port_active", GAUGE, "", "1 when the guest's driver runs its rings") \
	X(PORT, connected, "port_connected", GAUGE, "", "1 when the virtual machine is connected") \
	X(PORT, queues, "port_queues", GAUGE, "", "Virtqueues that the guest has turned on") \
	X(PORT, reconnects, "port_reconnects", COUNTER, "", "Connections after the first") \
	X(PORT, bad_chains, "port_bad_chains", COUNTER, "", "Buffer chains of the guest that could not be used") \
	X(PORT, mtu_mismatch, "port_mtu_mismatch", GAUGE, "", \
	  "1 when the guest's MTU is not what fits the provider network") \
	X(PORT, rx_packets, "port_receive_packets", COUNTER, "", "Packets from the guest") \
	X(PORT, rx_bytes, "port_receive_bytes", COUNTER, "bytes", "Bytes from the guest") \
	X(PORT, tx_packets, "port_transmit_packets", COUNTER, "", "Packets to the guest") \
	X(PORT, tx_bytes, "port_transmit_bytes", COUNTER, "bytes", "Bytes to the guest") \
	X(PORT_DROP, n, "port_drops", COUNTER, "", \
	  "Packets lost from or to the guest; reasons that never happened are left out") \
	X(PORT_QUEUE, rx_packets, "port_queue_receive_packets", COUNTER, "", "Packets from the guest by the queue") \
	X(PORT_QUEUE, rx_bytes, "port_queue_receive_bytes", COUNTER, "bytes", "Bytes from the guest by the queue") \
	X(PORT_QUEUE, tx_packets, "port_queue_transmit_packets", COUNTER, "", "Packets to the guest by the queue") \
	X(PORT_QUEUE, tx_bytes, "port_queue_transmit_bytes", COUNTER, "bytes", "Bytes to the guest by the queue") \
	X(VSID, ports, "vsid_ports", GAUGE, "", "Ports that are in the virtual subnet") \
	X(VSID, rx_packets, "vsid_receive_packets", COUNTER, "", \
	  "Packets from guests, also by ports that have left or were removed") \
	X(VSID, rx_bytes, "vsid_receive_bytes", COUNTER, "bytes", "Bytes from guests, the same") \
	X(VSID, tx_packets, "vsid_transmit_packets", COUNTER, "", "Packets to guests, the same") \
	X(VSID, tx_bytes, "vsid_transmit_bytes", COUNTER, "bytes", "Bytes to guests, the same") \
	X(VSID, drops, "vsid_drops", COUNTER, "", "Packets lost from or to guests, the same") \
	X(MEMBER, usable, "member_usable", GAUGE, "", "1 when the member carries traffic") \
	X(MEMBER, link, "member_link", GAUGE, "", "1 when the member's link is up") \
	X(MEMBER, speed, "member_speed_mbps", GAUGE, "", "Speed of the link in Mbit/s, 0: not known") \
	X(MEMBER, buckets, "member_buckets", GAUGE, "", "Flow buckets, of 256, that leave by the member") \
	X(MEMBER, rx_packets, "member_receive_packets", COUNTER, "", "Packets from the wire") \
	X(MEMBER, rx_bytes, "member_receive_bytes", COUNTER, "bytes", "Bytes from the wire") \
	X(MEMBER, tx_packets, "member_transmit_packets", COUNTER, "", "Packets to the wire") \
	X(MEMBER, tx_bytes, "member_transmit_bytes", COUNTER, "bytes", "Bytes to the wire") \
	X(MEMBER, tx_dropped, "member_transmit_drops", COUNTER, "", "Packets that the member did not take") \
	X(MEMBER_QUEUE, rx_packets, "member_queue_receive_packets", COUNTER, "", "Packets from the wire by the queue") \
	X(MEMBER_QUEUE, rx_bytes, "member_queue_receive_bytes", COUNTER, "bytes", "Bytes from the wire by the queue") \
	X(MEMBER_QUEUE, tx_packets, "member_queue_transmit_packets", COUNTER, "", "Packets to the wire by the queue") \
	X(MEMBER_QUEUE, tx_bytes, "member_queue_transmit_bytes", COUNTER, "bytes", "Bytes to the wire by the queue") \
	X(WORKER, packets, "worker_packets", COUNTER, "", "Packets that the worker has received") \
	X(WORKER, busy_cycles, "worker_busy_cycles", COUNTER, "", "TSC cycles of turns that found packets") \
	X(WORKER, busy_ns, "worker_busy_seconds", COUNTER, "seconds", \
	  "Time of turns that found packets: its rate is the load") \
	X(WORKER, sleep_ns, "worker_sleep_seconds", COUNTER, "seconds", "Time asleep") \
	X(WORKER, sleeps, "worker_sleeps", COUNTER, "", "Times it went to sleep") \
	X(WORKER, turns, "worker_turns", COUNTER, "", "Polls of everything the worker serves") \
	X(WORKER, busy_turns, "worker_busy_turns", COUNTER, "", "Polls that found packets") \
	X(WORKER, remote_numa, "worker_remote_numa_packets", COUNTER, "", "Packets of guests on another NUMA node") \
	X(WORKER, queues, "worker_queues", GAUGE, "", "Queues of guests that it polls") \
	X(WORKER, member_queues, "worker_member_queues", GAUGE, "", "Queues of members that it polls") \
	X(RECORD, packets, "record_packets", COUNTER, "", "IP packets from guests and the wire to the record") \
	X(RECORD, bytes, "record_bytes", COUNTER, "bytes", "Bytes of their frames")

enum metric_scope {
#define X(sym, ...) METRIC_SCOPE_##sym,
	METRIC_SCOPE_LIST(X)
#undef X
	METRIC_SCOPES,
};

enum metric_type { METRIC_COUNTER, METRIC_GAUGE };

#endif
