/* SPDX-License-Identifier: BSD-3-Clause */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <curl/curl.h>

#include "etcd_server.h"

#define START_MS 60000

bool etcd_server_known(void)
{
	return access("/usr/bin/etcd", X_OK) == 0;
}

/* A port that is free now, and the one after it. */
static unsigned int free_ports(void)
{
	for (int tries = 0; tries < 100; tries++) {
		struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
		socklen_t size = sizeof(a);
		int x = socket(AF_INET, SOCK_STREAM, 0), y = socket(AF_INET, SOCK_STREAM, 0);
		unsigned int port = 0;

		if (bind(x, (struct sockaddr *)&a, sizeof(a)) == 0 &&
		    getsockname(x, (struct sockaddr *)&a, &size) == 0) {
			port = ntohs(a.sin_port);
			a.sin_port = htons((uint16_t)(port + 1));
			if (port == 65535 || bind(y, (struct sockaddr *)&a, sizeof(a)) < 0)
				port = 0;
		}
		close(x);
		close(y);
		if (port)
			return port;
	}
	return 0;
}

static size_t nothing(char *data, size_t one, size_t len, void *arg)
{
	return len;
}

long etcd_server_post(const struct etcd_server *s, const char *path, const char *body)
{
	CURL *c = curl_easy_init();
	char url[256];
	long status = 0;

	snprintf(url, sizeof(url), "%s%s", s->url, path);
	curl_easy_setopt(c, CURLOPT_URL, url);
	curl_easy_setopt(c, CURLOPT_PROXY, "");
	curl_easy_setopt(c, CURLOPT_POSTFIELDS, body);
	curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, nothing);
	curl_easy_setopt(c, CURLOPT_TIMEOUT, 10L);
	if (curl_easy_perform(c) == CURLE_OK)
		curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_cleanup(c);
	return status;
}

static void child(const struct etcd_server *s)
{
	char peers[64], cluster[96], data[96];
	int null = open("/dev/null", O_RDWR);

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	dup2(null, 1);
	dup2(null, 2);
	snprintf(peers, sizeof(peers), "http://127.0.0.1:%u", s->port + 1);
	snprintf(cluster, sizeof(cluster), "default=%s", peers);
	snprintf(data, sizeof(data), "%s/data", s->dir);
	setenv("ETCD_UNSUPPORTED_ARCH", "", 0);
	execl("/usr/bin/etcd", "etcd", "--data-dir", data, "--listen-client-urls", s->url, "--advertise-client-urls",
	      s->url, "--listen-peer-urls", peers, "--initial-advertise-peer-urls", peers, "--initial-cluster",
	      cluster, "--unsafe-no-fsync", "--auth-token-ttl", "2", NULL);
	_exit(127);
}

int etcd_server_start(struct etcd_server *s)
{
	s->pid = fork();
	if (s->pid < 0)
		return -errno;
	if (s->pid == 0)
		child(s);
	for (int ms = 0; ms < START_MS; ms += 20) {
		if (etcd_server_post(s, "/v3/kv/range", "{\"key\":\"AA==\"}") != 0)
			return 0;
		if (waitpid(s->pid, NULL, WNOHANG) == s->pid)
			return -ECHILD;
		usleep(20000);
	}
	return -ETIMEDOUT;
}

int etcd_server_new(struct etcd_server *s)
{
	snprintf(s->dir, sizeof(s->dir), "/tmp/etcd-test-XXXXXX");
	if (!mkdtemp(s->dir))
		return -errno;
	s->port = free_ports();
	snprintf(s->url, sizeof(s->url), "http://127.0.0.1:%u", s->port);
	return etcd_server_start(s);
}

void etcd_server_kill(struct etcd_server *s)
{
	if (s->pid <= 0)
		return;
	kill(s->pid, SIGKILL);
	waitpid(s->pid, NULL, 0);
	s->pid = 0;
}

void etcd_server_free(struct etcd_server *s)
{
	char command[128];

	etcd_server_kill(s);
	snprintf(command, sizeof(command), "rm -rf %s", s->dir);
	if (*s->dir && system(command) != 0)
		fprintf(stderr, "%s stays\n", s->dir);
}
