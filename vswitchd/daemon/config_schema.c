/* SPDX-License-Identifier: BSD-3-Clause */
#include <assert.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include "base/str.h"
#include "daemon/config_schema.h"
#include "offload/offload.h"
#include "teaming/teaming.h"

#define PLACE(member) .offset = offsetof(struct settings, member), .size = sizeof(((struct settings *)0)->member)

static const char *const hugepages_names[] = { "auto", "on", "off", NULL };
static const char *const provider_names[] = { "static", "libteam", NULL };
static const char *const spread_names_[] = { "active", "all", NULL };
static const char *const port_types[] = { "af-packet", "af-xdp", NULL }; /* begins as member_type_names[] */
const char *const team_runner_names[] = { "ask", "lacp", "activebackup", "loadbalance", "roundrobin", "random",
					  "broadcast", NULL };
const char *const log_level_names[] = { "error", "warning", "notice", "info", "debug", NULL };

static const struct field host_rows[] = {
	{ .name = "id", .type = FIELD_ID, PLACE(host_id),
	  .text = "Name of this host in lookup records. Default: the machine's host name." },
	{ 0 },
};

static const struct field paths_rows[] = {
	{ .name = "run-dir", .type = FIELD_STRING, PLACE(run_dir), .def = "/run/vswitchd",
	  .text = "Control socket, lock and what has to survive a restart but not a reboot. One per instance." },
	{ .name = "state-dir", .type = FIELD_STRING, PLACE(state_dir), .def = "/var/lib/vswitchd",
	  .text = "Policy made at run time, and the salt of the flow hash. One per instance." },
	{ .name = "socket-dir", .type = FIELD_STRING, PLACE(socket_dir),
	  .text = "vhost-user sockets; paths given at run time must lie below it. Default: ports below run-dir." },
	{ .name = "socket-group", .type = FIELD_STRING, PLACE(socket_group),
	  .text = "Group that may create sockets in socket-dir, the one QEMU runs as. Default: root only." },
	{ 0 },
};

static const struct field workers_rows[] = {
	{ .name = "cores", .type = FIELD_UINT, .offset = offsetof(struct settings, cores), .size = sizeof(uint16_t),
	  .max = 1023, .max_items = SETTINGS_MAX_CORES, .count_offset = offsetof(struct settings, n_cores),
	  .text = "CPUs that carry packets, one worker each. Empty: `count` of those this process may use." },
	{ .name = "count", .type = FIELD_UINT, PLACE(worker_count), .min = 1, .max = SETTINGS_MAX_CORES, .def = "1",
	  .text = "Number of workers when `cores` is empty; taken from the highest CPU number downwards." },
	{ .name = "max-sleep-us", .type = FIELD_UINT, PLACE(max_sleep_us), .max = 100000, .def = "500",
	  .flags = FIELD_RELOAD,
	  .text = "Longest sleep of an idle worker in microseconds, which is what a first packet may wait. "
		  "0: never sleep." },
	{ 0 },
};

static const struct field memory_rows[] = {
	{ .name = "megabytes", .type = FIELD_UINT, PLACE(megabytes), .min = 64, .max = 1048576, .def = "0",
	  .flags = FIELD_ZERO_OK, .text = "Memory for packets and tables. 0: derived from mbufs and max-records." },
	{ .name = "hugepages", .type = FIELD_ENUM, PLACE(hugepages), .names = hugepages_names, .def = "auto",
	  .text = "auto: use huge pages when enough are free, else ordinary ones. Never changes the system's "
		  "settings." },
	{ .name = "mbufs", .type = FIELD_UINT, PLACE(mbufs), .min = 4096, .max = 4194304, .def = "32768",
	  .text = "Packet buffers." },
	{ .name = "mbuf-size", .type = FIELD_UINT, PLACE(mbuf_size), .min = 2048, .max = 16384, .def = "2048",
	  .text = "Bytes of one packet buffer. Over 2048 only for jumbo frames: what goes to the wire has to fit "
		  "one." },
	{ 0 },
};

