/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A reset. An SEV guest's memory is measured once, so there is no way back to its beginning but
 * another launch: a new VM, of the same files, under the same name, on the same console and control
 * socket. It has no list of shared pages and has consented to nothing yet.
 */

#include "base/log.h"
#include "cli/run.h"

bool run_restarts(struct run *r)
{
	const char *why;
	bool moving;

	if (r->cfg->on_reset != RUN_ON_RESET_RESTART || !r->cfg->kernel ||
	    vm_end(r->vm, &why) != VM_END_RESET)
		return false;
	pthread_mutex_lock(&r->lock);
	moving = r->src.active || run_source_gone(r);
	pthread_mutex_unlock(&r->lock);
	return !moving;
}

/* The old one first: it has the disks, the network cards, the console, and an ASID. */
int run_restart(struct run *r, struct err *e)
{
	int ret;

	/* Whoever still listens for its source has nothing more to say: the guest was here. */
	run_target_end(r);
	log_info("run", "%s was reset: launching it anew", r->cfg->name);
	pthread_mutex_lock(&r->vm_lock);
	vm_free(r->vm);
	r->vm = NULL;
	r->resets++;
	ret = run_launch(r, e);
	if (ret < 0) {
		vm_free(r->vm);
		r->vm = NULL;
	}
	pthread_mutex_unlock(&r->vm_lock);
	if (ret == 0)
		run_sev_refresh(r);
	control_server_kick(r->server);
	return ret < 0 ? ret : vm_start(r->vm, e);
}
