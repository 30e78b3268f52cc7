/* SPDX-License-Identifier: BSD-3-Clause */
#include "cli/cli.h"

/* The verbs every kind of object has. */
#define OBJECT(noun_, kind_, what, whats, key_)                                                                       \
	{ noun_, "list", "", "List the " whats, kind_, cmd_object_list },                                   \
	{ noun_, "show", key_, "Show one " what " with its origin", kind_, cmd_object_show },                  \
	{ noun_, "add", "NAME=VALUE...", "Create a " what ", or change the one with the same key", kind_,       \
	  cmd_object_add },                                                                                    \
	{ noun_, "remove", key_, "Remove a " what, kind_, cmd_object_remove },                                 \
	{ noun_, "import", "FILE", "Add " whats " from a file, one per line (JSON or NAME=VALUE...)", kind_,    \
	  cmd_object_import }

const struct command commands[] = {
	{"port", "list", "", "Ports with state and traffic", -1, cmd_port_list},
	{"port", "show", "ID", "One port: state, negotiated features, MTU, drops", -1, cmd_port_show},
	{"port", "add", "id=ID NAME=VALUE...", "Create a port, or change what is given", OBJECT_PORT, cmd_object_add},
	{"port", "remove", "ID", "Remove a port", OBJECT_PORT, cmd_object_remove},
	{"port", "import", "FILE", "Add ports from a file, one per line (JSON or NAME=VALUE...)", OBJECT_PORT,
	 cmd_object_import},
	OBJECT("subnet", OBJECT_SUBNET, "virtual subnet", "virtual subnets", "VSID"),
	OBJECT("record", OBJECT_RECORD, "lookup record", "lookup records", "vsid=N ca=ADDRESS (l2only: mac=MAC)"),
	OBJECT("route", OBJECT_ROUTE, "customer route", "customer routes",
	       "rdid=ID vsid=N prefix=PREFIX [next-hop=ADDRESS]"),
	OBJECT("host", OBJECT_HOST, "host", "hosts", "ID"),
	OBJECT("provider-address", OBJECT_PA, "provider address", "provider addresses", "ADDRESS"),
	OBJECT("provider-route", OBJECT_PROVIDER_ROUTE, "provider route", "provider routes",
	       "prefix=PREFIX [next-hop=ADDRESS]"),
	OBJECT("member", OBJECT_MEMBER, "team member", "team members", "NAME"),
	{"team", "show", "", "Members, provider addresses, buckets, traffic both ways", -1, cmd_team},
	{"neighbour", "list", "", "Resolution of remote provider addresses and next hops", -1, cmd_neighbours},
	{"stats", NULL, "", "Counts of objects, packets by stage, drops", -1, cmd_stats},
	{"traffic", "list", "", "Packets of each virtual subnet's guests, also by ports that have left", -1,
	 cmd_traffic},
	{"drops", NULL, "[--port ID] [--all]", "Lost packets by reason", -1, cmd_drops},
	{"top", NULL, "[--count N] [--interval MS]",
	 "Rates of ports, members, queues, subnets, workers, stages, drops, live; once if no terminal", -1, cmd_top},
	{"offload", "show", "", "Checksums and segmentation: what guests negotiated, how often who did what", -1,
	 cmd_offload},
	{"workers", NULL, "", "Load of each worker", -1, cmd_workers},
	{"next-hop", NULL, "--vsid N --from CA --to CA", "Where the packet path sends what one address has for another",
	 -1, cmd_next_hop},
	{"ping", NULL, "PA [--from PA] [--member NAME] [--size N] [--df] [--count N] [--interval MS] [--timeout MS]",
	 "Echo to a provider address, as tunnels go; what fails is named", -1, cmd_ping},
	{"test", "port",
	 "SENDER [RECEIVER] [--receiver] [--from CA] [--to CA] [--size N] [--sequence N] [--timeout MS]",
	 "Echo from port to port without the guests; across hosts arm the receiver first", -1, cmd_test_port},
	{"trace", NULL, "[--port ID] [--packet TEXT | --read FILE] [--count N] [--drops] [FILTER...]",
	 "Each stage's decision: for a packet in words, or for the next packets", -1, cmd_trace},
	{"capture", NULL,
	 "[--write FILE] [--count N] [--snap N] [--buffer MIB] [--port ID] [--member NAME] [--drops] [FILTER...]",
	 "Copies of packets as pcapng: at guests, on the wire, and where they are dropped", -1, cmd_capture},
	{"events", NULL, "[--follow]", "Events as they happen, until interrupted", -1, cmd_events},
	{"store", "show", "", "The store that hosts share, and how far we are with it", -1, cmd_store},
	{"policy", "apply", "FILE [--dry-run]", "Make shared policy what a file says; print what changes", -1,
	 cmd_policy_apply},
	{"info", NULL, "", "State of the daemon and the settings in force", -1, cmd_info},
	{"reload", NULL, "", "Read the configuration file again and apply the differences", -1, cmd_reload},
	{"version", NULL, "", "Version of the running daemon", -1, cmd_version},
	{NULL, NULL, NULL, NULL, 0, NULL},
};
