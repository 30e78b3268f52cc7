/* SPDX-License-Identifier: BSD-3-Clause */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
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

static int load(const char *file, struct errbuf *err)
{
	char path[PATH_MAX + NAME_MAX + 2];

	snprintf(path, sizeof(path), "%s/%s", directory, file);
	log_debug("driver %s", file);
	/* For the life of the process, as EAL does it. */
	if (!dlopen(path, RTLD_NOW))
		return err_set(err, ELIBACC, "cannot load DPDK's driver %s: %s", file, dlerror());
	return 0;
}

int drivers_basic(struct errbuf *err)
{
	int r;

	if (!*directory)
		return 0; /* a static build has them inside */
	r = load("librte_mempool_ring.so", err);
	return r < 0 ? r : load("librte_bus_vdev.so", err);
}

static bool ends_with_so(const char *name)
{
	size_t n = strlen(name);

	return n > 3 && strcmp(name + n - 3, ".so") == 0;
}

/* One of a device that is not there may lack a library: that is no error of the others. */
static int load_all(void)
{
	struct errbuf err;
	struct dirent *e;
	DIR *d;

	if (all_loaded)
		return 0;
	all_loaded = true;
	d = opendir(directory);
	if (!d)
		return -errno;
	while ((e = readdir(d)))
		if (ends_with_so(e->d_name) && load(e->d_name, &err) < 0)
			log_debug("%s", err.text);
	closedir(d);
	return 0;
}

int drivers_for_device(const char *devargs, struct errbuf *err)
{
	size_t n = strcspn(devargs, ",");
	char file[128], path[PATH_MAX + sizeof(file) + 1];
	int r;

	if (!*directory || all_loaded)
		return 0;
	while (n && devargs[n - 1] >= '0' && devargs[n - 1] <= '9')
		n--;
	if (strncmp(devargs, "net_", 4) == 0 && !memchr(devargs, '/', n)) {
		/* "net_af_xdp_vsw" names librte_net_af_xdp: the longest driver that the name begins with. */
		for (; n > 4; n--) {
			snprintf(file, sizeof(file), "librte_%.*s.so", (int)n, devargs);
			snprintf(path, sizeof(path), "%s/%s", directory, file);
			if (access(path, R_OK) == 0)
				return load(file, err);
		}
	}
	r = load_all();
	return r < 0 ? err_set(err, -r, "%s: %s", directory, strerror(-r)) : 0;
}
