/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A migration as people see it, made from what query-migrate answers. */

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <jansson.h>

#include "control/client.h"

/* A member's value; "" or 0 where there is none. */
const char *report_text(const json_t *j, const char *name);
uint64_t report_num(const json_t *j, const char *name);

/* Lines: outcome, total time, downtime, bytes, passes, pages. */
void report_print(const json_t *mig, FILE *to);
/* What the target found different, a line each; how many there are. to may be NULL. */
size_t report_differences(const json_t *mig, FILE *to);
/* Until the migration is over; code is then an enum cli_exit. The caller owns *end. An error means
 * the process was lost on the way: where the guest is cannot be known from here. */
int must_check report_follow(struct control_client *c, bool progress, json_t **end, int *code,
			     struct err *e);
