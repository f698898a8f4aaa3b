/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Private to psp/ and its tests: what a platform and a guest context consist of, and the two
 * tables that say which command is legal when. */

#include "crypto/hash.h"
#include "crypto/key.h"
#include "crypto/session.h"
#include "crypto/sevcert.h"
#include "psp/psp.h"

enum psp_cmd {
	PSP_CMD_INIT,
	PSP_CMD_SHUTDOWN,
	PSP_CMD_PLATFORM_RESET,
	PSP_CMD_PLATFORM_STATUS,
	PSP_CMD_PEK_GEN,
	PSP_CMD_PEK_CSR,
	PSP_CMD_PEK_CERT_IMPORT,
	PSP_CMD_PDH_CERT_EXPORT,
	PSP_CMD_PDH_GEN,
	PSP_CMD_DF_FLUSH,
	PSP_CMD_GET_ID,
	PSP_CMD_START, /* LAUNCH_START, RECEIVE_START: the guest context is new */
	PSP_CMD_GUEST, /* any other guest command, as far as the platform cares */
	PSP_PLATFORM_CMDS,
};

enum psp_guest_cmd {
	PSP_CMD_LAUNCH_UPDATE_DATA,
	PSP_CMD_LAUNCH_UPDATE_VMSA,
	PSP_CMD_LAUNCH_MEASURE,
	PSP_CMD_LAUNCH_SECRET,
	PSP_CMD_LAUNCH_FINISH,
	PSP_CMD_ATTESTATION,
	PSP_CMD_SEND_START,
	PSP_CMD_SEND_UPDATE_DATA,
	PSP_CMD_SEND_UPDATE_VMSA,
	PSP_CMD_SEND_FINISH,
	PSP_CMD_SEND_CANCEL,
	PSP_CMD_RECEIVE_UPDATE_DATA,
	PSP_CMD_RECEIVE_UPDATE_VMSA,
	PSP_CMD_RECEIVE_FINISH,
	PSP_CMD_DBG_DECRYPT,
	PSP_CMD_DBG_ENCRYPT,
	PSP_CMD_ACTIVATE,
	PSP_CMD_DEACTIVATE,
	PSP_CMD_DECOMMISSION,
	PSP_CMD_GUEST_STATUS,
	PSP_GUEST_CMDS,
};

/* Made with the chip, never changed. */
struct psp_chip {
	uint8_t api_major, api_minor, build;
	uint8_t id[PSP_CHIP_ID_LEN];
	struct rsa_key *ark; /* NULL: ARK and ASK are another platform's */
	struct rsa_key *ask;
	uint8_t ark_cert[PSP_AMD_CERT_LEN_4096];
	uint8_t ask_cert[PSP_AMD_CERT_LEN_4096];
	size_t amd_len; /* of either */
	struct ec_key *cek;
	uint8_t cek_cert[PSP_CERT_LEN];
};

/* Made by INIT when missing, erased by PLATFORM_RESET. */
struct psp_identity {
	bool present;
	struct ec_key *oca; /* NULL: externally owned */
	struct ec_key *pek;
	struct ec_key *pdh;
	uint8_t oca_cert[PSP_CERT_LEN];
	uint8_t pek_cert[PSP_CERT_LEN];
	uint8_t pdh_cert[PSP_CERT_LEN];
};

struct psp_guest {
	struct psp_guest *next;
	uint32_t handle; /* never 0 */
	uint32_t asid;   /* 0: not active */
	uint32_t policy;
	uint8_t state;                 /* enum psp_guest_state */
	struct session_keys keys;      /* wiped when a START's work is FINISHed */
	struct session_packer *packer; /* keyed with them */
	struct crypto_hash *hash;      /* the launch digest while it grows */
	/* Kept after LAUNCH_FINISH, because ATTESTATION is asked for then. */
	uint8_t digest[PSP_DIGEST_LEN];
	uint8_t measure[PSP_MAC_LEN]; /* LAUNCH_SECRET's MAC covers it */
};

struct psp {
	struct psp_chip chip;
	struct psp_identity id;
	uint8_t state; /* enum psp_platform_state */
	bool es;
	uint64_t nv_changes;
	struct psp_guest *guests;
	uint32_t guest_count;
	uint32_t next_handle;
};

/* --- table.c -------------------------------------------------------------------------------- */

bool psp_platform_allows(enum psp_cmd cmd, enum psp_platform_state s);
/* The state after success; PSP_GSTATE_UNINIT: the command is illegal in s. */
enum psp_guest_state psp_guest_next(enum psp_guest_cmd cmd, enum psp_guest_state s);
bool psp_guest_needs_active(enum psp_guest_cmd cmd);

/* --- guest.c -------------------------------------------------------------------------------- */

/* Every guest command begins with this: platform state, handle, guest state, activity. */
enum psp_status must_check psp_guest_enter(struct psp *p, enum psp_guest_cmd cmd, uint32_t handle,
					   struct psp_guest **out);
