/* SPDX-License-Identifier: BSD-3-Clause */
/* Ports and connections that come and go, with a worker at them; socket files. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/virtio_net.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "bed.h"
#include "echo.h"
#include "guest.h"
#include "unit.h"

#define CYCLES 1000
#define PORTS  1000

/* A guest that connects, talks and goes, sometimes rebooting: nothing is left behind. */
static void run_cycles(bool packed)
{
	unsigned int buffers = bed_buffers(), fds = 0, i;
	struct port_spec spec = bed_spec("vm");
	struct guest_options o = { .path = spec.socket, .server = true, .packed = packed, .size = 64 };
	struct guest *g = guest_open(&o);
	struct vhu_status st;
	struct vhu_port *p;

	spec.packed = packed;
	bed_forget();
	p = bed_port(&spec);
	bed_worker_start(p, 1);
	for (i = 0; i < CYCLES / 2; i++) {
		guest_meet(g);
		guest_start(g);
		bed_wait(VHU_READY);
		/* The last frames of a cycle stay in flight: the worker is in the middle of them. */
		echo(g, 0, 40, 60);
		guest_send(g, 0, 20, 0, 60);
		if (i == 0)
			fds = unit_fds();
		guest_leave(g);
		bed_wait(VHU_DISCONNECTED);
		guest_reset(g);
	}
	guest_meet(g);
	guest_start(g);
	bed_wait(VHU_READY);
	assert_int_equal(unit_fds(), fds);
	vhu_port_status(p, &st);
	assert_int_equal(st.reconnects, CYCLES / 2);
	bed_worker_stop();
	vhu_port_destroy(p);
	guest_close(g);
	assert_int_equal(bed_buffers(), buffers);
}

static void test_cycles(void **state)
{
	run_cycles(false);
	run_cycles(true);
}

static pthread_mutex_t complaint_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t complaint_come = PTHREAD_COND_INITIALIZER;
static unsigned int complaints;

static void on_log(int level, const char *file, int line, const char *text)
{
	if (!strstr(text, "has not let go"))
		return;
	pthread_mutex_lock(&complaint_lock);
	complaints++;
	pthread_cond_signal(&complaint_come);
	pthread_mutex_unlock(&complaint_lock);
}

/* The guest dies while the worker is inside its section: the device stays until then, and that is said. */
static void test_worker_in_the_way(void **state)
{
	struct port_spec spec = bed_spec("vm");
	struct guest_options o = { .path = spec.socket, .server = true };
	struct timespec until;
	struct vhu_port *p;
	struct guest *g;
	int r = 0;

	bed_forget();
	g = guest_open(&o);
	p = bed_port(&spec);
	guest_meet(g);
	guest_start(g);
	bed_wait(VHU_READY);
	bed_worker_start(p, 1);
	bed_worker_hold(true);
	while (!bed_worker_is_held())
		sched_yield();
	log_set_sink(on_log);
	guest_close(g);
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 10;
	pthread_mutex_lock(&complaint_lock);
	while (!complaints && r == 0)
		r = pthread_cond_timedwait(&complaint_come, &complaint_lock, &until);
	pthread_mutex_unlock(&complaint_lock);
	assert_int_equal(r, 0);
	assert_int_equal(bed_count(VHU_STOPPED), 0);
	assert_false(vhu_port_queue(p, 0)->rx_ready);
	bed_worker_hold(false);
	bed_wait(VHU_STOPPED);
	log_set_sink(NULL);
	bed_worker_stop();
	vhu_port_destroy(p);
}

/* The port is taken away from a guest that sends. */
static void test_destroy_under_traffic(void **state)
{
	unsigned int buffers = bed_buffers(), i;

	for (i = 0; i < 20; i++) {
		struct port_spec spec = bed_spec("vm");
		struct guest_options o = { .path = spec.socket, .server = true };
		struct guest *g = guest_open(&o);
		struct vhu_port *p = bed_port(&spec);

		bed_forget();
		guest_meet(g);
		guest_start(g);
		bed_worker_start(p, 1);
		guest_send(g, 0, 200, 0, 60);
		/* As the switch does: out of the workers' sight first. */
		bed_worker_stop();
		vhu_port_destroy(p);
		bed_wait(VHU_STOPPED);
		bed_wait(VHU_DISCONNECTED);
		guest_close(g);
	}
	assert_int_equal(bed_buffers(), buffers);
}

