/* SPDX-License-Identifier: BSD-3-Clause */
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "daemon/jobs.h"
#include "daemon/privileges.h"

struct job_list {
	struct job *head, **tail;
};

struct jobq {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t more, finished;
	struct job_list todo, done; /* under lock */
	bool end;		    /* under lock */
	bool privileged;	    /* set before the thread is there */
	unsigned int pending;	    /* main thread */
	int fd;			    /* eventfd: something is in `done` */
	sd_event_source *source;
};

static void list_init(struct job_list *l)
{
	l->head = NULL;
	l->tail = &l->head;
}

static void list_put(struct job_list *l, struct job *job)
{
	job->next = NULL;
	*l->tail = job;
	l->tail = &job->next;
}

static struct job *list_get(struct job_list *l)
{
	struct job *job = l->head;

	if (job) {
		l->head = job->next;
		if (!l->head)
			l->tail = &l->head;
	}
	return job;
}

static void *jobq_main(void *arg)
{
	struct jobq *q = arg;
	struct job *job;

	if (!q->privileged)
		(void)privileges_drop_thread(); /* what we have may be given up: it cannot fail */
	pthread_mutex_lock(&q->lock);
	while (true) {
		while (!(job = list_get(&q->todo)) && !q->end)
			pthread_cond_wait(&q->more, &q->lock);
		if (!job)
			break;
		pthread_mutex_unlock(&q->lock);
		job->r = job->run(job);
		pthread_mutex_lock(&q->lock);
		list_put(&q->done, job);
		pthread_cond_signal(&q->finished);
		eventfd_write(q->fd, 1); /* cannot fail: the counter is 64 bits and read often */
	}
	pthread_mutex_unlock(&q->lock);
	return NULL;
}

/* Call `done` of everything that is finished. @return how many. */
static unsigned int reap(struct jobq *q)
{
	struct job_list done;
	struct job *job;
	unsigned int n = 0;

	pthread_mutex_lock(&q->lock);
	done = q->done;
	if (done.tail == &q->done.head)
		done.tail = &done.head;
	list_init(&q->done);
	pthread_mutex_unlock(&q->lock);
	while ((job = list_get(&done))) {
		q->pending--;
		n++;
		job->done(job);
	}
	return n;
}

static int on_done(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
	eventfd_t n;

	eventfd_read(fd, &n);
	reap(userdata);
	return 0;
}

int jobq_new(const char *name, sd_event *loop, bool privileged, struct jobq **ret)
{
	struct jobq *q = calloc(1, sizeof(*q));
	int r = -ENOMEM;

	if (!q)
		return r;
	q->privileged = privileged;
	list_init(&q->todo);
	list_init(&q->done);
	pthread_mutex_init(&q->lock, NULL);
	pthread_cond_init(&q->more, NULL);
	pthread_cond_init(&q->finished, NULL);
	q->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (q->fd < 0) {
		r = -errno;
		goto fail;
	}
	r = sd_event_add_io(loop, &q->source, q->fd, EPOLLIN, on_done, q);
	if (r < 0)
		goto fail_fd;
	sd_event_source_set_description(q->source, name);
	r = -pthread_create(&q->thread, NULL, jobq_main, q);
	if (r < 0)
		goto fail_source;
	pthread_setname_np(q->thread, name);
	*ret = q;
	return 0;
fail_source:
	sd_event_source_disable_unref(q->source);
fail_fd:
	close(q->fd);
fail:
	free(q);
	return r;
}

void jobq_submit(struct jobq *q, struct job *job)
{
	job->r = 0;
	job->err.text[0] = '\0';
	q->pending++;
	pthread_mutex_lock(&q->lock);
	list_put(&q->todo, job);
	pthread_cond_signal(&q->more);
	pthread_mutex_unlock(&q->lock);
}

unsigned int jobq_pending(const struct jobq *q)
{
	return q ? q->pending : 0;
}

void jobq_drain(struct jobq *q)
{
	while (q->pending) {
		pthread_mutex_lock(&q->lock);
		while (!q->done.head)
			pthread_cond_wait(&q->finished, &q->lock);
		pthread_mutex_unlock(&q->lock);
		reap(q);
	}
}

struct jobq *jobq_free(struct jobq *q)
{
	if (!q)
		return NULL;
	jobq_drain(q);
	pthread_mutex_lock(&q->lock);
	q->end = true;
	pthread_cond_signal(&q->more);
	pthread_mutex_unlock(&q->lock);
	pthread_join(q->thread, NULL);
	sd_event_source_disable_unref(q->source);
	close(q->fd);
	pthread_cond_destroy(&q->more);
	pthread_cond_destroy(&q->finished);
	pthread_mutex_destroy(&q->lock);
	free(q);
	return NULL;
}
