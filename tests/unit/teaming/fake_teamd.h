/* SPDX-License-Identifier: BSD-3-Clause */
/* An imitation of teamd: a process with a pid file, and a socket that says what the test wants. */
#ifndef TESTS_TEAMING_FAKE_TEAMD_H
#define TESTS_TEAMING_FAKE_TEAMD_H

/* Where its files are; made at the first call, removed by fake_teamd_reset(). */
const char *fake_teamd_dir(void);
/* @param state JSON of its answers. NULL: it has a socket and never answers; "": it has none. */
void fake_teamd_start(const char *team, const char *state);
/* As by kill -9: its files stay. */
void fake_teamd_kill(void);
/* Ends as teamd -k: its files go. */
void fake_teamd_end(void);
/* That, and the directory goes. */
void fake_teamd_reset(void);

#endif
