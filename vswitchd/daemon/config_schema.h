/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The settings of the configuration file: one table of groups and rows that drives the parser, its messages, the
 * sample file and the manual. Objects (ports, records...) are described by object_types[] of base/object.h.
 */
#ifndef DAEMON_CONFIG_SCHEMA_H
#define DAEMON_CONFIG_SCHEMA_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/errs.h"
#include "base/field.h"
#include "base/object.h"
#include "policy/store/store.h"

#define SETTINGS_MAX_CORES  64
#define SETTINGS_GROUPS_MAX 16
#define GROUP_SIZE	    32 /* name of a Unix group */

enum hugepages { HUGEPAGES_AUTO, HUGEPAGES_ON, HUGEPAGES_OFF };
enum team_provider { TEAM_PROVIDER_STATIC, TEAM_PROVIDER_LIBTEAM };
enum team_spread { TEAM_SPREAD_ACTIVE, TEAM_SPREAD_ALL };

struct settings {
	/* host */
	char host_id[ID_SIZE];
	/* paths */
	char run_dir[PATH_SIZE], state_dir[PATH_SIZE], socket_dir[PATH_SIZE], socket_group[GROUP_SIZE];
	/* workers */
	uint16_t n_cores;
	uint16_t cores[SETTINGS_MAX_CORES];
	uint16_t worker_count;
	uint32_t max_sleep_us;
	/* memory */
	uint32_t megabytes, mbufs, mbuf_size;
	uint8_t hugepages; /* enum hugepages */
	/* team */
	uint8_t provider; /* enum team_provider */
	uint8_t mode;	  /* enum team_mode */
	char team_device[16]; /* IFNAMSIZ */
	uint8_t runner;	      /* index into team_runner_names[] */
	uint8_t spread;	      /* enum team_spread */
	uint8_t member_type;  /* enum member_type, af-packet or af-xdp */
	uint32_t hold_down_ms, grace_ms, detach_grace_ms;
	bool rebalance, rebalance_force;
	/* policy */
	uint32_t max_records;
	bool use_external_router, routed_ttl, count_records;
	uint32_t verify_s, claim_wait_ms, redirect_s;
	/* nvgre */
	bool flow_id, accept_inner_vid0, redirect;
	/* offload */
	uint8_t offload_trust; /* enum offload_trust */
	bool offload_vmq;
	uint8_t offload_rss; /* enum offload_rss */
	/* limits */
	uint32_t flood_pps, neigh_pps, learn_pps, learned_per_port;
	/* store */
	struct kv_config store;
	/* underlay */
	uint16_t provider_mtu;
	bool plain_uplink;
	bool mss_clamp;
	/* log */
	uint8_t log_level; /* index into log_level_names[] */
	/* control */
	char read_group[GROUP_SIZE], operate_group[GROUP_SIZE], admin_group[GROUP_SIZE];
	/* metrics */
	bool metrics_socket, metrics_public;
	char metrics_listen[64];
};

struct settings_group {
	const char *name; /* of the group in the file: "workers" */
	const struct field *rows; /* offsets into struct settings; ended by a row with name NULL */
	const char *text;
};

/* Ended by an entry with name NULL. */
extern const struct settings_group settings_groups[];
extern const char *const log_level_names[];
/* The first is for none. */
extern const char *const team_runner_names[];

/* Fill in the defaults of every row; host.id becomes the machine's host name. */
void settings_defaults(struct settings *s);

/* Complete values that depend on others (socket-dir below run-dir, a team device has libteam). After parsing. */
void settings_complete(struct settings *s);

/*
 * May the running daemon change from `a` to `b`? Every difference must be in a FIELD_RELOAD row.
 * @return 0, or -EINVAL with a reason that names all the settings that need a restart.
 */
int settings_reloadable(const struct settings *a, const struct settings *b, struct errbuf *err);

/* syslog level of settings.log_level. */
int settings_syslog_level(const struct settings *s);

/* Write a commented sample configuration with every setting and one example of every object. */
void config_print_sample(FILE *out);

#endif