static void test_many_ports(void **state)
{
	static struct vhu_port *ports[PORTS];
	unsigned int fds = unit_fds(), i;
	struct vhu_status st;

	for (i = 0; i < PORTS; i++) {
		struct port_spec spec = bed_spec("many");

		ports[i] = bed_port(&spec);
	}
	vhu_port_status(ports[PORTS - 1], &st);
	assert_int_equal(st.state, PORT_ABSENT);
	for (i = 0; i < PORTS; i++)
		vhu_port_destroy(ports[i]);
	assert_int_equal(unit_fds(), fds);
}

static int try_port(const struct port_spec *spec)
{
	struct errbuf err = { "" };
	struct vhu_port *p = NULL;
	int r = vhu_port_create(spec, 1, BED_MTU, &p, &err);

	if (r == 0)
		vhu_port_destroy(p);
	else
		assert_true(err.text[0]);
	return r;
}

static void test_bad_spec(void **state)
{
	struct port_spec good = bed_spec("bad"), s;
	struct vhu_port *p;

	s = good, strcpy(s.id, "../x");
	assert_int_equal(try_port(&s), -EINVAL);
	s = good, s.queues = 0;
	assert_int_equal(try_port(&s), -EINVAL);
	s = good, s.queues = VHU_MAX_QUEUES + 1;
	assert_int_equal(try_port(&s), -EINVAL);
	s = good, strcpy(s.socket, "x.sock");
	assert_int_equal(try_port(&s), -EINVAL);
	s = good, memset(s.socket, 'x', sizeof(s.socket)), s.socket[0] = '/';
	assert_int_equal(try_port(&s), -ENAMETOOLONG);
	s = good, s.mode = PORT_SERVER, strcpy(s.socket, "/nowhere/x.sock");
	assert_int_equal(try_port(&s), -ENOENT);
	s = good, s.mode = PORT_SERVER, strcpy(s.socket_group, "no-such-group");
	assert_int_equal(try_port(&s), -EINVAL);
	assert_int_equal(access(s.socket, F_OK), -1);

	p = bed_port(&good);
	s = bed_spec("bad"), strcpy(s.socket, good.socket);
	assert_int_equal(try_port(&s), -EADDRINUSE);
	s = bed_spec("bad"), strcpy(s.id, good.id);
	assert_int_equal(try_port(&s), -EADDRINUSE);
	vhu_port_destroy(p);
	assert_int_equal(try_port(&good), 0);
	vhu_port_destroy(NULL);
}

int __wrap_chmod(const char *path, mode_t mode);
int __real_chmod(const char *path, mode_t mode);

static mode_t mode_before;

/* The moment between bind and chmod. */
int __wrap_chmod(const char *path, mode_t mode)
{
	struct stat st;

	if (lstat(path, &st) == 0)
		mode_before = st.st_mode & 0777;
	return __real_chmod(path, mode);
}

static void test_socket_rights(void **state)
{
	struct port_spec spec = bed_spec("srv");
	struct group *group = getgrgid(getegid());
	mode_t old = umask(0);
	struct vhu_port *p;
	struct stat st;

	spec.mode = PORT_SERVER;
	spec.socket_mode = 0660;
	assert_non_null(group);
	snprintf(spec.socket_group, sizeof(spec.socket_group), "%s", group->gr_name);
	p = bed_port(&spec);
	assert_int_equal(umask(old), 0); /* as it was */
	assert_int_equal(mode_before & 0077, 0);
	assert_int_equal(stat(spec.socket, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0660);
	assert_int_equal(st.st_gid, getegid());
	vhu_port_destroy(p);
	assert_int_equal(stat(spec.socket, &st), -1);
}

static int listen_at(const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strcpy(a.sun_path, path);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(fd, 1), 0);
	return fd;
}

static void test_socket_in_the_way(void **state)
{
	struct port_spec spec = bed_spec("srv");
	struct stat st;
	int fd;

	spec.mode = PORT_SERVER;
	fd = listen_at(spec.socket);
	assert_int_equal(try_port(&spec), -EADDRINUSE); /* somebody listens */
	assert_int_equal(lstat(spec.socket, &st), 0);
	close(fd);
	assert_int_equal(try_port(&spec), 0); /* nobody any more: a left-over */
	assert_int_equal(lstat(spec.socket, &st), -1);

	fd = open(spec.socket, O_CREAT | O_RDWR, 0600);
	close(fd);
	assert_int_equal(try_port(&spec), -EADDRINUSE);
	assert_int_equal(unlink(spec.socket), 0); /* it is still there */
	assert_int_equal(symlink("/tmp", spec.socket), 0);
	assert_int_equal(try_port(&spec), -EADDRINUSE);
	assert_int_equal(unlink(spec.socket), 0);
}

