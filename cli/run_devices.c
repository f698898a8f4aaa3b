/* SPDX-License-Identifier: Apache-2.0 */

/* The devices of a guest, from the options that name them. */

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <linux/if.h>
#include <linux/if_tun.h>

#include "base/auto.h"
#include "base/opt.h"
#include "cli/run.h"

#define FORWARDS_MAX 32u
#define MAC_PREFIX 0x52, 0x54, 0x00 /* locally administered, as other monitors have it */

/* --- disks: FILE[,readonly] ------------------------------------------------------------------ */

static int disk_open(const char *text, bool later, struct dev_disk *out, struct err *e)
{
	auto_mem char *path = strdup(text);
	char *comma = path ? strchr(path, ',') : NULL;

	if (!path)
		return err_set(e, -ENOMEM, "--disk: %m");
	if (comma && strcmp(comma, ",readonly") != 0)
		return err_set(e, -EINVAL, "--disk %s: only \",readonly\" may follow the file",
			       text);
	if (comma)
		*comma = '\0';
	*out = (struct dev_disk){ .readonly = comma != NULL, .later = later };
	out->fd = open(path, (comma ? O_RDONLY : O_RDWR) | O_CLOEXEC);
	return out->fd < 0 ? err_set(e, -errno, "--disk %s: %m", path) : 0;
}

static int disks_open(const struct run_cfg *cfg, struct vm_devices *out, struct err *e)
{
	int r = 0;

	if (cfg->disks.n > VM_DISKS_MAX)
		return err_set(e, -EINVAL, "--disk: at most %d of them", VM_DISKS_MAX);
	for (size_t i = 0; !r && i < cfg->disks.n; i++) {
		r = disk_open(cfg->disks.v[i], cfg->incoming, &out->disk[i], e);
		if (r)
			break;
		out->disk[i].number = (unsigned)i + 1;
		out->ndisk = i + 1;
	}
	return r;
}

/* --- networks: KIND[,KEY=VALUE]... ------------------------------------------------------------ */

struct net_words {
	const char *kind, *ifname;
	bool has_mac;
	uint8_t mac[DEV_MAC_LEN];
	struct dev_forward forward[FORWARDS_MAX];
	size_t nforward;
};

static int mac_get(const char *text, uint8_t mac[DEV_MAC_LEN])
{
	unsigned v[DEV_MAC_LEN];
	int end = 0;

	if (sscanf(text, "%2x:%2x:%2x:%2x:%2x:%2x%n", &v[0], &v[1], &v[2], &v[3], &v[4], &v[5],
		   &end) != 6 ||
	    text[end])
		return -EINVAL;
	for (unsigned i = 0; i < DEV_MAC_LEN; i++)
		mac[i] = (uint8_t)v[i];
	return mac[0] & 1 ? -EINVAL : 0; /* a group's */
}

static int port_get(const char *text, uint16_t *out)
{
	uint32_t v;

	if (opt_u32_get(text, &v) < 0 || !v || v > UINT16_MAX)
		return -EINVAL;
	*out = (uint16_t)v;
	return 0;
}

/* tcp:127.0.0.1:2222-:22; without an address, all of the host's. */
static int forward_get(const char *text, struct dev_forward *out)
{
	char copy[64], *at, *port, *guest;
	struct in_addr any = { .s_addr = htonl(INADDR_ANY) };

	if (snprintf(copy, sizeof(copy), "%s", text) >= (int)sizeof(copy))
		return -EINVAL;
	at = strchr(copy, ':');
	port = at ? strchr(at + 1, ':') : NULL;
	guest = port ? strstr(port, "-:") : NULL;
	if (!guest)
		return -EINVAL;
	*at++ = *port++ = *guest = '\0';
	if (strcmp(copy, "tcp") != 0 && strcmp(copy, "udp") != 0)
		return -EINVAL;
	if (*at && inet_pton(AF_INET, at, &any) != 1)
		return -EINVAL;
	*out = (struct dev_forward){ .udp = *copy == 'u', .host_addr = ntohl(any.s_addr) };
	return port_get(port, &out->host_port) ? -EINVAL : port_get(guest + 2, &out->guest_port);
}