static const struct field team_rows[] = {
	{ .name = "device", .type = FIELD_STRING, PLACE(team_device),
	  .text = "Team device, which teamd keeps: its ports are the members, and `members` says only what is special "
		  "about one of that name. It may come later." },
	{ .name = "provider", .type = FIELD_ENUM, PLACE(provider), .names = provider_names, .def = "static",
	  .text = "Who owns the team. static: the members are those listed in `members`. libteam: teamd does; what a "
		  "`device` implies." },
	{ .name = "mode", .type = FIELD_ENUM, PLACE(mode), .names = team_mode_names, .def = "auto",
	  .text = "independent: the physical switch knows nothing of the team. cooperate: LACP or a static link "
		  "aggregation. auto: by the team's runner: lacp cooperates, activebackup is independent, with others "
		  "it has to be said here. Without a team device: independent." },
	{ .name = "runner", .type = FIELD_ENUM, PLACE(runner), .names = team_runner_names, .def = "ask",
	  .text = "Runner of the team where teamd cannot be asked, which takes root. broadcast is refused." },
	{ .name = "spread", .type = FIELD_ENUM, PLACE(spread), .names = spread_names_, .def = "active",
	  .text = "Runner activebackup. active: only the active port carries traffic. all: every port with a good "
		  "link does, for the standby ports are plain ports to the switch." },
	{ .name = "member-type", .type = FIELD_ENUM, PLACE(member_type), .names = port_types, .def = "af-packet",
	  .text = "Type of ports of the team device that `members` does not mention." },
	{ .name = "detach-grace-ms", .type = FIELD_UINT, PLACE(detach_grace_ms), .min = 1, .max = 60000, .def = "3000",
	  .text = "A team device that vanished (teamd makes it anew) is waited for so long with what it said last." },
	{ .name = "hold-down-ms", .type = FIELD_UINT, PLACE(hold_down_ms), .max = 600000, .def = "2000",
	  .flags = FIELD_RELOAD, .text = "A member is used again after its link was good for this long." },
	{ .name = "grace-ms", .type = FIELD_UINT, PLACE(grace_ms), .min = 1, .max = 10000, .def = "500",
	  .flags = FIELD_RELOAD,
	  .text = "How long frames are still accepted on the previous member of a provider address after a move." },
	{ .name = "rebalance", .type = FIELD_BOOL, PLACE(rebalance), .def = "true", .flags = FIELD_RELOAD,
	  .text = "Every ten seconds, flows of a busy member go to one that is not, in a pause of their traffic. Takes "
		  "members whose speed is known." },
	{ .name = "rebalance-force", .type = FIELD_BOOL, PLACE(rebalance_force), .def = "false",
	  .flags = FIELD_RELOAD,
	  .text = "So do flows that never pause, after ten seconds; some of their packets may be overtaken then." },
	{ 0 },
};

static const struct field policy_rows[] = {
	{ .name = "max-records", .type = FIELD_UINT, PLACE(max_records), .min = 1, .max = 16777216, .def = "65536",
	  .text = "Lookup records for which tables are reserved at start." },
	{ .name = "use-external-router", .type = FIELD_BOOL, PLACE(use_external_router), .def = "false",
	  .flags = FIELD_RELOAD,
	  .text = "Traffic between subnets goes only through next hops of customer routes, not through the "
		  "distributed router." },
	{ .name = "routed-ttl", .type = FIELD_BOOL, PLACE(routed_ttl), .def = "true", .flags = FIELD_RELOAD,
	  .text = "The distributed router takes one TTL or hop limit." },
	{ .name = "count-records", .type = FIELD_BOOL, PLACE(count_records), .def = "false", .flags = FIELD_RELOAD,
	  .text = "Count packets by the lookup record that they go to, for `record list` and /metrics/records. Takes "
		  "20 bytes per worker for each of max-records, and a lookup per packet." },
	{ .name = "verify-s", .type = FIELD_UINT, PLACE(verify_s), .max = 86400, .def = "300", .flags = FIELD_RELOAD,
	  .text = "A guest is asked for a learned address so many seconds after it was last heard of; three questions "
		  "without an answer remove it. 0: never." },
	{ .name = "claim-wait-ms", .type = FIELD_UINT, PLACE(claim_wait_ms), .min = 2, .max = 10000, .def = "60",
	  .flags = FIELD_RELOAD,
	  .text = "When a guest claims a learned address of another one, that one has this long to answer; its silence "
		  "moves the address." },
	{ .name = "redirect-s", .type = FIELD_UINT, PLACE(redirect_s), .max = 3600, .def = "30",
	  .flags = FIELD_RELOAD,
	  .text = "So many seconds after a port is gone, packets for its guest are put back on the wire to the host "
		  "that records name meanwhile, once. 0: they are dropped." },
	{ 0 },
};

