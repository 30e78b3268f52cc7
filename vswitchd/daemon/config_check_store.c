/* SPDX-License-Identifier: BSD-3-Clause */
/* The group `store`. Whether its files can be read is seen by who runs. */
#include <string.h>

#include "daemon/config_private.h"

struct config_where config_group_where(const struct config *c, const char *name)
{
	unsigned int g;

	for (g = 0; settings_groups[g].name; g++)
		if (strcmp(settings_groups[g].name, name) == 0)
			return c->groups[g];
	return (struct config_where){ 0 };
}

static void check_endpoint(const struct config *c, struct config_errors *errors, const char *url)
{
	const char *host = strncmp(url, "https://", 8) == 0 ? url + 8 : strncmp(url, "http://", 7) == 0 ? url + 7 : "";

	if (!*host || host[strcspn(host, "/?#@ ")])
		config_error(c, errors, config_group_where(c, "store"),
			     "store: endpoints: '%s' is not like https://10.0.0.1:2379", url);
	else if (*c->settings.store.ca && url[4] != 's')
		config_error(c, errors, config_group_where(c, "store"),
			     "store: endpoints: '%s' goes without TLS, but ca is given", url);
}

void config_check_store(const struct config *c, struct config_errors *errors)
{
	struct config_where w = config_group_where(c, "store");
	const struct kv_config *s = &c->settings.store;
	size_t n = strlen(s->root);

	if (s->backend == KV_ETCD && !s->n_endpoints)
		config_error(c, errors, w, "store: endpoints: backend etcd wants at least one");
	if (s->backend != KV_ETCD && s->n_endpoints)
		config_error(c, errors, w, "store: endpoints: are of backend etcd");
	if (s->backend == KV_ETCD && *s->path)
		config_error(c, errors, w, "store: path: is of backend sqlite");
	if (*s->path && *s->path != '/')
		config_error(c, errors, w, "store: path: '%s' is not an absolute path", s->path);
	if (n < 2 || s->root[0] != '/' || s->root[n - 1] == '/')
		config_error(c, errors, w, "store: prefix: '%s' does not begin with / or ends with it", s->root);
	if (!*s->user != !*s->password_file)
		config_error(c, errors, w, "store: user and password-file go together");
	if (!*s->cert != !*s->key)
		config_error(c, errors, w, "store: cert and key go together");
	for (unsigned int i = 0; i < s->n_endpoints; i++)
		check_endpoint(c, errors, s->endpoints[i]);
}
