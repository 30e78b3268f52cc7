/* SPDX-License-Identifier: BSD-3-Clause */
#include "fake_teamd.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "unit.h"

static char dir[64], team[16];
static pid_t process;

const char *fake_teamd_dir(void)
{
	if (!*dir) {
		strcpy(dir, "/tmp/teamd-XXXXXX");
		assert_non_null(mkdtemp(dir));
	}
	return dir;
}

static void serve(int sock, const char *state)
{
	char request[256];

	for (;;) {
		int client = accept(sock, NULL, NULL);
		ssize_t n = recv(client, request, sizeof(request) - 1, 0);

		if (n <= 0)
			continue;
		request[n] = '\0';
		if (!state)
			continue; /* keeps the connection and its thoughts */
		if (strcmp(request, "REQUEST\nStateDump\n") == 0)
			dprintf(client, "REPLY_SUCCESS\n%s", state);
		else
			dprintf(client, "REPLY_ERROR\nInvalidMethod\nNo such method\n");
		close(client);
	}
}

void fake_teamd_start(const char *name, const char *state)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	char path[128];
	FILE *f;

	snprintf(team, sizeof(team), "%s", name);
	if (!state || *state) {
		snprintf(a.sun_path, sizeof(a.sun_path), "%s/%s.sock", fake_teamd_dir(), team);
		assert_int_equal(bind(sock, (struct sockaddr *)&a, sizeof(a)), 0);
		assert_int_equal(listen(sock, 8), 0);
	}
	process = fork();
	assert_true(process >= 0);
	if (process == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (!state || *state)
			serve(sock, state);
		for (;;)
			pause();
	}
	close(sock);
	snprintf(path, sizeof(path), "%s/%s.pid", fake_teamd_dir(), team);
	f = fopen(path, "w");
	assert_non_null(f);
	fprintf(f, "%d\n", (int)process);
	assert_int_equal(fclose(f), 0);
}

void fake_teamd_kill(void)
{
	if (process <= 0)
		return;
	kill(process, SIGKILL);
	waitpid(process, NULL, 0);
	process = 0;
}

void fake_teamd_end(void)
{
	char path[128];

	fake_teamd_kill();
	for (unsigned int i = 0; i < 2 && *team; i++) {
		snprintf(path, sizeof(path), "%s/%s.%s", dir, team, i ? "sock" : "pid");
		unlink(path);
	}
}

void fake_teamd_reset(void)
{
	fake_teamd_end();
	if (*dir)
		rmdir(dir);
	*dir = *team = '\0';
}
