/* SPDX-License-Identifier: BSD-3-Clause */
/* Jobs, mailbox: what crosses threads arrives once, in order, on the loop. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/jobs.h"
#include "daemon/mailbox.h"

static pthread_t main_thread;
static unsigned int n_run, n_done;

struct test_job {
	struct job job;
	struct jobq *q;
	unsigned int number, again;
	sd_event *exit; /* ends the loop */
};

static int test_run(struct job *job)
{
	struct test_job *j = (struct test_job *)job;

	if (pthread_equal(pthread_self(), main_thread) || j->number != n_run)
		return err_set(&job->err, EINVAL, "order");
	n_run++;
	return j->number % 2 ? err_set(&job->err, EIO, "job %u", j->number) : 0;
}

static void test_done(struct job *job)
{
	struct test_job *j = (struct test_job *)job;
	char expected[32] = "";

	assert_true(pthread_equal(pthread_self(), main_thread));
	assert_int_equal(j->number, n_done);
	assert_int_equal(job->r, j->number % 2 ? -EIO : 0);
	if (j->number % 2)
		snprintf(expected, sizeof(expected), "job %u", j->number);
	assert_string_equal(job->err.text, expected);
	n_done++;
	if (j->again) {
		j->again--;
		j->number = n_run; /* nothing else is queued behind: the number is known */
		jobq_submit(j->q, job);
	} else if (j->exit) {
		sd_event_exit(j->exit, 0);
	}
}

static void test_jobs(void **state)
{
	struct test_job jobs[100];
	struct jobq *q = NULL;
	sd_event *loop = NULL;
	unsigned int i;

	main_thread = pthread_self();
	n_run = n_done = 0;
	assert_true(sd_event_new(&loop) >= 0);
	assert_int_equal(jobq_new("test", loop, false, &q), 0);
	for (i = 0; i < 100; i++) {
		jobs[i] = (struct test_job){ .job = { .run = test_run, .done = test_done }, .q = q, .number = i };
		jobs[i].exit = i == 99 ? loop : NULL;
		jobs[i].again = i == 99 ? 3 : 0;
		jobq_submit(q, &jobs[i].job);
	}
	assert_int_equal(jobq_pending(q), 100);
	assert_int_equal(n_done, 0); /* never before the loop runs */
	assert_int_equal(sd_event_loop(loop), 0);
	assert_int_equal(n_done, 103);
	assert_int_equal(jobq_pending(q), 0);
	assert_null(jobq_free(q));
	sd_event_unref(loop);
}

/* Without the loop: drain calls everything, also what `done` submits, and free ends what is left. */
static void test_drain(void **state)
{
	struct test_job job = { .job = { .run = test_run, .done = test_done }, .again = 5 };
	struct jobq *q = NULL;
	sd_event *loop = NULL;

	main_thread = pthread_self();
	n_run = n_done = 0;
	assert_true(sd_event_new(&loop) >= 0);
	assert_int_equal(jobq_new("test", loop, false, &q), 0);
	job.q = q;
	jobq_submit(q, &job.job);
	jobq_drain(q);
	assert_int_equal(n_done, 6);
	job.number = n_run;
	jobq_submit(q, &job.job);
	jobq_free(q);
	assert_int_equal(n_done, 7);
	sd_event_unref(loop);
}

/* ---- mailbox ---- */

struct mail {
	sd_event *loop;
	struct mailbox *mb;
	unsigned int n_port, n_team, n_lost, expected;
};

static void on_port(const struct vhu_event *ev, void *arg)
{
	struct mail *mail = arg;

	assert_true(pthread_equal(pthread_self(), main_thread));
	assert_int_equal(ev->type, VHU_QUEUE);
	assert_int_equal(ev->queue, mail->n_port % 1000);
	mail->n_port++;
	if (mail->n_port + mail->n_team == mail->expected)
		sd_event_exit(mail->loop, 0);
}

static void on_team(const struct teaming_event *ev, void *arg)
{
	struct mail *mail = arg;

	assert_string_equal(ev->text, "why");
	mail->n_team++;
	if (mail->n_port + mail->n_team == mail->expected)
		sd_event_exit(mail->loop, 0);
}

static void on_lost(void *arg)
{
	struct mail *mail = arg;

	mail->n_lost++;
	sd_event_exit(mail->loop, 0);
}

static const struct mailbox_ops ops = { .port = on_port, .team = on_team, .lost = on_lost };

static void *post_ports(void *arg)
{
	struct mail *mail = arg;
	unsigned int i;

	for (i = 0; i < 1000; i++)
		mailbox_post_port(&(struct vhu_event){ .type = VHU_QUEUE, .queue = (uint16_t)i }, mail->mb);
	return NULL;
}

static void *post_team(void *arg)
{
	struct mail *mail = arg;
	unsigned int i;

	for (i = 0; i < 1000; i++)
		mailbox_post_team(&(struct teaming_event){ .type = TEAMING_PA, .text = "why" }, mail->mb);
	return NULL;
}

static void test_mailbox(void **state)
{
	struct mail mail = { .expected = 2000 };
	pthread_t a, b;

	main_thread = pthread_self();
	assert_true(sd_event_new(&mail.loop) >= 0);
	assert_int_equal(mailbox_new(mail.loop, &ops, &mail, &mail.mb), 0);
	assert_int_equal(pthread_create(&a, NULL, post_ports, &mail), 0);
	assert_int_equal(pthread_create(&b, NULL, post_team, &mail), 0);
	assert_int_equal(sd_event_loop(mail.loop), 0);
	pthread_join(a, NULL);
	pthread_join(b, NULL);
	assert_int_equal(mail.n_port, 1000);
	assert_int_equal(mail.n_team, 1000);
	assert_int_equal(mail.n_lost, 0);
	mailbox_free(mail.mb);
	sd_event_unref(mail.loop);
}

/* A guest that floods: a bounded number arrives, and one call says that there were more. */
static void test_overflow(void **state)
{
	struct mail mail = { .expected = 1000000 };
	unsigned int i;

	main_thread = pthread_self();
	assert_true(sd_event_new(&mail.loop) >= 0);
	assert_int_equal(mailbox_new(mail.loop, &ops, &mail, &mail.mb), 0);
	for (i = 0; i < 10; i++)
		post_ports(&mail);
	assert_int_equal(sd_event_loop(mail.loop), 0);
	assert_true(mail.n_port >= 1000 && mail.n_port < 10000);
	assert_int_equal(mail.n_lost, 1);
	mailbox_free(mail.mb);
	sd_event_unref(mail.loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_jobs),
		cmocka_unit_test(test_drain),
		cmocka_unit_test(test_mailbox),
		cmocka_unit_test(test_overflow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
