/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The keys of an SEV session and what is made with them. Both ends need exactly this: the Secure
 * Processor and the guest owner, or two Secure Processors. SEV API, LAUNCH_START (session
 * buffer), LAUNCH_MEASURE, LAUNCH_SECRET, SEND_UPDATE_DATA.
 */

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "crypto/cipher.h"
#include "crypto/hash.h"
#include "crypto/key.h"
#include "crypto/secret.h"

#define SESSION_KEY_LEN 16
#define SESSION_NONCE_LEN 16
#define SESSION_BUF_LEN                                                                            \
	0x80               /* NONCE 0, WRAP_TK 0x10, WRAP_IV 0x30, WRAP_MAC 0x40, POLICY_MAC 0x60 */
#define SESSION_HDR_LEN 52 /* FLAGS 0, IV 4, MAC 0x14 */

/* Agreed between two DH keys; wraps the transport keys. */
struct session_master {
	struct secret kek;
	struct secret kik;
};

/* Chosen by the sending side. */
struct session_keys {
	struct secret tek;
	struct secret tik;
};

void session_master_wipe(struct session_master *m);
void session_keys_wipe(struct session_keys *k);
#define auto_session_master cleanup_with(session_master_wipe)
#define auto_session_keys cleanup_with(session_keys_wipe)

/* From ECDH's Z (48 bytes) and the session buffer's nonce. */
int must_check session_master_derive(const struct secret *z, const uint8_t nonce[SESSION_NONCE_LEN],
				     struct session_master *out, struct err *e);
/* Z = own private key with peer's point, then as above. */
int must_check session_master_agree(const struct ec_key *own, const struct ec_key *peer,
				    const uint8_t nonce[SESSION_NONCE_LEN],
				    struct session_master *out, struct err *e);
int must_check session_keys_random(struct session_keys *out, struct err *e);

/* Write the session buffer. nonce is the one m was derived with. */
int must_check session_wrap(const struct session_master *m, const struct session_keys *k,
			    uint32_t policy, const uint8_t nonce[SESSION_NONCE_LEN],
			    const uint8_t iv[AES_IV_LEN], uint8_t out[SESSION_BUF_LEN],
			    struct err *e);
/* Check both MACs and take the keys out; -EBADMSG when one does not hold. */
int must_check session_unwrap(const struct session_master *m, uint32_t policy,
			      const uint8_t buf[SESSION_BUF_LEN], struct session_keys *out,
			      struct err *e);

/* What LAUNCH_MEASURE signs. */
struct session_measured {
	uint8_t api_major, api_minor, build;
	uint32_t policy;
	uint8_t digest[SHA256_LEN];
	uint8_t mnonce[SESSION_NONCE_LEN];
};
int must_check session_measure(const struct secret *tik, const struct session_measured *m,
			       uint8_t mac[HMAC_LEN], struct err *e);

/* Seals and opens packets; keyed once, no allocation a packet. */
struct session_packer;
int must_check session_packer_new(const struct session_keys *k, struct session_packer **out,
				  struct err *e);
void session_packer_free(struct session_packer *p);

/* Domain: 1 LAUNCH_SECRET, 2 data, 3 VMSA. measure: the 32 byte launch measurement that a secret's
 * MAC covers too, else NULL. */
struct session_packet {
	uint8_t domain;
	const uint8_t *measure;
};
/* Encrypt len bytes with a fresh IV and write the header. */
int must_check session_seal(struct session_packer *p, const struct session_packet *k,
			    const uint8_t *plain, uint32_t len, uint8_t hdr[SESSION_HDR_LEN],
			    uint8_t *cipher, struct err *e);
/* -EBADMSG when the MAC does not hold, -ENOTSUP for a compressed packet; plain is written only
 * on success. */
int must_check session_open(struct session_packer *p, const struct session_packet *k,
			    const uint8_t hdr[SESSION_HDR_LEN], const uint8_t *cipher, uint32_t len,
			    uint8_t *plain, struct err *e);

DEFINE_AUTO(session_packer, struct session_packer *, session_packer_free)
#define auto_session_packer auto_of(session_packer)
