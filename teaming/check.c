/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Is a configuration sound? What needs more than one object; each object for itself is object_validate()'s.
 */
#include <string.h>

#include "base/str.h"
#include "teaming/core.h"
#include "teaming/libteam_state.h"

#define CHECK(call)                            \
	do {                                   \
		int check_r_ = (call);         \
		if (check_r_ < 0)              \
			return check_r_;       \
	} while (0)

#define HOLD_DOWN_MAX_MS 3600000u

uint8_t tw_mode(uint8_t configured)
{
	/* Where nothing speaks a protocol with the switch, it knows nothing of a team. */
	return configured == TEAM_AUTO ? TEAM_INDEPENDENT : configured;
}

/* Is a's relay a name in the team that b has? */
static bool clash(const struct member_spec *a, const struct member_spec *b)
{
	return *a->relay && (strcmp(a->relay, b->relay) == 0 || strcmp(a->relay, b->name) == 0);
}

static int check_members(const struct teaming_config *config, struct errbuf *err)
{
	if (config->n_members > TEAM_MEMBERS)
		return err_set(err, E2BIG, "members: %u are configured, allowed: %u", config->n_members, TEAM_MEMBERS);
	for (unsigned int i = 0; i < config->n_members; i++) {
		int r = object_validate(OBJECT_MEMBER, &config->members[i], err);

		if (r < 0)
			return err_prefix(err, r, "member %s: ", config->members[i].name);
		if (config->device && *config->device && strcmp(config->members[i].relay, config->device) == 0)
			return err_set(err, EEXIST, "member %s: its relay has the name of the team device",
				       config->members[i].name);
		for (unsigned int j = 0; j < i; j++)
			if (strcmp(config->members[i].name, config->members[j].name) == 0)
				return err_set(err, EEXIST, "member %s: is given twice", config->members[i].name);
			else if (clash(&config->members[i], &config->members[j]) ||
				 clash(&config->members[j], &config->members[i]))
				return err_set(err, EEXIST, "member %s: its relay or name is a relay of member %s, too",
					       config->members[i].name, config->members[j].name);
	}
	return 0;
}

static bool is_member(const struct teaming_config *config, const char *name)
{
	for (unsigned int i = 0; i < config->n_members; i++)
		if (strcmp(config->members[i].name, name) == 0)
			return true;
	return false;
}

/* Two PAs that a neighbour could not tell apart. */
static int check_pa_pair(const struct teaming_config *config, const struct pa_spec *a, const struct pa_spec *b,
			 struct errbuf *err)
{
	char text[IP_STR], mac_text[MAC_STR];
	struct mac mac_a, mac_b;

	if (ip_equal(&a->address, &b->address))
		return err_set(err, EEXIST, "provider-address %s: is given twice", format_ip(&a->address, text));
	tw_pa_derive_mac(config->host_id, a, &mac_a);
	tw_pa_derive_mac(config->host_id, b, &mac_b);
	if (a->vlan == b->vlan && mac_equal(&mac_a, &mac_b))
		return err_set(err, EEXIST, "provider-address %s: another has the same MAC %s",
			       format_ip(&a->address, text), format_mac(&mac_a, mac_text));
	return 0;
}

static int check_pas(const struct teaming_config *config, struct errbuf *err)
{
	char text[IP_STR];

	if (config->n_pas > LOCAL_PAS)
		return err_set(err, E2BIG, "provider-addresses: %u are configured, allowed: %u", config->n_pas,
			       LOCAL_PAS);
	for (unsigned int i = 0; i < config->n_pas; i++) {
		const struct pa_spec *pa = &config->pas[i];
		int r = object_validate(OBJECT_PA, pa, err);

		if (r < 0)
			return err_prefix(err, r, "provider-address %s: ", format_ip(&pa->address, text));
		/* The ports of a team device come and go. */
		if (*pa->member && !(config->device && *config->device) && !is_member(config, pa->member))
			return err_set(err, ENOENT, "provider-address %s: there is no member '%s'",
				       format_ip(&pa->address, text), pa->member);
		for (unsigned int j = 0; j < i; j++)
			CHECK(check_pa_pair(config, pa, &config->pas[j], err));
	}
	return 0;
}

static bool on_link(const struct teaming_config *config, const struct ip_addr *address)
{
	for (unsigned int i = 0; i < config->n_pas; i++) {
		struct ip_prefix p = { config->pas[i].address, config->pas[i].prefix_len };

		if (ip_in_prefix(address, &p))
			return true;
	}
	return false;
}

static bool is_pa(const struct teaming_config *config, const struct ip_addr *address)
{
	for (unsigned int i = 0; i < config->n_pas; i++)
		if (ip_equal(&config->pas[i].address, address))
			return true;
	return false;
}

static int check_routes(const struct teaming_config *config, struct errbuf *err)
{
	char prefix[PREFIX_STR], hop[IP_STR];

	for (unsigned int i = 0; i < config->n_routes; i++) {
		const struct provider_route_spec *route = &config->routes[i];
		int r = object_validate(OBJECT_PROVIDER_ROUTE, route, err);

		format_prefix(&route->prefix, prefix);
		format_ip(&route->next_hop, hop);
		if (r < 0)
			return err_prefix(err, r, "provider-route %s: ", prefix);
		if (is_pa(config, &route->next_hop))
			return err_set(err, EINVAL, "provider-route %s: next hop %s is this host's own address", prefix,
				       hop);
		if (!on_link(config, &route->next_hop))
			return err_set(err, ENETUNREACH,
				       "provider-route %s: next hop %s is in no provider address's subnet", prefix,
				       hop);
	}
	return 0;
}

int tw_check(const struct teaming_config *config, struct errbuf *err)
{
	if (config->mode > TEAM_COOPERATE)
		return err_set(err, EINVAL, "team mode '%u', allowed: auto, independent, cooperate", config->mode);
	if (config->hold_down_ms > HOLD_DOWN_MAX_MS)
		return err_set(err, ERANGE, "hold-down '%u' ms, allowed: 0..%u", config->hold_down_ms,
			       HOLD_DOWN_MAX_MS);
	if (config->device && strlen(config->device) >= IFNAMSIZ)
		return err_set(err, EINVAL, "team device '%s' is longer than a network device's name", config->device);
	if (config->device && strpbrk(config->device, "/ \t"))
		return err_set(err, EINVAL, "team device '%s': no network device can have that name", config->device);
	if (config->runner && *config->runner && !tw_team_runner_known(config->runner))
		return err_set(err, EINVAL,
			       "runner '%s', allowed: lacp, activebackup, loadbalance, roundrobin, random, broadcast",
			       config->runner);
	if (!config->host_id || !*config->host_id)
		return err_set(err, EINVAL, "the host has no id");
	CHECK(check_members(config, err));
	CHECK(check_pas(config, err));
	return check_routes(config, err);
}