/* ... and ends with this when it succeeded. */
void psp_guest_leave(struct psp_guest *g, enum psp_guest_cmd cmd);
enum psp_status must_check psp_guest_find(struct psp *p, uint32_t handle, struct psp_guest **out);
/* Make a context in the given state; psp owns it. */
enum psp_status must_check psp_guest_add(struct psp *p, uint32_t policy, enum psp_guest_state s,
					 const struct session_keys *keys, struct psp_guest **out);
/* LAUNCH_START and RECEIVE_START, which differ in where the keys come from. *handle: whose keys to
 * share, or 0; then the new context's. */
typedef enum psp_status psp_start_keys(const struct psp *p, uint32_t policy, struct psp_bytes dh,
				       struct psp_bytes session, struct session_keys *out);
enum psp_status must_check psp_guest_start(struct psp *p, enum psp_guest_state s,
					   psp_start_keys *take, uint32_t *handle, uint32_t policy,
					   struct psp_bytes dh, struct psp_bytes session);
/* Give g new session keys, or (psp_guest_unkey) wipe what it has. */
enum psp_status must_check psp_guest_key(struct psp_guest *g, const struct session_keys *keys);
void psp_guest_unkey(struct psp_guest *g);
void psp_guest_remove_all(struct psp *p);

/* --- policy.c ------------------------------------------------------------------------------- */

/* What every START checks: reserved bits, ES, minimum API, and key sharing when share != 0. */
enum psp_status must_check psp_policy_start(struct psp *p, uint32_t policy, uint32_t share);
bool psp_policy_api_ok(uint32_t policy, uint8_t major, uint8_t minor);

/* --- chain.c -------------------------------------------------------------------------------- */

/* May p send a guest with this policy to the platform with these certificates? Gives its PDH. */
enum psp_status must_check psp_chain_check(const struct psp *p, uint32_t policy,
					   const struct psp_send_to *to, struct ec_key **pdh);
/* The DH key of a lone certificate: a guest owner's, or a source's PDH. */
enum psp_status must_check psp_chain_dh(struct psp_bytes cert, struct ec_key **out);

/* --- session.c ------------------------------------------------------------------------------ */

/* The common part of LAUNCH_START and RECEIVE_START with a session. */
enum psp_status must_check psp_session_take(const struct psp *p, uint32_t policy,
					    struct psp_bytes dh, struct psp_bytes session,
					    struct session_keys *out);
/* LAUNCH_SECRET and RECEIVE_UPDATE: lengths, MAC, decryption. */
enum psp_status must_check psp_session_open(struct psp_guest *g, const struct session_packet *k,
					    struct psp_bytes hdr, struct psp_bytes packet,
					    uint8_t *dst, size_t guest_len);
/* SEV API: guest addresses and lengths are multiples of 16. */
enum psp_status must_check psp_span_check(const uint8_t *private, size_t len);

/* --- identity.c ----------------------------------------------------------------------------- */

int must_check psp_identity_make(struct psp *p, struct err *e); /* new OCA, PEK, PDH */
int must_check psp_identity_make_pdh(struct psp *p, struct err *e);
/* Become externally owned: cert is the PEK's, with the owner's signature. */
int must_check psp_identity_own(struct psp *p, const uint8_t cert[PSP_CERT_LEN],
				const uint8_t oca[PSP_CERT_LEN], struct err *e);
int must_check psp_identity_csr(const struct psp *p, uint8_t out[PSP_CERT_LEN], struct err *e);
void psp_identity_fini(struct psp_identity *id);
void psp_chip_fini(struct psp_chip *c);

/* --- nv.c ----------------------------------------------------------------------------------- */

/* The blob's content, without its frame and digest: a pure decoder that borrows. */
enum psp_nv_tag {
	PSP_NV_VERSION = 1, /* api_major, api_minor, build */
	PSP_NV_CHIP_ID,
	PSP_NV_ARK_CERT,
	PSP_NV_ASK_CERT,
	PSP_NV_ARK_KEY, /* optional, with ASK_KEY */
	PSP_NV_ASK_KEY,
	PSP_NV_CEK_KEY,
	PSP_NV_CEK_CERT,
	PSP_NV_OCA_KEY,  /* optional: self-owned */
	PSP_NV_OCA_CERT, /* optional, with the next four */
	PSP_NV_PEK_KEY,
	PSP_NV_PEK_CERT,
	PSP_NV_PDH_KEY,
	PSP_NV_PDH_CERT,
	PSP_NV_TAGS,
};
struct psp_nv {
	struct psp_bytes field[PSP_NV_TAGS]; /* by tag; p == NULL: absent */
};
int must_check psp_nv_content_get(struct psp_bytes in, struct psp_nv *out, struct err *e);
int must_check psp_nv_frame_get(struct psp_bytes in, struct psp_bytes *content, struct err *e);
