/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Files of the state directory: features (one small record, replaced as a whole) and ring positions (mapped).
 * What is read back is believed only if it is ours by owner, size, magic, version, socket and checksum.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "vhost_private.h"

#define FEATURES_MAGIC 0x7461656675687673ull /* "svhufeat", little endian */
#define RINGS_MAGIC    0x676e697275687673ull
#define VERSION	       1

struct feature_file {
	uint64_t magic;
	uint32_t version, size;
	struct saved_features f;
	char socket[PATH_SIZE];
	uint32_t reserved;
	uint64_t sum; /* over all before */
};

struct ring_file {
	uint64_t magic;
	uint32_t version, vrings;
	uint64_t socket_sum;
	uint64_t sum; /* over all before */
	uint64_t reserved[4];
	struct ring_slot slots[];
};

static_assert(sizeof(struct ring_file) == 64 && sizeof(struct ring_slot) == 64, "on disk");

/* FNV-1a */
static uint64_t checksum(const void *data, size_t len)
{
	const uint8_t *b = data;
	uint64_t h = 0xcbf29ce484222325ull;
	size_t i;

	for (i = 0; i < len; i++)
		h = (h ^ b[i]) * 0x100000001b3ull;
	return h;
}

static int make_path(char *buf, size_t size, const char *dir, const struct port_spec *spec, const char *kind)
{
	int n = snprintf(buf, size, "%s/%s.%s", dir, spec->id, kind);

	return n < 0 || (size_t)n >= size ? -ENAMETOOLONG : 0;
}

/* Open a file of ours for reading (and writing), of exactly this size. @return descriptor or -errno. */
static int open_own(const char *path, int flags, size_t size)
{
	CLEANUP_CLOSE int fd = open(path, flags | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	struct stat st;

	if (fd < 0)
		return errno == ENOENT ? -ENOENT : -EBADMSG;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || st.st_uid != geteuid() || (size_t)st.st_size != size)
		return -EBADMSG;
	return TAKE_FD(fd);
}

/* Write a file under a name nobody reads, then give it its own. @return its descriptor or -errno. */
static int write_whole(const char *path, const void *data, size_t len, size_t size)
{
	char tmp[PATH_MAX];
	int n = snprintf(tmp, sizeof(tmp), "%s.XXXXXX", path);
	CLEANUP_CLOSE int fd = -1;
	ssize_t done;
	int r;

	if (n < 0 || (size_t)n >= sizeof(tmp))
		return -ENAMETOOLONG;
	fd = mkostemp(tmp, O_CLOEXEC);
	if (fd < 0)
		return -errno;
	done = write(fd, data, len);
	if (done < 0 || (size_t)done != len || ftruncate(fd, size) < 0 || rename(tmp, path) < 0) {
		r = done >= 0 && (size_t)done != len ? -ENOSPC : -errno;
		unlink(tmp);
		return r;
	}
	return TAKE_FD(fd);
}

int state_save(const char *dir, const struct port_spec *spec, const struct saved_features *f)
{
	struct feature_file file = {
		.magic = FEATURES_MAGIC, .version = VERSION, .size = sizeof(file), .f = *f,
	};
	char path[PATH_MAX];
	int r = make_path(path, sizeof(path), dir, spec, "features");

	if (r < 0)
		return r;
	memcpy(file.socket, spec->socket, sizeof(file.socket));
	file.sum = checksum(&file, offsetof(struct feature_file, sum));
	r = write_whole(path, &file, sizeof(file), sizeof(file));
	if (r < 0)
		return r;
	close(r);
	return 0;
}

