/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/vsid_totals.h"

/* Where it is, or would be. */
static size_t place(const struct vsid_totals *t, uint32_t vsid)
{
	size_t from = 0, to = t->n;

	while (from < to) {
		size_t mid = (from + to) / 2;

		if (t->v[mid].vsid < vsid)
			from = mid + 1;
		else
			to = mid;
	}
	return from;
}

struct vsid_total *vsid_total(struct vsid_totals *t, uint32_t vsid, bool make)
{
	size_t i = place(t, vsid);

	if (i < t->n && t->v[i].vsid == vsid)
		return &t->v[i];
	if (!make)
		return NULL;
	if (t->n == t->room) {
		size_t room = t->room ? 2 * t->room : 16;
		struct vsid_total *v = realloc(t->v, room * sizeof(*v));

		if (!v)
			return NULL;
		t->v = v;
		t->room = room;
	}
	memmove(&t->v[i + 1], &t->v[i], (t->n - i) * sizeof(t->v[0]));
	t->v[i] = (struct vsid_total){ .vsid = vsid };
	t->n++;
	return &t->v[i];
}

static void add_traffic(struct traffic *sum, const struct traffic *seen, const struct traffic *now)
{
	sum->packets += now->packets - seen->packets;
	sum->bytes += now->bytes - seen->bytes;
}

int vsid_totals_add(struct vsid_totals *t, uint32_t vsid, struct vsid_counts *seen, const struct vsid_counts *now)
{
	struct vsid_total *v = vsid_total(t, vsid, true);

	if (!v)
		return -ENOMEM;
	add_traffic(&v->counts.rx, &seen->rx, &now->rx);
	add_traffic(&v->counts.tx, &seen->tx, &now->tx);
	v->counts.drops += now->drops - seen->drops;
	*seen = *now;
	return 0;
}

void vsid_totals_sweep(struct vsid_totals *t, bool (*keep)(uint32_t vsid, void *arg), void *arg)
{
	size_t n = 0;

	for (size_t i = 0; i < t->n; i++)
		if (t->v[i].ports || keep(t->v[i].vsid, arg))
			t->v[n++] = t->v[i];
	t->n = n;
}

void vsid_totals_free(struct vsid_totals *t)
{
	free(t->v);
	*t = (struct vsid_totals){ 0 };
}
