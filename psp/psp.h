/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The AMD Secure Processor in software: the SEV firmware's platform and guest commands with its
 * real formats and real cryptography. It opens no file, starts no thread and knows no KVM. Whoever
 * holds a struct psp serialises the calls on it, as Linux's driver does with the mailbox; two
 * different ones are independent.
 *
 * Commands return what the firmware would, as data. A failing command changes nothing: no guest
 * memory, no state, no output, except the length that a length query asks for.
 *
 * Memory comes as spans. Private memory is plain text here: the caller owns it and shows it to
 * nobody else, which is what the memory encryption key does on hardware.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "abi/psp.h"
#include "base/buf.h"
#include "base/err.h"

struct psp;

/* Borrowed input; { NULL, 0 } is "not given". */
struct psp_bytes {
	const uint8_t *p;
	size_t len;
};

/* Room for output. len: room on entry; bytes written after PSP_SUCCESS; bytes needed after
 * PSP_INVALID_LEN, the length query of the firmware (p may be NULL then). */
struct psp_room {
	uint8_t *p;
	uint32_t len;
};

/* --- the chip ------------------------------------------------------------------------------- */

struct psp_make {
	uint8_t api_major, api_minor, build; /* 0.0.0: the default, 1.55.21 */
	unsigned root_bits;                  /* of ARK and ASK: 4096 (0 means that) or 2048 */
	const struct psp *ca;  /* whose ASK signs this CEK, or NULL: a new ARK and ASK */
	const struct psp *oca; /* whose OCA signs this PEK, or NULL: self-owned */
};

/* Manufacture a chip: identity up to CEK and chip id. Creating 4096-bit roots takes seconds. The
 * platform is in UNINIT; the first INIT makes OCA, PEK and PDH. With m->oca they exist already and
 * the platform is externally owned. Borrows *ca and *oca for the call; -ENOKEY when that one
 * does not hold the private key itself. */
int must_check psp_make(const struct psp_make *m, struct psp **out, struct err *e);
void psp_free(struct psp *p);

/* Everything that must survive power-off, as one versioned blob. Contains private keys. put
 * appends to out, and the caller wipes it. get makes a platform in UNINIT; -EPROTO on anything
 * that put did not write. */
int must_check psp_nv_put(const struct psp *p, struct buf *out, struct err *e);
int must_check psp_nv_get(const void *nv, size_t len, struct psp **out, struct err *e);
/* Replace what p keeps in NV by the blob's (somebody else changed it); guests and state stay. */
int must_check psp_nv_reload(struct psp *p, const void *nv, size_t len, struct err *e);
/* Grows with each change of what psp_nv_put() writes: save it when this moved. */
uint64_t psp_nv_changes(const struct psp *p);

/* ASK then ARK as AMD distributes them; -EMSGSIZE when cap is too small. */
int must_check psp_amd_chain(const struct psp *p, uint8_t *out, size_t cap, size_t *len,
			     struct err *e);

/* --- platform commands ---------------------------------------------------------------------- */

struct psp_platform_status {
	uint8_t api_major, api_minor, build;
	uint8_t state;  /* enum psp_platform_state */
	uint32_t flags; /* PSP_STATUS_* */
	uint32_t guest_count;
};

enum psp_status must_check psp_init(struct psp *p, bool es);
enum psp_status must_check psp_shutdown(struct psp *p); /* ends every guest context */
enum psp_status must_check psp_platform_reset(struct psp *p);
enum psp_status must_check psp_platform_status(struct psp *p, struct psp_platform_status *out);
enum psp_status must_check psp_pek_gen(struct psp *p);
enum psp_status must_check psp_pdh_gen(struct psp *p);
enum psp_status must_check psp_pek_csr(struct psp *p, struct psp_room *csr);
enum psp_status must_check psp_pek_cert_import(struct psp *p, struct psp_bytes pek,
					       struct psp_bytes oca);
/* chain: PEK, OCA, CEK. Both lengths are stored when either is too small. */
enum psp_status must_check psp_pdh_cert_export(struct psp *p, struct psp_room *pdh,
					       struct psp_room *chain);
enum psp_status must_check psp_get_id(struct psp *p, struct psp_room *id);
enum psp_status must_check psp_df_flush(struct psp *p);

/* --- guest life ----------------------------------------------------------------------------- */

struct psp_guest_status {
	uint32_t policy;
	uint32_t asid;
	uint8_t state; /* enum psp_guest_state */
};

