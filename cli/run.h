/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The process of one guest, as "sevmig run" starts it. Threads: main (signals, console input, the
 * end), the control socket's, one for a migration away (run_source.c) or one that receives
 * (run_target.c), and the monitor's own. What they share is in struct run, under its lock; the lock
 * is never held over a call that waits.
 */

#include <pthread.h>
#include <stdbool.h>

#include "base/buf.h"
#include "cli/cli.h"
#include "cli/firmware.h"
#include "cli/trust.h"
#include "control/control.h"

struct run_cfg {
	struct cli_common common;
	const char *name, *kernel, *initrd, *append, *policy, *min_api, *platform, *amd_chain;
	const char *console, *incoming, *tls_dir, *dh, *session, *firmware;
	const char *broker, *broker_guest;
	const char *handler, *launch_secret, *measurement;
	uint64_t memory;
	unsigned vcpus, cbit, handler_vcpus;
	uint32_t policy_bits;
	bool debug_digest, no_migration, hold;
	unsigned on_reset;
	struct opt_list disks, nets;
	bool rng;
	unsigned console_device;
};
enum { RUN_ON_RESET_EXIT, RUN_ON_RESET_RESTART };
enum { RUN_CONSOLE_SERIAL, RUN_CONSOLE_VIRTIO };

/* run_digest.c: the VM with a digest logged at the stop and on arrival. */
struct run_digest {
	struct mig_vm mig;
	struct mig_vm *inner;
	struct vm *vm;
};

/* A migration away from here. */
struct run_source {
	bool active;    /* under way */
	bool joinable;  /* its thread is still to be joined */
	bool cancelled; /* somebody asked for the end of it */
	pthread_t thread;
	struct mig_source *mig; /* while active */
	struct mig_stats last;  /* of the last one, when not active */
	struct lines differences;
	uint64_t start_ns, setup_ns;
	char uri[256];
	char tls_dir[CONTROL_TEXT_MAX + 1], tls_peer[256];
	struct trust trust;
	uint64_t max_bandwidth;
};

/* The wait for a guest. */
struct run_target {
	bool active; /* also a while after the guest arrived, if its source may not know */
	bool joinable;
	int result; /* when not active any more: 0, the guest is here; else -errno */
	pthread_t thread;
	struct mig_target *mig; /* from the first moment to the end of the process */
	struct mig_stats last;  /* when not active */
	struct chan_listener *listener;
	struct err err;
	int wake_fd; /* the thread looks again */
};

/* --hold: the launch waits between measurement and end. */
struct run_hold {
	bool waits;
	uint32_t secret_at; /* where the firmware wants secrets; 0: nowhere */
};

enum run_end {
	RUN_GOES_ON,
	RUN_STOPPED,
	RUN_ENDED,
	RUN_MOVED,
	RUN_UNKNOWN,
	RUN_FAILED,
	RUN_LOST, /* it was reset, and could not be launched anew */
};

struct run {
	const struct run_cfg *cfg;
	struct sev_platform *platform;
	/* Main alone replaces it, with vm_lock, after a reset; NULL if that failed. The control
	 * thread holds vm_lock while it looks at it. Taken before .lock. */
	struct vm *vm;
	pthread_mutex_t vm_lock;
	unsigned resets; /* with vm_lock */
	struct err reset_err;
	struct control_server *server;
	int control_fd; /* until the server has it */
	int wake_fd;    /* main looks again */
	int console_fd;
	char socket[108]; /* to unlink */
	struct sev_user_data_status api;
	struct cli_firmware firmware; /* while the guest is being made */
	struct run_digest digest;     /* used with --debug-digest */

	pthread_mutex_t lock; /* what follows */
	enum control_role role;
	struct run_source src;
	struct run_target dst;
	struct sev_guest_status sev; /* as it was when nothing was moving */
	unsigned default_downtime;
	uint64_t default_bandwidth;
	struct run_hold hold;
	bool quit;
};

/* run_start.c: in this order, and undone in reverse by run_fini(). */
int must_check run_init(struct run *r, const struct run_cfg *cfg, struct err *e);
void run_fini(struct run *r);
/* A VM as the options say, launched; it does not run yet. Also after a reset. */
int must_check run_launch(struct run *r, struct err *e);
void run_name_release(struct run *r);

/* run_devices.c: what --disk and the like name, opened. The caller releases it, on failure too. */
int must_check run_devices_open(const struct run_cfg *cfg, struct vm_devices *out, struct err *e);

/* run_broker.c: a launch whose session and secret the owner's broker gives. Zero-initialise; fini
 * also after a failure. */
struct run_broker {
	const struct run_cfg *cfg;
	const char *role; /* "start" or "arrive" */
	struct sev_user_data_status api;
	char ticket[64];
	struct buf dh, session, packet;
};
/* Asks for a session for this platform and lets boot ask for the secret when it is measured. */
int must_check run_broker_begin(struct run_broker *b, struct run *r, struct vm_boot *boot,
				struct err *e);
void run_broker_fini(struct run_broker *b);

/* run_hold.c: vm_boot()'s secret; "cont" (false: nothing waits); "sev-inject-launch-secret". */
int must_check run_hold(void *ctx, const uint8_t *measurement, struct vm_secret *out,
			struct err *e);
bool run_hold_release(struct run *r);
int must_check run_hold_secret(struct run *r, const struct control_args *a, struct err *e);

/* run_secret.c: the same by files. */
struct run_secret {
	const char *measurement_path;
	char header_path[256], packet_path[256]; /* empty: no secret */
	struct buf header, packet;
};
int must_check run_secret_begin(struct run_secret *s, const struct run_cfg *cfg,
				struct vm_boot *boot, struct err *e);
void run_secret_fini(struct run_secret *s);

/* run_loop.c: until it is over. */
enum run_end run_loop(struct run *r);
void run_wake(struct run *r);
/* A descriptor that is readable when a signal asks for the end. */
int run_signals_open(void);
/* Ask the Secure Processor for the guest's status anew; while nothing moves. */
void run_sev_refresh(struct run *r);

/* run_restart.c: is a guest that was reset to be launched anew, here? */
bool run_restarts(struct run *r);
/* Do it. Main's thread; nothing of the old guest moves any more. */
int must_check run_restart(struct run *r, struct err *e);

/* run_digest.c: what a migration works on. */
struct mig_vm *run_migratable(struct run *r);

/* run_ops.c: the control socket's requests; ctx is a struct run. */
extern const struct control_ops run_control_ops;

/* run_source.c; the first two from the control thread, under no lock. */
int must_check run_source_start(struct run *r, const struct control_args *a, struct err *e);
int must_check run_source_cancel(struct run *r, struct err *e);
/* Has the guest been given up to another host? Under the lock. */
bool run_source_gone(const struct run *r);
/* Break off if something is under way, and wait for the thread. */
void run_source_end(struct run *r);

/* run_target.c: open the door; then, when the control socket is there, let somebody in. */
int must_check run_target_listen(struct run *r, struct err *e);
int must_check run_target_start(struct run *r, struct err *e);
int must_check run_target_adopt(struct run *r, struct err *e);
/* Does the guest run here, or could? Under the lock. */
bool run_target_here(struct run *r);
void run_target_end(struct run *r);
void run_target_free(struct run *r);

/* run_console.c: terminal modes; tty_restore() is NULL-safe and frees. */
struct tty;
struct tty *tty_raw(int fd); /* NULL: not a terminal */
void tty_restore(struct tty *t);
#define TTY_ESCAPE 0x1d /* Ctrl-] */
