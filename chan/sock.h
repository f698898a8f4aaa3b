/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* TCP and Unix sockets, set up as a migration wants them. Descriptors returned are the caller's. */

#include <sys/stat.h>

#include "chan/io.h"
#include "chan/uri.h"

#define CHAN_ADDR_TEXT 80 /* "[v6]:port" with its NUL */

int must_check chan_tcp_listen(const struct chan_uri *u, int *out, struct err *e);
/* Tries each address of the host in turn. */
int must_check chan_tcp_connect(const struct chan_uri *u, int64_t deadline, int *out,
				struct err *e);
/* Keepalive, no delay, congestion control: what each connection gets. */
void chan_tcp_tune(int fd);
/* The congestion control in use, "cubic"; "" when the kernel does not say. */
void chan_tcp_congestion(int fd, char out[16]);
/* "192.0.2.1:4433" of either end. */
void chan_tcp_addr(int fd, bool peer, char out[CHAN_ADDR_TEXT]);
int chan_tcp_port(int fd);

/* Replaces a socket file that nobody listens on, nothing else. *made is what was created. */
int must_check chan_unix_listen(const char *path, int *out, struct stat *made, struct err *e);
int must_check chan_unix_connect(const char *path, int *out, struct err *e);
void chan_unix_tune(int fd);
/* Removes path if it is still what chan_unix_listen() made. */
void chan_unix_unlink(const char *path, const struct stat *made);
