/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A small certificate authority, to try mutual TLS out and for tests. A site that has a CA of its
 * own uses that: tls:// only reads the three PEM files.
 *
 *	DIR/ca-cert.pem DIR/ca-key.pem		pki_init()
 *	DIR/NAME/{ca-cert,cert,key}.pem		pki_issue(): what struct chan_tls_config names
 *
 * Nothing is ever overwritten; keys are 0600; a call leaves all of its files or none.
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

#define PKI_DAYS_DEFAULT 365

struct pki_opts {
	int days; /* 0: PKI_DAYS_DEFAULT; negative: ended that many days ago, for tests */
	const char *const *also; /* more host names and addresses the certificate is for */
	size_t n_also;
	bool local; /* also for localhost, 127.0.0.1 and ::1 */
};

/* Creates dir if it does not exist. -EEXIST when a CA is there. */
int must_check pki_init(const char *dir, struct err *e);
/* name: a host name or an address; also the folder's name. opts may be NULL. */
int must_check pki_issue(const char *dir, const char *name, const struct pki_opts *opts,
			 struct err *e);
