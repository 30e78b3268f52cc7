/* SPDX-License-Identifier: BSD-3-Clause */
/* Alone, for who only reads configurations. */
#include "teaming/teaming.h"

const char *const team_mode_names[] = { "auto", "independent", "cooperate", NULL };