static const struct field nvgre_rows[] = {
	{ .name = "flow-id", .type = FIELD_BOOL, PLACE(flow_id), .def = "true", .flags = FIELD_RELOAD,
	  .text = "Put eight bits of the inner flow's hash into the FlowID (RFC 7637 3.2); false: 0." },
	{ .name = "accept-inner-vid0", .type = FIELD_BOOL, PLACE(accept_inner_vid0), .def = "false",
	  .flags = FIELD_RELOAD,
	  .text = "Take a priority tag (VID 0) off a received inner frame, for peers of before RFC 7637; false: drop "
		  "inner-vlan." },
	{ .name = "redirect", .type = FIELD_BOOL, PLACE(redirect), .def = "false", .flags = FIELD_RELOAD,
	  .text = "Speak REDIRECT and UNREACHABLE of MS-NVGREE: tell senders that a guest has gone from here, and "
		  "believe other hosts that say so of theirs, for 10 seconds or until policy says more." },
	{ 0 },
};

static const struct field limits_rows[] = {
	{ .name = "flood-pps", .type = FIELD_UINT, PLACE(flood_pps), .max = 10000000, .def = "1000",
	  .flags = FIELD_RELOAD, .text = "Flooded frames per second and port. 0: no limit." },
	{ .name = "neigh-pps", .type = FIELD_UINT, PLACE(neigh_pps), .max = 10000000, .def = "1000",
	  .flags = FIELD_RELOAD, .text = "ARP, ND and ICMP answers per second and port. 0: no limit." },
	{ .name = "learn-pps", .type = FIELD_UINT, PLACE(learn_pps), .max = 10000000, .def = "100",
	  .flags = FIELD_RELOAD,
	  .text = "Messages about addresses per second and port that are looked into, beyond the first "
		  "learned-per-port. 0: no limit." },
	{ .name = "learned-per-port", .type = FIELD_UINT, PLACE(learned_per_port), .min = 1, .max = 65536,
	  .def = "256", .flags = FIELD_RELOAD, .text = "Addresses that are learned at one port." },
	{ 0 },
};

