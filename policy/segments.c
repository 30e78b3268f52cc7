/* SPDX-License-Identifier: BSD-3-Clause */
/* Segments: everything of one VSID on the control side. */
#include <stdlib.h>

#include "policy/policy_private.h"

#define PAGES (sizeof(((struct policy *)0)->pages) / sizeof(((struct policy *)0)->pages[0]))

struct segment *segment_find(const struct policy *p, uint32_t vsid)
{
	const struct subnet_page *page = p->pages[vsid / VSID_PAGE];

	return page ? page->segment[vsid % VSID_PAGE] : NULL;
}

struct segment *segment_get(struct policy *p, uint32_t vsid)
{
	struct subnet_page *page = p->pages[vsid / VSID_PAGE];
	struct segment *s;

	if (!page) {
		page = calloc(1, sizeof(*page));
		if (!page)
			return NULL;
		rcu_assign(p->pages[vsid / VSID_PAGE], page);
	}
	s = page->segment[vsid % VSID_PAGE];
	if (s)
		return s;
	s = calloc(1, sizeof(*s));
	if (!s)
		return NULL;
	s->vsid = vsid;
	page->segment[vsid % VSID_PAGE] = s;
	return s;
}

void segment_put(struct policy *p, struct segment *s)
{
	if (s->spec || s->n_records || s->n_members || s->n_routes || (s->flood && s->flood->n_ports))
		return;
	p->pages[s->vsid / VSID_PAGE]->segment[s->vsid % VSID_PAGE] = NULL;
	if (s->vsid == 0)
		rcu_assign(p->plain, NULL);
	policy_free_later(p, s->flood);
	free(s);
}

static void free_segment(struct segment *s)
{
	if (!s)
		return;
	free((void *)(uintptr_t)s->flood);
	free(s->subnet);
	free(s->spec);
	free(s);
}

void subnets_fini(struct policy *p)
{
	for (unsigned int i = 0; i < PAGES; i++) {
		for (unsigned int k = 0; p->pages[i] && k < VSID_PAGE; k++)
			free_segment(p->pages[i]->segment[k]);
		free(p->pages[i]);
	}
}
