/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The channel over bytes: what tls (after its handshake), unix and file have in common.
 *
 * With keys the head of each message is sealed with AES-256-GCM: nonce = base XOR sequence number,
 * a key and a base for each direction, the frame's 24 bytes as additional data. So type, lengths,
 * order and head are authentic and the head is confidential. The body is NOT sealed by the channel
 * and NOT authenticated by it: its maker sealed it, and what binds it to its head stands in the
 * head. A sender who has something in the clear puts it into the head.
 */

#include "chan/chan.h"
#include "chan/io.h"
#include "crypto/cipher.h"

struct chan_dir_keys {
	uint8_t key[GCM_KEY_LEN];
	uint8_t nonce[GCM_NONCE_LEN];
};

/* Wiped by whoever holds one. */
struct chan_keys {
	struct chan_dir_keys tx, rx;
};

enum chan_wire_mode {
	CHAN_WIRE_BOTH,
	CHAN_WIRE_READ,  /* a file that is read */
	CHAN_WIRE_WRITE, /* a file that is written; synced when freed */
};

struct chan_wire_config {
	enum chan_wire_mode mode;
	bool tcp;                     /* linger when freed */
	const struct chan_keys *keys; /* NULL: in the clear */
	const char *peer;
	uint64_t first_seq; /* 0, except in tests of the sequence's end */
};

/* Takes *io (also when it fails). */
int must_check chan_wire_new(struct chan_io *io, const struct chan_wire_config *cfg,
			     struct chan **out, struct err *e);
/* For the fault wrapper: puts the first half of the message's bytes on the wire and breaks the
 * channel. False when c is no wire; nothing was done then. */
bool chan_wire_cut(struct chan *c, const struct chan_msg *m);