enum psp_status must_check psp_activate(struct psp *p, uint32_t handle, uint32_t asid);
enum psp_status must_check psp_deactivate(struct psp *p, uint32_t handle);
enum psp_status must_check psp_decommission(struct psp *p, uint32_t handle);
enum psp_status must_check psp_guest_status(struct psp *p, uint32_t handle,
					    struct psp_guest_status *out);

/* --- launch --------------------------------------------------------------------------------- */

/* *handle: 0 for a new key, or the guest to share memory with; becomes the new guest's. dh and
 * session both not given: launch without an owner. */
enum psp_status must_check psp_launch_start(struct psp *p, uint32_t *handle, uint32_t policy,
					    struct psp_bytes dh, struct psp_bytes session);
/* Measure len bytes of plain text and put them into private memory. src and dst may be the same
 * memory; a guest's range may come in pieces, the digest is of the concatenation. */
enum psp_status must_check psp_launch_update_data(struct psp *p, uint32_t handle,
						  const uint8_t *src, uint8_t *dst, size_t len);
enum psp_status must_check psp_launch_update_vmsa(struct psp *p, uint32_t handle,
						  const uint8_t *src, uint8_t *dst, size_t len);
enum psp_status must_check psp_launch_measure(struct psp *p, uint32_t handle,
					      struct psp_room *measure);
/* Decrypt the owner's packet into private memory dst. */
enum psp_status must_check psp_launch_secret(struct psp *p, uint32_t handle, struct psp_bytes hdr,
					     struct psp_bytes packet, uint8_t *dst,
					     size_t guest_len);
enum psp_status must_check psp_launch_finish(struct psp *p, uint32_t handle);
enum psp_status must_check psp_attestation(struct psp *p, uint32_t handle,
					   const uint8_t mnonce[PSP_NONCE_LEN],
					   struct psp_room *report);

/* --- send ----------------------------------------------------------------------------------- */

/* What SEND_START must know of the target: PDH; PEK, OCA, CEK; ASK, ARK. */
struct psp_send_to {
	struct psp_bytes pdh;
	struct psp_bytes plat;
	struct psp_bytes amd;
};

enum psp_status must_check psp_send_start(struct psp *p, uint32_t handle,
					  const struct psp_send_to *to, struct psp_room *session,
					  uint32_t *policy);
/* Encrypt guest_len bytes of private memory src for the target. A length query returns hdr's and
 * packet's lengths; it may give src NULL. */
enum psp_status must_check psp_send_update_data(struct psp *p, uint32_t handle, const uint8_t *src,
						size_t guest_len, struct psp_room *hdr,
						struct psp_room *packet);
enum psp_status must_check psp_send_update_vmsa(struct psp *p, uint32_t handle, const uint8_t *src,
						size_t guest_len, struct psp_room *hdr,
						struct psp_room *packet);
enum psp_status must_check psp_send_finish(struct psp *p, uint32_t handle);
enum psp_status must_check psp_send_cancel(struct psp *p, uint32_t handle);

/* --- receive -------------------------------------------------------------------------------- */

/* *handle as in psp_launch_start(); dh is the source's PDH. */
enum psp_status must_check psp_receive_start(struct psp *p, uint32_t *handle, uint32_t policy,
					     struct psp_bytes dh, struct psp_bytes session);
/* Check a packet, then decrypt it into private memory dst. The packet is read twice and must not
 * change in between; dst is written only when its MAC holds. */
enum psp_status must_check psp_receive_update_data(struct psp *p, uint32_t handle,
						   struct psp_bytes hdr, struct psp_bytes packet,
						   uint8_t *dst, size_t guest_len);
enum psp_status must_check psp_receive_update_vmsa(struct psp *p, uint32_t handle,
						   struct psp_bytes hdr, struct psp_bytes packet,
						   uint8_t *dst, size_t guest_len);
enum psp_status must_check psp_receive_finish(struct psp *p, uint32_t handle);

/* --- debug ---------------------------------------------------------------------------------- */

/* Private memory to host memory, and back; refused by policy NODBG. */
enum psp_status must_check psp_dbg_decrypt(struct psp *p, uint32_t handle, const uint8_t *src,
					   uint8_t *dst, size_t len);
enum psp_status must_check psp_dbg_encrypt(struct psp *p, uint32_t handle, const uint8_t *src,
					   uint8_t *dst, size_t len);
/* SHA-256 of plain text, for tests that compare memory; not a firmware command. */
int must_check psp_debug_digest(const uint8_t *p, size_t len, uint8_t out[PSP_DIGEST_LEN],
				struct err *e);