int state_load(const char *dir, const struct port_spec *spec, struct saved_features *ret)
{
	struct feature_file file;
	char path[PATH_MAX];
	int r = make_path(path, sizeof(path), dir, spec, "features");
	CLEANUP_CLOSE int fd = -1;

	if (r < 0)
		return r;
	fd = open_own(path, O_RDONLY, sizeof(file));
	if (fd < 0)
		return fd;
	if (read(fd, &file, sizeof(file)) != (ssize_t)sizeof(file))
		return -EBADMSG;
	if (file.magic != FEATURES_MAGIC || file.version != VERSION || file.size != sizeof(file) ||
	    file.sum != checksum(&file, offsetof(struct feature_file, sum)) ||
	    strncmp(file.socket, spec->socket, sizeof(file.socket)) != 0)
		return -EBADMSG;
	*ret = file.f;
	return 0;
}

void state_forget(const char *dir, const struct port_spec *spec)
{
	char path[PATH_MAX];

	if (make_path(path, sizeof(path), dir, spec, "features") == 0)
		unlink(path);
}

static size_t rings_size(uint32_t vrings)
{
	return sizeof(struct ring_file) + vrings * sizeof(struct ring_slot);
}

static struct ring_file *rings_map(int fd, size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	return p == MAP_FAILED ? NULL : p;
}

int rings_open(const char *dir, const struct port_spec *spec, struct ring_file **ret)
{
	struct ring_file want = { .magic = RINGS_MAGIC, .version = VERSION, .vrings = 2u * spec->queues };
	size_t size = rings_size(want.vrings);
	struct ring_file *f;
	char path[PATH_MAX];
	CLEANUP_CLOSE int fd = -1;
	int r = make_path(path, sizeof(path), dir, spec, "rings");
	int unusable;

	if (r < 0)
		return r;
	want.socket_sum = checksum(spec->socket, strnlen(spec->socket, sizeof(spec->socket)));
	want.sum = checksum(&want, offsetof(struct ring_file, sum));
	fd = open_own(path, O_RDWR, size);
	if (fd >= 0) {
		f = rings_map(fd, size);
		if (!f)
			return -errno;
		if (memcmp(f, &want, sizeof(want)) == 0) {
			*ret = f;
			return 0;
		}
		munmap(f, size);
		close(TAKE_FD(fd));
	}
	unusable = fd != -ENOENT;
	fd = write_whole(path, &want, sizeof(want), size);
	if (fd < 0)
		return fd;
	f = rings_map(fd, size);
	if (!f)
		return -errno;
	*ret = f;
	return unusable;
}

void rings_close(struct ring_file *f)
{
	if (f)
		munmap(f, rings_size(f->vrings));
}

struct ring_slot *rings_slot(struct ring_file *f, unsigned int vring)
{
	return &f->slots[vring];
}

static uint32_t slot_sum(uint64_t gpa, uint32_t size)
{
	struct {
		uint64_t gpa, size;
	} s = { gpa, size };

	return (uint32_t)checksum(&s, sizeof(s));
}

void ring_begin(struct ring_slot *s, uint64_t gpa, uint32_t size, uint16_t pos)
{
	/* Nothing is claimed while the address changes. */
	__atomic_store_n(&s->hot, ring_encode(0, RING_NONE), __ATOMIC_RELEASE);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	s->gpa = gpa;
	s->size = size;
	s->sum = slot_sum(gpa, size);
	__atomic_store_n(&s->hot, ring_encode(pos, RING_RUNNING), __ATOMIC_RELEASE);
}

void ring_end(struct ring_slot *s, uint16_t pos)
{
	__atomic_store_n(&s->hot, ring_encode(pos, RING_TOLD), __ATOMIC_RELEASE);
}

struct ring_saved ring_recall(const struct ring_slot *s, uint64_t gpa, uint32_t size)
{
	uint64_t hot = __atomic_load_n(&s->hot, __ATOMIC_ACQUIRE);
	struct ring_saved saved = { .pos = (uint16_t)hot, .state = (uint8_t)(hot >> 16) };

	if (hot != ring_encode(saved.pos, saved.state) || s->gpa != gpa || s->size != size ||
	    s->sum != slot_sum(gpa, size) || saved.state > RING_TOLD || (saved.pos & 0x7fff) >= size)
		return (struct ring_saved){ .state = RING_NONE };
	return saved;
}
