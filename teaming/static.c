/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Provider `static`: the members are those of the configuration, each finds its netdev by name or by index whenever
 * either appears.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "teaming/links.h"

struct followed {
	bool used;
	char name[IFNAMSIZ];
	uint32_t device; /* if_index of the opened device */
	uint32_t bound;	 /* netdev it was found as */
};

struct provider {
	struct tw_links *links;
	struct followed members[TEAM_MEMBERS];
};

static void static_free(struct provider *p)
{
	if (!p)
		return;
	tw_links_close(p->links);
	free(p);
}

static int static_create(const struct provider_config *config, struct provider **ret, struct errbuf *err)
{
	struct provider *p = calloc(1, sizeof(*p));
	int r;

	if (!p)
		return err_set(err, ENOMEM, "out of memory");
	r = tw_links_open(&p->links, err);
	if (r < 0) {
		free(p);
		return r;
	}
	*ret = p;
	return 0;
}

static int static_fd(const struct provider *p)
{
	return tw_links_fd(p->links);
}

static int static_handle(struct provider *p)
{
	return tw_links_handle(p->links);
}

static void static_follow(struct provider *p, unsigned int member, const char *name, uint32_t if_index)
{
	struct followed *f = &p->members[member];

	if (!f->used || !name || strcmp(f->name, name) != 0)
		*f = (struct followed){ .used = true };
	if (name)
		str_copy(f->name, sizeof(f->name), name);
	f->device = if_index;
}

static void static_forget(struct provider *p, unsigned int member)
{
	p->members[member] = (struct followed){ 0 };
}

static void static_port(struct provider *p, unsigned int member, struct provider_port *ret)
{
	struct followed *f = &p->members[member];
	struct tw_netdev *l;

	memset(ret, 0, sizeof(*ret));
	if (!f->used)
		return;
	l = tw_links_find(p->links, f->bound);
	if (!l)
		l = *f->name ? tw_links_find_name(p->links, f->name) : tw_links_find(p->links, f->device);
	f->bound = l ? l->if_index : 0;
	if (!l)
		return;
	tw_links_port(l, ret);
	ret->enabled = true;
}

const struct provider_ops provider_static = {
	.name = "static",
	.create = static_create,
	.free = static_free,
	.fd = static_fd,
	.handle = static_handle,
	.follow = static_follow,
	.forget = static_forget,
	.port = static_port,
};
