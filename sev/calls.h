/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The typed calls of sev/sev.h, which includes this: Linux's structs filled, errno and firmware
 * status turned into one struct err. */

#include <stddef.h>
#include <stdint.h>

#include "sev/sev.h"

#define SEV_CERT_LEN 0x824u        /* one SEV certificate: PDH, PEK, OCA, CEK */
#define SEV_PLAT_CHAIN_LEN 0x186cu /* PEK, OCA, CEK */
#define SEV_AMD_CHAIN_MAX 0xc80u   /* ASK, ARK */
#define SEV_SESSION_LEN 0x80u
#define SEV_PACKET_HDR_LEN 52u
#define SEV_MEASURE_LEN 48u

/* Everything a sender must know of a receiving platform. */
struct sev_peer_certs {
	uint8_t pdh[SEV_CERT_LEN];
	uint8_t plat[SEV_PLAT_CHAIN_LEN];
	uint8_t amd[SEV_AMD_CHAIN_MAX];
	uint32_t amd_len; /* 2 x 832 or 2 x 1600 */
};

int must_check sev_certs_export(struct sev_platform *p, struct sev_peer_certs *out, struct err *e);
int must_check sev_platform_status(struct sev_platform *p, struct sev_user_data_status *out,
				   struct err *e);

/* The guest policy decides: with PSP_POLICY_ES the vCPUs' state will be encrypted, too. */
int must_check sev_init(struct sev_vm *vm, uint32_t policy, struct err *e);
/* session and dh may both be NULL: launch without a guest owner. */
int must_check sev_launch_start(struct sev_vm *vm, uint32_t policy, const void *dh, size_t dh_len,
				const void *session, size_t session_len, struct err *e);
/* Encrypt and measure what the shared face holds at p; afterwards it no longer reads there. */
int must_check sev_launch_update(struct sev_vm *vm, void *p, size_t len, struct err *e);
int must_check sev_launch_measure(struct sev_vm *vm, uint8_t out[SEV_MEASURE_LEN], struct err *e);
int must_check sev_launch_secret(struct sev_vm *vm, const uint8_t hdr[SEV_PACKET_HDR_LEN], void *p,
				 const void *packet, size_t len, struct err *e);
int must_check sev_launch_finish(struct sev_vm *vm, struct err *e);
int must_check sev_guest_status(struct sev_vm *vm, struct sev_guest_status *out, struct err *e);

/* Does whoever answers know the SEND commands? */
bool sev_send_offered(struct sev_vm *vm);
int must_check sev_send_start(struct sev_vm *vm, const struct sev_peer_certs *to,
			      uint8_t session[SEV_SESSION_LEN], uint32_t *policy, struct err *e);
/* One page or less; out holds len bytes. p points into the shared face. */
int must_check sev_send_update(struct sev_vm *vm, void *p, size_t len,
			       uint8_t hdr[SEV_PACKET_HDR_LEN], void *out, struct err *e);
int must_check sev_send_finish(struct sev_vm *vm, struct err *e);
int must_check sev_send_cancel(struct sev_vm *vm, struct err *e);
int must_check sev_receive_start(struct sev_vm *vm, uint32_t policy,
				 const uint8_t source_pdh[SEV_CERT_LEN],
				 const uint8_t session[SEV_SESSION_LEN], struct err *e);
int must_check sev_receive_update(struct sev_vm *vm, void *p, size_t len,
				  const uint8_t hdr[SEV_PACKET_HDR_LEN], const void *packet,
				  struct err *e);
int must_check sev_receive_finish(struct sev_vm *vm, struct err *e);
