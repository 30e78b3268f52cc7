/* SPDX-License-Identifier: BSD-3-Clause */
#include "fake_libteam.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#define STORM_BURST 200 /* events of a round in a storm: more come while they are taken in */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t handled = PTHREAD_COND_INITIALIZER;
static struct {
	struct tw_snapshot snap;
	int attach_error, refresh_error;
	unsigned int queued, handles, refreshes, at_refresh, rounds, burst;
	bool lost, storm;
	int fd; /* counts queued events; -1: not attached */
} fake = { .fd = -1 };

static void tell(unsigned int n)
{
	fake.queued += n;
	if (fake.fd >= 0)
		eventfd_write(fake.fd, n);
}

void fake_reset(void)
{
	pthread_mutex_lock(&lock);
	memset(&fake, 0, sizeof(fake));
	fake.fd = -1;
	strcpy(fake.snap.mode, "activebackup");
	pthread_mutex_unlock(&lock);
}

static uint32_t find(uint32_t if_index)
{
	uint32_t i = 0;

	while (i < fake.snap.n && fake.snap.ports[i].if_index < if_index)
		i++;
	return i;
}

static void put(uint32_t if_index, bool enabled)
{
	struct tw_snap_port *ports = fake.snap.ports;
	uint32_t i = find(if_index);

	if (i == fake.snap.n || ports[i].if_index != if_index)
		memmove(&ports[i + 1], &ports[i], (fake.snap.n++ - i) * sizeof(ports[0]));
	memset(&ports[i], 0, sizeof(ports[i]));
	ports[i].if_index = if_index;
	ports[i].link = ports[i].user_linkup = true;
	ports[i].enabled = enabled;
}

void fake_port(uint32_t if_index, bool enabled)
{
	pthread_mutex_lock(&lock);
	put(if_index, enabled);
	tell(1);
	pthread_mutex_unlock(&lock);
}

void fake_port_gone(uint32_t if_index)
{
	struct tw_snap_port *ports = fake.snap.ports;
	uint32_t i;

	pthread_mutex_lock(&lock);
	i = find(if_index);
	if (i < fake.snap.n && ports[i].if_index == if_index) {
		memmove(&ports[i], &ports[i + 1], (--fake.snap.n - i) * sizeof(ports[0]));
		memset(&ports[fake.snap.n], 0, sizeof(ports[0]));
	}
	tell(1);
	pthread_mutex_unlock(&lock);
}

void fake_repeat(unsigned int n)
{
	pthread_mutex_lock(&lock);
	tell(n);
	pthread_mutex_unlock(&lock);
}

void fake_lose(unsigned int n, uint32_t if_index)
{
	pthread_mutex_lock(&lock);
	fake.lost = true;
	if (if_index)
		put(if_index, true);
	tell(n);
	pthread_mutex_unlock(&lock);
}

void fake_storm(bool on)
{
	pthread_mutex_lock(&lock);
	fake.storm = on;
	fake.rounds = fake.burst = 0;
	tell(1);
	pthread_mutex_unlock(&lock);
}

void fake_attach_error(int r)
{
	pthread_mutex_lock(&lock);
	fake.attach_error = r;
	pthread_mutex_unlock(&lock);
}

void fake_refresh_error(int r)
{
	pthread_mutex_lock(&lock);
	fake.refresh_error = r;
	pthread_mutex_unlock(&lock);
}

void fake_wait_handled(void)
{
	pthread_mutex_lock(&lock);
	while (fake.queued)
		pthread_cond_wait(&handled, &lock);
	pthread_mutex_unlock(&lock);
}

static unsigned int get(const unsigned int *value)
{
	unsigned int n;

	pthread_mutex_lock(&lock);
	n = *value;
	pthread_mutex_unlock(&lock);
	return n;
}

unsigned int fake_handles(void)
{
	return get(&fake.handles);
}

unsigned int fake_refreshes(void)
{
	return get(&fake.refreshes);
}

unsigned int fake_queued_at_refresh(void)
{
	return get(&fake.at_refresh);
}

unsigned int fake_rounds(void)
{
	return get(&fake.rounds);
}

/* ---- the library's side ---- */

static int fake_attach(uint32_t if_index, void **ret)
{
	int r;

	pthread_mutex_lock(&lock);
	r = fake.attach_error;
	if (r == 0) {
		fake.fd = eventfd(0, EFD_NONBLOCK | EFD_SEMAPHORE | EFD_CLOEXEC);
		fake.queued = 0;
		fake.handles++;
		*ret = &fake;
	}
	pthread_mutex_unlock(&lock);
	return r;
}

static void fake_detach(void *handle)
{
	pthread_mutex_lock(&lock);
	close(fake.fd);
	fake.fd = -1;
	fake.handles--;
	pthread_mutex_unlock(&lock);
}

static int fake_fd(void *handle)
{
	return fake.fd;
}

static int fake_handle(void *handle)
{
	eventfd_t ignored;
	int r;

	pthread_mutex_lock(&lock);
	eventfd_read(fake.fd, &ignored);
	fake.queued--;
	if (fake.storm && ++fake.burst < STORM_BURST)
		tell(1);
	r = fake.lost ? -ENOMEM : 0;
	fake.lost = false;
	pthread_mutex_unlock(&lock);
	return r;
}

static int fake_refresh(void *handle)
{
	int r;

	pthread_mutex_lock(&lock);
	fake.refreshes++;
	fake.at_refresh = fake.queued;
	r = fake.refresh_error;
	pthread_mutex_unlock(&lock);
	return r;
}

static void fake_snapshot(void *handle, struct tw_snapshot *ret)
{
	pthread_mutex_lock(&lock);
	*ret = fake.snap;
	fake.rounds++;
	if (fake.storm) {
		fake.burst = 0;
		tell(1);
	}
	if (!fake.queued)
		pthread_cond_broadcast(&handled);
	pthread_mutex_unlock(&lock);
}

const struct tw_libteam_ops fake_libteam_ops = {
	.attach = fake_attach,
	.detach = fake_detach,
	.fd = fake_fd,
	.handle = fake_handle,
	.refresh = fake_refresh,
	.snapshot = fake_snapshot,
};
