/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the files of the vhu-peer program share. The control thread owns everything but what a worker thread
 * uses: the modes of its ports and their queues, between two pauses.
 */
#ifndef TESTS_LIB_FRONTEND_PEER_H
#define TESTS_LIB_FRONTEND_PEER_H

#include "json.h"
#include "options.h"
#include "vhu.h"

#include <pthread.h>
#include <signal.h>

#define MAX_WORKERS 64
#define MAX_MODES   2

struct peer_port;
struct worker;

/* What a port does with its queues. All functions but open and close run while the port's worker is paused
 * or on it. */
struct mode_ops {
	const char *name;
	bool receives; /* takes what arrives; else the port gets a sink as well */
	/* Returns 0 or -errno after a line on stderr. */
	int (*open)(struct peer_port *p, void **ret_priv);
	void (*close)(void *priv);
	/* The rings run (again); optional. */
	void (*ready)(void *priv);
	/* One turn; now in ns of CLOCK_MONOTONIC. Returns packets moved, 0 for nothing to do. */
	unsigned int (*poll)(void *priv, uint64_t now);
	/* About to sleep: ask for notifications; true when there is work after all. */
	bool (*arm)(void *priv);
	/* Next time there is something to do by the clock, UINT64_MAX for never; optional. */
	uint64_t (*deadline)(void *priv);
	/* Figures into an open JSON object named after the mode; reset sets them to zero. */
	void (*report)(void *priv, struct json *j);
	void (*reset)(void *priv);
	/* "rate N" while running; optional. */
	void (*set_rate)(void *priv, uint64_t rate);
	/* "flows LIST" and "pause MS", likewise; -EINVAL for a list that is none. */
	int (*set_flows)(void *priv, const char *list);
	void (*set_pause)(void *priv, uint64_t ms);
	/* A new connection is for connected() alone, without handshake, and closed afterwards; control
	 * thread. Optional. */
	bool (*owns_connection)(void *priv);
	void (*connected)(void *priv);
	/* The worker asked for it by REQUEST_ACT; control thread, the worker goes on meanwhile. Optional. 0
	 * or -errno: the connection is of no use any more. */
	int (*act)(void *priv);
};

extern const struct mode_ops mode_gen, mode_genseq, mode_sink, mode_echo, mode_tap, mode_hostile;

struct mode {
	const struct mode_ops *ops;
	void *priv;
};

/* What a worker wants from the control thread, bits of peer_port.request. */
enum {
	REQUEST_DONE = 1,     /* the mode sent all it had to */
	REQUEST_EXPECTED = 2, /* the mode received what it was to wait for */
	REQUEST_ACT = 4,      /* call act() */
	REQUEST_RESTART = 8,  /* reset the guest: disconnect, forget the rings, start again */
};

struct peer_port {
	struct port_options opt;
	struct vhu_port *vhu;
	struct worker *worker;
	struct mode mode[MAX_MODES];
	unsigned int n_modes;
	uint8_t mac[6];
	bool has_mac;
	uint64_t seed;
	bool running; /* not stopped by a command */
	bool ready;   /* rings run */
	bool hot;     /* worker: may have something to do */
	uint64_t starts;
	uint64_t ring_errors;	  /* control: told by the back-end over VRING_ERR */
	unsigned int request;	  /* atomic */
	bool listening;		  /* control: the listening socket is watched */
	bool held;		  /* control: disconnected by command, stays so */
	const char *last_failure; /* control: not to say the same again and again */
	int last_errno;
};

struct worker {
	pthread_t thread;
	unsigned int index;
	bool started;
	bool busy;
	int cpu; /* -1: any */
	struct peer_port **port;
	unsigned int n_ports;
	int epoll_fd;
	int wake_fd;
	int control_fd;	    /* eventfd of the control thread */
	unsigned int pause; /* atomic: pauses wanted */
	bool quit;
	pthread_mutex_t lock;
	pthread_cond_t cond;
	bool paused;
};

struct peer {
	struct peer_port *port;
	unsigned int n_ports;
	struct worker worker[MAX_WORKERS];
	unsigned int n_workers;
	int control_fd; /* eventfd: a worker has a request */
	int epoll_fd;
	int signal_fd;
	const char *control_path;
	int control_listen_fd;
	bool quit_on_eof;
	uint64_t stats_interval_ns;
	bool quit;
};

uint64_t now_ns(void);

/* worker.c */
int worker_init(struct worker *w, unsigned int index, bool busy, int control_fd);
int worker_add(struct worker *w, struct peer_port *p);
/* Wake the worker when fd becomes readable; edge triggered, so the port's mode reads until it would block. */
int worker_watch(struct worker *w, int fd, struct peer_port *p);
int worker_start(struct worker *w);
/* Between these two the worker touches none of its ports. Control thread; not nested. */
void worker_pause(struct worker *w);
void worker_resume(struct worker *w);
void worker_stop(struct worker *w);
/* Called on the worker: tell the control thread. */
void port_request(struct peer_port *p, unsigned int what);

/* control.c: watching descriptors on the control thread */
enum watch_kind {
	WATCH_CONTROL,
	WATCH_SIGNAL,
	WATCH_COMMANDS,
	WATCH_LISTEN,
	WATCH_LINK,
	WATCH_BACKEND,
	WATCH_CLIENT
};
int control_watch(struct peer *peer, int fd, enum watch_kind kind, unsigned int index);
void control_unwatch(struct peer *peer, int fd);
int control_run(struct peer *peer);

/* events on stdout */
void event_begin(struct json *j, const char *event, const struct peer_port *p);
void event_end(struct json *j);
void event_simple(const char *event, const struct peer_port *p);
void write_line(int fd, struct json *j);

#endif
