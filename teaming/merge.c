/* SPDX-License-Identifier: BSD-3-Clause */
/* The configuration and the ports of a team device become one list of members. */
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "teaming/team.h"

struct tw_config_copy *tw_config_copy(const struct teaming_config *config)
{
	struct tw_config_copy *c = calloc(1, sizeof(*c) + config->n_routes * sizeof(c->routes[0]));

	if (!c)
		return NULL;
	c->config = *config;
	str_copy(c->host_id, sizeof(c->host_id), config->host_id);
	str_copy(c->device, sizeof(c->device), config->device ? config->device : "");
	str_copy(c->runner, sizeof(c->runner), config->runner ? config->runner : "");
	if (config->n_members)
		memcpy(c->members, config->members, config->n_members * sizeof(c->members[0]));
	if (config->n_pas)
		memcpy(c->pas, config->pas, config->n_pas * sizeof(c->pas[0]));
	if (config->n_routes)
		memcpy(c->routes, config->routes, config->n_routes * sizeof(c->routes[0]));
	c->config.host_id = c->host_id;
	c->config.device = c->device;
	c->config.runner = c->runner;
	c->config.members = c->members;
	c->config.pas = c->pas;
	c->config.routes = c->routes;
	c->config.state_dir = NULL; /* only at creation */
	return c;
}

unsigned int tw_config_merge(const struct teaming_config *config, char ports[][IFNAMSIZ], unsigned int n_ports,
			     struct member_spec *ret)
{
	for (unsigned int i = 0; i < n_ports; i++) {
		object_default(OBJECT_MEMBER, &ret[i]);
		str_copy(ret[i].name, sizeof(ret[i].name), ports[i]);
		ret[i].type = config->member_type;
		for (unsigned int k = 0; k < config->n_members; k++)
			if (strcmp(config->members[k].name, ports[i]) == 0)
				ret[i] = config->members[k];
	}
	return n_ports;
}
