/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The PAs that were preferred, one "ADDRESS VLAN MAC" per line in <state-dir>/provider-addresses. After a
 * restart they are used at once. A file that is lost or torn costs a duplicate address detection, so nothing
 * is synced and bad lines are skipped.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "teaming/core.h"

#define NAME "provider-addresses"

static bool parse_line(char *line, struct tw_state_pa *ret)
{
	char *save, *address = strtok_r(line, " \n", &save), *vlan = strtok_r(NULL, " \n", &save);
	char *mac = strtok_r(NULL, " \n", &save);
	uint64_t v;

	if (!address || !vlan || !mac || strtok_r(NULL, " \n", &save))
		return false;
	if (parse_ip(address, &ret->address) < 0 || parse_u64(vlan, 0, 4094, &v) < 0 || parse_mac(mac, &ret->mac) < 0)
		return false;
	ret->vlan = (uint16_t)v;
	return true;
}

unsigned int tw_state_read(const char *dir, struct tw_state_pa *ret, unsigned int max)
{
	CLEANUP_FCLOSE FILE *f = NULL;
	CLEANUP_FREE char *path = NULL;
	unsigned int n = 0;
	char line[128];

	if (!dir || asprintf(&path, "%s/" NAME, dir) < 0) {
		path = NULL;
		return 0;
	}
	f = fopen(path, "re");
	while (f && n < max && fgets(line, sizeof(line), f))
		n += parse_line(line, &ret[n]);
	return n;
}

static int write_all(const char *path, const struct tw_state_pa *pas, unsigned int n)
{
	char address[IP_STR], mac[MAC_STR];
	FILE *f = fopen(path, "we");
	int failed = 0;

	if (!f)
		return -errno;
	for (unsigned int i = 0; i < n; i++)
		failed |= fprintf(f, "%s %u %s\n", format_ip(&pas[i].address, address), pas[i].vlan,
				  format_mac(&pas[i].mac, mac)) < 0;
	failed |= fclose(f) != 0;
	return failed ? -EIO : 0;
}

int tw_state_write(const char *dir, const struct tw_state_pa *pas, unsigned int n)
{
	CLEANUP_FREE char *path = NULL, *tmp = NULL;
	int r;

	if (!dir)
		return 0;
	if (asprintf(&path, "%s/" NAME, dir) < 0) {
		path = NULL;
		return -ENOMEM;
	}
	if (asprintf(&tmp, "%s.new", path) < 0) {
		tmp = NULL;
		return -ENOMEM;
	}
	r = write_all(tmp, pas, n);
	if (r == 0 && rename(tmp, path) < 0)
		r = -errno;
	return r;
}

unsigned int tw_state_collect(const struct tw_core *c, struct tw_state_pa *ret)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < LOCAL_PAS; i++)
		if (tw_pa_in_use(&c->pas[i]))
			ret[n++] = (struct tw_state_pa){ c->pas[i].spec.address, c->pas[i].spec.vlan,
							 c->pas[i].spec.mac };
	return n;
}

bool tw_state_has(const struct tw_state_pa *pas, unsigned int n, const struct pa_spec *pa)
{
	for (unsigned int i = 0; i < n; i++)
		if (ip_equal(&pas[i].address, &pa->address) && pas[i].vlan == pa->vlan &&
		    mac_equal(&pas[i].mac, &pa->mac))
			return true;
	return false;
}