static int net_word(char *word, struct net_words *w)
{
	bool user = w->kind && strcmp(w->kind, "user") == 0;
	bool tap = w->kind && strcmp(w->kind, "tap") == 0;

	if (!w->kind) {
		w->kind = word;
		return 0;
	}
	if (strncmp(word, "mac=", 4) == 0) {
		w->has_mac = true;
		return mac_get(word + 4, w->mac);
	}
	if (tap && strncmp(word, "ifname=", 7) == 0) {
		w->ifname = word + 7;
		return strlen(w->ifname) < IFNAMSIZ && w->ifname[0] ? 0 : -EINVAL;
	}
	if (user && strncmp(word, "hostfwd=", 8) == 0 && w->nforward < FORWARDS_MAX)
		return forward_get(word + 8, &w->forward[w->nforward++]);
	return -EINVAL;
}

/* Of the guest's name, so that it stays the same from one start to the next. */
static void mac_default(const char *name, size_t number, uint8_t mac[DEV_MAC_LEN])
{
	const uint8_t prefix[] = { MAC_PREFIX };
	uint32_t hash = 2166136261u; /* FNV-1a */

	for (; *name; name++)
		hash = (hash ^ (uint8_t)*name) * 16777619u;
	hash += (uint32_t)number;
	memcpy(mac, prefix, sizeof(prefix));
	for (size_t i = sizeof(prefix); i < DEV_MAC_LEN; i++, hash >>= 8)
		mac[i] = (uint8_t)hash;
}

static int tap_open(const char *name, struct dev_link **out, struct err *e)
{
	auto_fd int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI };

	if (fd < 0)
		return err_set(e, -errno, "/dev/net/tun: %m");
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	if (ioctl(fd, TUNSETIFF, &ifr) < 0)
		return err_set(e, -errno, "tap device %s: %m", name);
	return dev_link_tap(steal_fd(&fd), out, e);
}

static int net_open(const char *text, struct net_words *w, struct dev_link **out, struct err *e)
{
	auto_mem char *copy = strdup(text);
	char *save = NULL;

	if (!copy)
		return err_set(e, -ENOMEM, "--net: %m");
	for (char *word = strtok_r(copy, ",", &save); word; word = strtok_r(NULL, ",", &save))
		if (net_word(word, w) < 0)
			return err_set(e, -EINVAL, "--net %s: what is \"%s\"?", text, word);
	if (w->kind && strcmp(w->kind, "user") == 0)
		return dev_link_user(w->forward, w->nforward, out, e);
	if (w->kind && strcmp(w->kind, "tap") == 0 && w->ifname)
		return tap_open(w->ifname, out, e);
	return err_set(e, -EINVAL, "--net %s: neither user nor tap,ifname=NAME", text);
}

static int nets_open(const struct run_cfg *cfg, struct vm_devices *out, struct err *e)
{
	if (cfg->nets.n > VM_NETS_MAX)
		return err_set(e, -EINVAL, "--net: at most %d of them", VM_NETS_MAX);
	for (size_t i = 0; i < cfg->nets.n; i++) {
		struct net_words w = { 0 };
		int r = net_open(cfg->nets.v[i], &w, &out->net[i].link, e);

		if (r < 0)
			return r;
		out->nnet = i + 1;
		mac_default(cfg->name, i, out->net[i].mac);
		if (w.has_mac)
			memcpy(out->net[i].mac, w.mac, DEV_MAC_LEN);
	}
	return 0;
}

int run_devices_open(const struct run_cfg *cfg, struct vm_devices *out, struct err *e)
{
	int r;

	*out = (struct vm_devices){ .rng = cfg->rng,
				    .console = cfg->console_device == RUN_CONSOLE_VIRTIO };
	r = disks_open(cfg, out, e);
	return r ? r : nets_open(cfg, out, e);
}
