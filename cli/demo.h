/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A guest moved between two processes of this machine, each with a software platform of its own
 * under one root, over mutual TLS; and what became of its count. */

#include <limits.h>

#include "base/buf.h"
#include "cli/cli.h"
#include "cli/ticks.h"
#include "vmm/vm.h"

struct demo_guest {
	char kernel[PATH_MAX];
	char initrd[PATH_MAX]; /* "": none */
	const char *append;
	char memory[24];
	const char *end; /* typed on its console, makes it power off */
	bool verifies;   /* it checks its own memory and says so */
};

struct demo_result {
	struct buf source, target;  /* the consoles */
	struct ticks before, after; /* of the source's console; of both joined */
	bool target_verified;
	bool stayed_silent; /* the source printed nothing more once it had moved */
	bool ended;         /* the target powered off when told to */
	json_t *migration;  /* owned */
};

/* demo_guest.c */
int must_check demo_guest_small(struct demo_guest *g, struct err *e);
int must_check demo_guest_linux(struct demo_guest *g); /* -1: what it needs is not here */

/* demo_move.c; talk: say each step on stderr. */
int must_check demo_move(const struct demo_guest *g, bool talk, struct demo_result *out,
			 struct err *e);
void demo_result_fini(struct demo_result *r);

/* demo_show.c */
bool demo_holds(const struct demo_result *r);
void demo_print(const struct demo_result *r);
json_t *demo_json(const struct demo_result *r);
