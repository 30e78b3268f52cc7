/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * teamd beside the team device: is it alive, what is its runner, what does LACP say. By its pid file, a pidfd, and its
 * Unix socket. Nothing here waits: libteamdctl does, and uses select(), which a process with many guests outgrows.
 *
 * The socket is root's (mode 0700): without that, runner and LACP state stay unknown and all else works.
 */
#ifndef TEAMING_TEAMD_H
#define TEAMING_TEAMD_H

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/object.h"
#include "teaming/libteam_state.h"
#include "teaming/teaming.h"

#define TW_TEAMD_DIR "/run/teamd"

enum tw_teamd_life {
	TEAMD_UNKNOWN, /* its pid file cannot be read */
	TEAMD_NONE,    /* no pid file */
	TEAMD_DEAD,    /* pid file, but no such process */
	TEAMD_SILENT,  /* lives and does not answer */
	TEAMD_ALIVE,
};

struct tw_teamd {
	char dir[64], team[IFNAMSIZ];
	uint8_t life; /* enum tw_teamd_life */
	pid_t pid;
	int pidfd;   /* -1: not alive, or the kernel has none */
	int sock;    /* -1: no question is on its way */
	bool denied; /* the socket is not for us */
	bool kicked; /* something changed: ask soon */
	uint64_t silent_since; /* ns: first question without an answer, 0: the last one had one */
	uint64_t look_at, ask_at, asked_at; /* ns */
	char runner[TW_TEAM_OPTION]; /* "": not known */
	unsigned int n_ports;
	struct {
		uint32_t if_index;
		bool down; /* by its link watch */
		struct teaming_lacp lacp;
	} ports[TEAM_MEMBERS];
};

void tw_teamd_init(struct tw_teamd *d, const char *dir, const char *team);
void tw_teamd_done(struct tw_teamd *d);

/*
 * Do what is due: look at the pid file, ask, give an answer up. Descriptors appear and vanish: compare tw_teamd.pidfd
 * and .sock afterwards. @return whether life or runner changed.
 */
bool tw_teamd_step(struct tw_teamd *d, uint64_t now);
uint64_t tw_teamd_deadline(const struct tw_teamd *d);
/* Its answer has come (sock is readable), the process has ended (pidfd is). @return as above. */
bool tw_teamd_answer(struct tw_teamd *d, uint64_t now);
bool tw_teamd_ended(struct tw_teamd *d, uint64_t now);
/* The team changed: ask for its state, but not more than once a second. */
void tw_teamd_kick(struct tw_teamd *d);

/* NULL: not LACP, or not known. */
const struct teaming_lacp *tw_teamd_lacp(const struct tw_teamd *d, uint32_t if_index);

/* Did its link watch say down when it was asked last? Not known: no. */
bool tw_teamd_down(const struct tw_teamd *d, uint32_t if_index);

/* Take over what teamd says of itself (JSON of `teamdctl state dump`). @return 0, -EBADMSG: nothing changed. */
int tw_teamd_parse(struct tw_teamd *d, const char *json);

#endif