/* Somebody has replaced our socket: his stays when the port goes. */
static void test_socket_replaced(void **state)
{
	struct port_spec spec = bed_spec("srv");
	struct vhu_port *p;
	struct stat st;
	int fd;

	spec.mode = PORT_SERVER;
	p = bed_port(&spec);
	assert_int_equal(unlink(spec.socket), 0);
	fd = listen_at(spec.socket);
	vhu_port_destroy(p);
	assert_int_equal(lstat(spec.socket, &st), 0);
	close(fd);
	unlink(spec.socket);
}

/* One front-end per port: the second is sent away, the first does not notice. */
static void test_second_front_end(void **state)
{
	struct port_spec spec = bed_spec("srv");
	struct guest_options o = { .path = spec.socket };
	struct guest *g, *other;
	struct vhu_port *p;

	spec.mode = PORT_SERVER;
	bed_forget();
	p = bed_port(&spec);
	g = guest_open(&o);
	guest_meet(g);
	guest_start(g);
	bed_wait(VHU_READY);
	bed_worker_start(p, 1);
	other = guest_open(&o);
	guest_meet(other);
	guest_wait_gone(other);
	guest_close(other);
	echo(g, 0, 500, 60);
	bed_worker_stop();
	vhu_port_destroy(p);
	guest_close(g);
}

/* A guest meets the port, negotiates, and goes. @return what it was offered. */
static uint64_t offered_to(struct vhu_port *p, const struct port_spec *spec, const struct port_spec *meanwhile)
{
	struct guest_options o = { .path = spec->socket, .server = true, .large = true };
	struct guest *g = guest_open(&o);
	struct vhu_status before, st;
	uint64_t offered;

	guest_meet(g);
	guest_start(g);
	bed_wait(VHU_READY);
	vhu_port_status(p, &before);
	if (meanwhile)
		vhu_port_offer(p, meanwhile);
	vhu_port_status(p, &st);
	assert_int_equal(st.features, before.features); /* one that is there keeps what it has */
	assert_int_equal(st.offloads, before.offloads);
	offered = guest_offered(g);
	guest_close(g);
	bed_wait(VHU_DISCONNECTED);
	return offered;
}

/* What a port offers can be changed; it counts for the next front-end. */
static void test_offer(void **state)
{
	const uint64_t rx = UINT64_C(1) << VIRTIO_NET_F_GUEST_CSUM | UINT64_C(1) << VIRTIO_NET_F_GUEST_TSO4;
	const uint64_t tx = UINT64_C(1) << VIRTIO_NET_F_CSUM | UINT64_C(1) << VIRTIO_NET_F_HOST_TSO4;
	struct port_spec spec = bed_spec("vm"), less;
	struct vhu_port *p;

	bed_forget();
	spec.tx_checksum = spec.tso = spec.rx_checksum = spec.rx_tso = true;
	less = spec;
	less.rx_checksum = less.rx_tso = false;
	p = bed_port(&spec);
	assert_int_equal(offered_to(p, &spec, &less) & (rx | tx), rx | tx);
	assert_int_equal(offered_to(p, &spec, NULL) & (rx | tx), tx);
	vhu_port_offer(p, &spec); /* nobody is there */
	assert_int_equal(offered_to(p, &spec, NULL) & (rx | tx), rx | tx);
	vhu_port_destroy(p);
}

int main(void)
{
#define T(fn) cmocka_unit_test_teardown(fn, bed_cleanup)
	const struct CMUnitTest tests[] = {
		T(test_cycles),		  T(test_worker_in_the_way), T(test_destroy_under_traffic),
		T(test_many_ports),	  T(test_bad_spec),	     T(test_socket_rights),
		T(test_socket_in_the_way), T(test_socket_replaced),  T(test_second_front_end),
		T(test_offer),
	};

	return cmocka_run_group_tests(tests, bed_start, bed_stop);
}