static const struct field store_rows[] = {
	{ .name = "backend", .type = FIELD_ENUM, PLACE(store.backend), .names = kv_backend_names, .def = "sqlite",
	  .text = "Policy that many hosts share. etcd: from the servers in `endpoints`. sqlite: from the file `path`, "
		  "which instances on one machine share; without a path this host has policy of its own." },
	{ .name = "endpoints", .type = FIELD_STRING, .offset = offsetof(struct settings, store.endpoints),
	  .size = PATH_SIZE, .max_items = KV_ENDPOINTS, .count_offset = offsetof(struct settings, store.n_endpoints),
	  .text = "Members of the etcd cluster, as https://10.0.0.1:2379. One is used; another one when it fails." },
	{ .name = "path", .type = FIELD_STRING, PLACE(store.path), .text = "Backend sqlite: the shared file." },
	{ .name = "prefix", .type = FIELD_STRING, PLACE(store.root), .def = "/vswitchd/v1",
	  .text = "What all keys begin with: hosts of one prefix share policy." },
	{ .name = "ca", .type = FIELD_STRING, PLACE(store.ca),
	  .text = "File with the certificates that may have signed the servers'. Default: the system's." },
	{ .name = "cert", .type = FIELD_STRING, PLACE(store.cert),
	  .text = "File with this host's certificate, where servers want one. Its common name has to be empty." },
	{ .name = "key", .type = FIELD_STRING, PLACE(store.key), .text = "File with the key of `cert`." },
	{ .name = "user", .type = FIELD_ID, PLACE(store.user), .text = "User, where the servers know users." },
	{ .name = "password-file", .type = FIELD_STRING, PLACE(store.password_file),
	  .text = "File with the user's password, for nobody else to read." },
	{ .name = "lease-seconds", .type = FIELD_UINT, PLACE(store.lease_s), .min = 2, .max = 3600, .def = "5",
	  .text = "A host that the store has not heard of for so long is dead to the others." },
	{ 0 },
};

static const struct field underlay_rows[] = {
	{ .name = "mtu", .type = FIELD_UINT, PLACE(provider_mtu), .min = 1280, .max = 9216, .def = "0",
	  .flags = FIELD_ZERO_OK, .text = "IP MTU of the provider network. 0: the smallest of the members' MTUs." },
	{ .name = "mss-clamp", .type = FIELD_BOOL, PLACE(mss_clamp), .def = "true", .flags = FIELD_RELOAD,
	  .text = "Lower the MSS that guests announce to remote ones to what the provider network carries." },
	{ .name = "plain-uplink", .type = FIELD_BOOL, PLACE(plain_uplink), .def = "false",
	  .text = "Ports without a virtual subnet (VSID 0) reach the team." },
	{ 0 },
};

static const struct field offload_rows[] = {
	{ .name = "trust", .type = FIELD_ENUM, PLACE(offload_trust), .names = offload_trust_names, .def = "accepted",
	  .flags = FIELD_RELOAD,
	  .text = "What has to be known of a NIC's segmentation, checksums, flow rules before they are used. "
		  "accepted: its driver "
		  "checks such packets and takes them. proven: they came back right from a loop. none: software does "
		  "all. granted: its driver claims it, which is all there is of received checksums and of drivers "
		  "that check nothing. What was seen to fail is never used." },
	{ .name = "vmq", .type = FIELD_BOOL, PLACE(offload_vmq), .def = "true", .flags = FIELD_RELOAD,
	  .text = "Flow rules in NICs that take them: frames of a VSID and MAC go to the worker of that guest." },
	{ .name = "software-rss", .type = FIELD_ENUM, PLACE(offload_rss), .names = offload_rss_names, .def = "auto",
	  .flags = FIELD_RELOAD,
	  .text = "Received frames are handed to the worker that their inner flow chooses, where a member has fewer "
		  "queues than there are workers, or does not spread inner flows. auto: while a worker gets more than "
		  "it can carry and another one has time." },
	{ 0 },
};

static const struct field log_rows[] = {
	{ .name = "level", .type = FIELD_ENUM, PLACE(log_level), .names = log_level_names, .def = "info",
	  .flags = FIELD_RELOAD, .text = "Least important messages that are written." },
	{ 0 },
};

static const struct field control_rows[] = {
	{ .name = "read-group", .type = FIELD_STRING, PLACE(read_group), .flags = FIELD_RELOAD,
	  .text = "Group that may read policy and counters. root may always do everything." },
	{ .name = "operate-group", .type = FIELD_STRING, PLACE(operate_group), .flags = FIELD_RELOAD,
	  .text = "Group that may also run captures, traces and tests, which show tenants' data." },
	{ .name = "admin-group", .type = FIELD_STRING, PLACE(admin_group), .flags = FIELD_RELOAD,
	  .text = "Group that may also change things." },
	{ 0 },
};

