/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What crosses the boundary of the Secure Processor: numbers and byte layouts of AMD's SEV API
 * (publication 55766). All integers are little endian; layouts are given as offsets and sizes,
 * because nothing from outside is ever cast to a struct. The inside of certificates is described
 * in crypto/sevcert.h. Names carry PSP_ so that linux/psp-sev.h can be included beside this.
 */

#include <stdint.h>

/* Firmware status, 16 bits. */
enum psp_status {
	PSP_SUCCESS = 0x00,
	PSP_INVALID_PLATFORM_STATE = 0x01,
	PSP_INVALID_GUEST_STATE = 0x02,
	PSP_INVALID_CONFIG = 0x03,
	PSP_INVALID_LEN = 0x04,
	PSP_ALREADY_OWNED = 0x05,
	PSP_INVALID_CERTIFICATE = 0x06,
	PSP_POLICY_FAILURE = 0x07,
	PSP_INACTIVE = 0x08,
	PSP_INVALID_ADDRESS = 0x09,
	PSP_BAD_SIGNATURE = 0x0a,
	PSP_BAD_MEASUREMENT = 0x0b,
	PSP_ASID_OWNED = 0x0c,
	PSP_INVALID_ASID = 0x0d,
	PSP_WBINVD_REQUIRED = 0x0e,
	PSP_DFFLUSH_REQUIRED = 0x0f,
	PSP_INVALID_GUEST = 0x10,
	PSP_INVALID_COMMAND = 0x11,
	PSP_ACTIVE = 0x12,
	PSP_HWERROR_PLATFORM = 0x13,
	PSP_HWERROR_UNSAFE = 0x14,
	PSP_UNSUPPORTED = 0x15,
	PSP_INVALID_PARAM = 0x16,
	PSP_RESOURCE_LIMIT = 0x17,
	PSP_SECURE_DATA_INVALID = 0x18,
};

enum psp_platform_state { PSP_PSTATE_UNINIT, PSP_PSTATE_INIT, PSP_PSTATE_WORKING };

enum psp_guest_state {
	PSP_GSTATE_UNINIT,
	PSP_GSTATE_LUPDATE,
	PSP_GSTATE_LSECRET,
	PSP_GSTATE_RUNNING,
	PSP_GSTATE_SUPDATE,
	PSP_GSTATE_RUPDATE,
	PSP_GSTATE_SENT,
};
#define PSP_GSTATES 7

/* Guest policy, SEV API chapter 3. */
#define PSP_POLICY_NODBG (1u << 0)
#define PSP_POLICY_NOKS (1u << 1)
#define PSP_POLICY_ES (1u << 2)
#define PSP_POLICY_NOSEND (1u << 3)
#define PSP_POLICY_DOMAIN (1u << 4)
#define PSP_POLICY_SEV (1u << 5)
#define PSP_POLICY_RESERVED 0xffc0u
#define PSP_POLICY_API_MAJOR(policy) ((uint8_t)((policy) >> 16))
#define PSP_POLICY_API_MINOR(policy) ((uint8_t)((policy) >> 24))

/* PLATFORM_STATUS flags as Linux hands them to user space. */
#define PSP_STATUS_OWNED 0x1u /* externally owned */
#define PSP_STATUS_ES 0x100u  /* CONFIG.ES */

/* Sizes of what is exchanged. */
#define PSP_CERT_LEN 0x824u          /* PDH, PEK, OCA, CEK, and an owner's DH key */
#define PSP_PLAT_CHAIN_LEN 0x186cu   /* PEK, OCA, CEK */
#define PSP_AMD_CERT_LEN_2048 0x340u /* ASK, ARK with 2048-bit RSA */
#define PSP_AMD_CERT_LEN_4096 0x640u /* with 4096-bit RSA */
#define PSP_AMD_CHAIN_MAX 0xc80u     /* ASK, ARK */
#define PSP_CHIP_ID_LEN 64u
#define PSP_KEY_LEN 16u /* MS, KEK, KIK, TEK, TIK */
#define PSP_IV_LEN 16u
#define PSP_NONCE_LEN 16u
#define PSP_MAC_LEN 32u
#define PSP_DIGEST_LEN 32u

/* Session buffer: LAUNCH_START, SEND_START, RECEIVE_START. */
#define PSP_SESSION_NONCE 0x00u
#define PSP_SESSION_WRAP_TK 0x10u
#define PSP_SESSION_WRAP_IV 0x30u
#define PSP_SESSION_WRAP_MAC 0x40u
#define PSP_SESSION_POLICY_MAC 0x60u
#define PSP_SESSION_LEN 0x80u

/* Packet header: LAUNCH_SECRET, SEND_UPDATE, RECEIVE_UPDATE. */
#define PSP_HDR_FLAGS 0x00u
#define PSP_HDR_IV 0x04u
#define PSP_HDR_MAC 0x14u
#define PSP_HDR_LEN 52u
#define PSP_HDR_COMPRESSED 0x1u

/* First byte of what a MAC covers, so that one kind of packet cannot pass for another. */
#define PSP_MAC_SECRET 0x01u
#define PSP_MAC_DATA 0x02u
#define PSP_MAC_VMSA 0x03u
#define PSP_MAC_MEASURE 0x04u

/* LAUNCH_MEASURE's answer. */
#define PSP_MEASURE_MAC 0x00u
#define PSP_MEASURE_MNONCE 0x20u
#define PSP_MEASURE_LEN 0x30u

/* LAUNCH_SECRET's and a packet's largest payload. */
#define PSP_SECRET_MAX 0x4000u
#define PSP_PACKET_MAX 0x4000u

/* ATTESTATION's report, version 1. */
#define PSP_REPORT_MNONCE 0x00u
#define PSP_REPORT_DIGEST 0x10u
#define PSP_REPORT_POLICY 0x30u
#define PSP_REPORT_SIG_USAGE 0x34u
#define PSP_REPORT_SIG_ALGO 0x38u
#define PSP_REPORT_SIG 0x40u
#define PSP_REPORT_SIGNED_LEN 0x34u
#define PSP_REPORT_LEN 0xd0u

/* ASIDs as CPUID 0x8000001f gives them: 1 to MIN_SEV - 1 are for ES guests. */
#define PSP_ASID_MIN_SEV 100u
#define PSP_ASID_MAX 509u

_Static_assert(PSP_SESSION_POLICY_MAC + PSP_MAC_LEN == PSP_SESSION_LEN, "see doc/PROTOCOL.md");
_Static_assert(PSP_HDR_MAC + PSP_MAC_LEN == PSP_HDR_LEN, "see doc/PROTOCOL.md");
_Static_assert(PSP_MEASURE_MNONCE + PSP_NONCE_LEN == PSP_MEASURE_LEN, "see doc/PROTOCOL.md");
_Static_assert(PSP_REPORT_SIG + 144 == PSP_REPORT_LEN, "see doc/PROTOCOL.md");
_Static_assert(3 * PSP_CERT_LEN == PSP_PLAT_CHAIN_LEN, "see doc/PROTOCOL.md");
_Static_assert(2 * PSP_AMD_CERT_LEN_4096 == PSP_AMD_CHAIN_MAX, "see doc/PROTOCOL.md");
