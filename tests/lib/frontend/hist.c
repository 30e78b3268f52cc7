/* SPDX-License-Identifier: BSD-3-Clause */
#include "hist.h"

#include <string.h>

/* values below 64 have a bucket each; above, the six bits behind the leading one count */
static unsigned int bucket_of(uint64_t v)
{
	unsigned int shift;

	if (v < 64)
		return (unsigned int)v;
	shift = 63u - (unsigned int)__builtin_clzll(v) - 6;
	return (shift + 1) * 64 + (unsigned int)(v >> shift & 63);
}

static uint64_t upper_end(unsigned int bucket)
{
	unsigned int shift;

	if (bucket < 64)
		return bucket;
	shift = bucket / 64 - 1;
	return ((uint64_t)(64 + bucket % 64 + 1) << shift) - 1;
}

void hist_reset(struct hist *h)
{
	memset(h, 0, sizeof(*h));
}

void hist_add(struct hist *h, uint64_t v)
{
	if (!h->n || v < h->min)
		h->min = v;
	if (!h->n || v > h->max)
		h->max = v;
	h->n++;
	h->bucket[bucket_of(v)]++;
}

uint64_t hist_quantile(const struct hist *h, unsigned int permille)
{
	uint64_t want = (h->n * permille + 999) / 1000, seen = 0;

	if (!h->n)
		return 0;
	for (unsigned int i = 0; i < HIST_BUCKETS; i++) {
		seen += h->bucket[i];
		if (seen >= want && seen)
			return upper_end(i) < h->max ? upper_end(i) : h->max;
	}
	return h->max;
}
