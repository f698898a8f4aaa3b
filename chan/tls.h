/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The handshake of a tls:// channel: mutual TLS 1.3, one greeting each way as TLS application
 * data, then both derive keys from the exporter and TLS is done; see doc/PROTOCOL.md.
 */

#include "chan/wire.h"

struct chan_tls; /* credentials of one side */

int must_check chan_tls_new(const struct chan_tls_config *cfg, bool server, struct chan_tls **out,
			    struct err *e);
void chan_tls_free(struct chan_tls *t);

#define CHAN_CN_TEXT 64

/*
 * Over a connected socket; nothing of what follows the handshake is read from it. host: the name or
 * address that a server's certificate must carry unless the configuration names another; NULL on
 * the server. -EACCES: a certificate was refused, -EPROTO: the peer speaks something else.
 */
int must_check chan_tls_handshake(struct chan_tls *t, struct chan_io *io, const char *host,
				  int64_t deadline, struct chan_keys *keys, char cn[CHAN_CN_TEXT],
				  struct err *e);