static const struct field metrics_rows[] = {
	{ .name = "socket", .type = FIELD_BOOL, PLACE(metrics_socket), .def = "true",
	  .text = "Serve metrics in OpenMetrics at the unix socket `metrics` in run-dir, to whoever may read." },
	{ .name = "listen", .type = FIELD_STRING, PLACE(metrics_listen),
	  .text = "Serve them at this ADDRESS:PORT or [ADDRESS]:PORT, too, to everybody who can connect." },
	{ .name = "public", .type = FIELD_BOOL, PLACE(metrics_public), .def = "false",
	  .text = "`listen` may be another address than the loopback's." },
	{ 0 },
};

const struct settings_group settings_groups[] = {
	{ "host", host_rows, "This host." },
	{ "paths", paths_rows, "Directories; made at start where missing." },
	{ "workers", workers_rows, "Threads that carry packets." },
	{ "memory", memory_rows, "Packet and table memory." },
	{ "team", team_rows, "The NIC team toward the provider network." },
	{ "policy", policy_rows, "Tables and the distributed router." },
	{ "nvgre", nvgre_rows, "Encapsulation (RFC 7637)." },
	{ "limits", limits_rows, "Rates per port." },
	{ "store", store_rows, "Policy that many hosts share." },
	{ "underlay", underlay_rows, "The provider network." },
	{ "offload", offload_rows, "What NICs do for the switch." },
	{ "log", log_rows, "Messages: to the journal when there is one, else standard error." },
	{ "control", control_rows, "Who may use the control socket." },
	{ "metrics", metrics_rows, "Counters for Prometheus; see vswitchd-metrics(7)." },
	{ 0 },
};

static_assert(sizeof(settings_groups) / sizeof(settings_groups[0]) <= SETTINGS_GROUPS_MAX, "room in struct config");

void settings_defaults(struct settings *s)
{
	const struct settings_group *g;
	char name[ID_SIZE] = "";
	const struct field *f;

	memset(s, 0, sizeof(*s));
	for (g = settings_groups; g->name; g++)
		for (f = g->rows; f->name; f++)
			if (f->def)
				field_set(f, s, 0, f->def, NULL);
	/* The short name, so that a host keeps its id when its domain changes. */
	if (gethostname(name, sizeof(name) - 1) < 0)
		return;
	name[strcspn(name, ".")] = '\0';
	if (str_is_id(name))
		str_copy(s->host_id, sizeof(s->host_id), name);
}

void settings_complete(struct settings *s)
{
	if (!s->socket_dir[0])
		snprintf(s->socket_dir, sizeof(s->socket_dir), "%.*s/ports", (int)sizeof(s->socket_dir) - 7,
			 s->run_dir);
	if (s->team_device[0])
		s->provider = TEAM_PROVIDER_LIBTEAM;
}

int settings_reloadable(const struct settings *a, const struct settings *b, struct errbuf *err)
{
	const struct settings_group *g;
	const struct field *f;
	char names[sizeof(err->text) / 2] = "";
	size_t used = 0;
	int n;

	for (g = settings_groups; g->name; g++) {
		for (f = g->rows; f->name; f++) {
			const struct field one[2] = { *f };

			if ((f->flags & FIELD_RELOAD) || field_equal(one, a, b))
				continue;
			n = snprintf(names + used, sizeof(names) - used, "%s%s.%s", used ? ", " : "", g->name,
				     f->name);
			if (n > 0 && (size_t)n < sizeof(names) - used)
				used += (size_t)n;
		}
	}
	if (!used)
		return 0;
	return err_set(err, EINVAL, "cannot change without a restart: %s", names);
}

int settings_syslog_level(const struct settings *s)
{
	static const int levels[] = { LOG_ERR, LOG_WARNING, LOG_NOTICE, LOG_INFO, LOG_DEBUG };

	return levels[s->log_level < sizeof(levels) / sizeof(levels[0]) ? s->log_level : 3];
}
