/* SPDX-License-Identifier: BSD-3-Clause */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/drivers.h"
#include "base/log.h"
#include "base/str.h"

/* Main thread before rte_eal_init(), then constant. */
static bool few;
/* Of the plug-ins, as EAL asked for it during rte_eal_init(); "" if it did not. */
static char directory[PATH_MAX];
/* portctl thread. */
static bool all_loaded;

/*
 * EAL looks with stat64() whether its plug-in directory is there (eal_plugins_init() in DPDK 22.11), and there is no
 * option against that. This definition is in front of the C library's for it: while drivers_few() is in effect that
 * one directory, .../dpdk/pmds-ABI, does not exist. Everything else is answered as ever.
 */
int drivers_stat(const char *path, struct stat *st) __asm__("stat64") __attribute__((visibility("default")));

int drivers_stat(const char *path, struct stat *st)
{
	const char *base = few ? strrchr(path, '/') : NULL;

	if (base && strncmp(base, "/pmds-", 6) == 0 && !*directory &&
	    str_copy(directory, sizeof(directory), path) == 0) {
		errno = ENOENT;
		return -1;
	}
	return fstatat(AT_FDCWD, path, st, 0);
}

void drivers_few(void)
{
	few = true;
}

/*
 * "librte_net_null" is librte_net_null.so.23.0 in .../pmds-23.0: the name without a version comes with the development
 * packages only.
 */
static void path_of(char *buf, size_t size, int n, const char *driver)
{
	snprintf(buf, size, "%s/librte_%.*s.so.%s", directory, n, driver, strrchr(directory, '-') + 1);
}

static int load(const char *path, struct errbuf *err)
{
	log_debug("driver %s", path);
	/* For the life of the process, as EAL does it. */
	if (!dlopen(path, RTLD_NOW))
		return err_set(err, ELIBACC, "cannot load a driver of DPDK: %s", dlerror());
	return 0;
}

int drivers_basic(struct errbuf *err)
{
	static const char *const basic[] = { "mempool_ring", "bus_vdev" };
	char path[2 * PATH_MAX];
	int r = 0;

	/* A static build has them inside. */
	for (size_t i = 0; i < sizeof(basic) / sizeof(basic[0]) && *directory && r == 0; i++) {
		path_of(path, sizeof(path), (int)strlen(basic[i]), basic[i]);
		r = load(path, err);
	}
	return r;
}

/* One of a device that is not there may lack a library: that is no error of the others. */
static int load_all(void)
{
	char path[2 * PATH_MAX];
	struct errbuf err;
	glob_t found;
	int r;

	path_of(path, sizeof(path), 1, "*");
	r = glob(path, 0, NULL, &found);
	if (r)
		return r == GLOB_NOMATCH ? -ENOENT : -EIO;
	for (size_t i = 0; i < found.gl_pathc; i++)
		if (load(found.gl_pathv[i], &err) < 0)
			log_debug("%s", err.text);
	globfree(&found);
	all_loaded = true;
	return 0;
}

int drivers_for_device(const char *devargs, struct errbuf *err)
{
	size_t n = strcspn(devargs, ",/");
	char path[2 * PATH_MAX];
	int r;

	if (!*directory || all_loaded)
		return 0;
	/* "net_af_xdp_vsw0" is of librte_net_af_xdp: the longest driver that the name begins with. */
	for (; n > 4 && strncmp(devargs, "net_", 4) == 0; n--) {
		path_of(path, sizeof(path), (int)n, devargs);
		if (access(path, R_OK) == 0)
			return load(path, err);
	}
	r = load_all();
	return r < 0 ? err_set(err, -r, "%s: no drivers of DPDK can be found: %s", directory, strerror(-r)) : 0;
}
