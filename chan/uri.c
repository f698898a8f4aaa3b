/* SPDX-License-Identifier: Apache-2.0 */
#include "chan/uri.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#define EXAMPLES                                                                                   \
	"tls://host-b:4433, tls://[2001:db8::2]:4433, unix:/run/sevmig.sock, file:guest.mig"

static bool printable(const char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			return false;
	return true;
}

static int path_parse(const char *what, const char *p, size_t max, struct chan_uri *out,
		      struct err *e)
{
	size_t len = strlen(p);

	if (len == 0)
		return err_set(e, -EINVAL, "%s: no path; say %s/some/path", what, what);
	if (len > max)
		return err_set(e, -EINVAL, "%s: a path of %zu bytes; at most %zu are possible",
			       what, len, max);
	memcpy(out->path, p, len + 1);
	return 0;
}

static int port_parse(const char *p, uint16_t *out, struct err *e)
{
	size_t len = strlen(p);
	unsigned v = 0;

	if (len == 0 || len > 5 || strspn(p, "0123456789") != len || (p[0] == '0' && len > 1))
		return err_set(e, -EINVAL, "tls: port \"%.20s\" is not a number from 0 to 65535",
			       p);
	for (; *p; p++)
		v = v * 10 + (unsigned)(*p - '0');
	if (v > UINT16_MAX)
		return err_set(e, -EINVAL, "tls: port %u is over 65535", v);
	*out = (uint16_t)v;
	return 0;
}

static int name_check(const char *host, struct err *e)
{
	static const char ok[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_";

	if (strspn(host, ok) != strlen(host) || host[0] == '.' || host[0] == '-')
		return err_set(e, -EINVAL, "tls: \"%s\" is not a host name", host);
	return 0;
}

static int v6_check(const char *host, struct err *e)
{
	struct in6_addr a;

	if (inet_pton(AF_INET6, host, &a) != 1)
		return err_set(e, -EINVAL, "tls: \"%s\" is not an IPv6 address", host);
	return 0;
}

static int tls_parse(const char *p, struct chan_uri *out, struct err *e)
{
	bool v6 = p[0] == '[';
	const char *start = p + v6;
	size_t len = strcspn(start, v6 ? "]" : ":");
	const char *end = start + len;
	int r;

	if (v6 && *end != ']')
		return err_set(e, -EINVAL, "tls: no ] after the IPv6 address");
	if (len == 0)
		return err_set(
			e, -EINVAL,
			"tls: no host; say tls://host-b:4433, or tls://0.0.0.0:4433 to listen");
	if (len > CHAN_HOST_MAX)
		return err_set(e, -EINVAL, "tls: a host name of %zu bytes", len);
	if (end[v6] != ':')
		return err_set(e, -EINVAL, "tls: no port; say tls://host-b:4433");
	if (!v6 && strchr(end + 1, ':'))
		return err_set(e, -EINVAL,
			       "tls: an IPv6 address stands in brackets: tls://[2001:db8::2]:4433");
	memcpy(out->host, start, len);
	out->host[len] = '\0';
	r = v6 ? v6_check(out->host, e) : name_check(out->host, e);
	return r < 0 ? r : port_parse(end + v6 + 1, &out->port, e);
}

static int kind_parse(const char *text, struct chan_uri *u, struct err *e)
{
	if (strncmp(text, "tls://", 6) == 0) {
		u->kind = CHAN_KIND_TLS;
		return tls_parse(text + 6, u, e);
	}
	if (strncmp(text, "unix:", 5) == 0) {
		u->kind = CHAN_KIND_UNIX;
		return path_parse("unix:", text + 5, CHAN_UNIX_PATH_MAX, u, e);
	}
	if (strncmp(text, "file:", 5) == 0) {
		u->kind = CHAN_KIND_FILE;
		return path_parse("file:", text + 5, CHAN_PATH_MAX, u, e);
	}
	if (strncmp(text, "tcp:", 4) == 0)
		return err_set(e, -EINVAL,
			       "tcp: a guest's memory is not sent in the clear; use tls://HOST:PORT"
			       " (\"sevmig pki\" makes certificates), or unix:PATH on one machine");
	return err_set(e, -EINVAL, "no kind of channel that is known; examples: " EXAMPLES);
}

int chan_uri_parse(const char *text, struct chan_uri *out, struct err *e)
{
	struct chan_uri u = { 0 };
	int r;

	if (!printable(text))
		return err_set(e, -EINVAL, "channel URI: control characters in it");
	r = kind_parse(text, &u, e);
	if (r < 0)
		return err_wrap(e, r, "channel \"%.80s\"", text);
	*out = u;
	return 0;
}
