/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The migration handler: code of the guest's own image that a mirror VM runs during a migration.
 * What it, the monitor and the guest's owner agree on; doc/HANDLER.md has the protocol and what it
 * protects against. All integers are little endian. Nothing here is laid over memory: offsets name
 * the fields, and each side reads every field of the other's exactly once.
 */

#include <stdint.h>

#define HANDLER_VERSION 1u
#define HANDLER_PAGE 4096u

/* --- where it lies ---------------------------------------------------------------------------- */

/*
 * One range of guest physical addresses, reserved in the guest's memory map, never sent and never
 * overwritten by a migration. Private (measured at launch unless said otherwise):
 */
#define HANDLER_BASE 0x800000ull
#define HANDLER_END 0x1000000ull
#define HANDLER_IMAGE 0x800000ull /* code and constants, then data and stacks */
#define HANDLER_IMAGE_END 0x9c0000ull
#define HANDLER_TABLES 0x9c0000ull /* page tables, 8 pages */
#define HANDLER_TABLES_LEN 0x8000ull
#define HANDLER_CONFIG 0x9d0000ull /* the machine, one page */
/* Guest page 0 is mapped here: at its own address it would be no page for C or its libraries. */
#define HANDLER_PAGE0 0x9df000ull
#define HANDLER_SECRET 0x9e0000ull /* LAUNCH_SECRET goes here, one page; not measured */
#define HANDLER_SECRET_LEN 0x1000u
#define HANDLER_EPOCHS 0xa00000ull /* 4 bytes for each page of RAM; not measured */
#define HANDLER_EPOCHS_LEN 0x200000ull
#define HANDLER_RAM_MAX (HANDLER_EPOCHS_LEN / 4 * HANDLER_PAGE) /* end of RAM it can serve */
/* Shared with the monitor: */
#define HANDLER_MAILBOX 0x9f0000ull /* one for each of its vCPUs */
#define HANDLER_MAILBOX_LEN 0x4000u
#define HANDLER_VCPUS_MAX 4u
#define HANDLER_WINDOW 0xc00000ull /* pages on their way, sealed */
#define HANDLER_WINDOW_LEN 0x400000ull

/* The image starts with its entry: CPL0, 64-bit mode, CR3 at HANDLER_TABLES, RDI the number of the
 * vCPU, interrupts off, no stack. Behind a jump stands what the page tables need. */
#define HANDLER_IMAGE_MAGIC 0x646e6168676d7673ull /* "svmghand" */
enum {
	HANDLER_I_MAGIC = 8,
	HANDLER_I_VERSION = 16,    /* u64 */
	HANDLER_I_TEXT_END = 24,   /* u64: address; up to here read-only and executable */
	HANDLER_I_RODATA_END = 32, /* u64: up to here read-only; then up to IMAGE_END writable */
	HANDLER_I_HEAD_LEN = 40,
};

/* HANDLER_CONFIG */
enum {
	HANDLER_C_VERSION = 0, /* u32: HANDLER_VERSION */
	HANDLER_C_CBIT = 4,    /* u32: position */
	HANDLER_C_NRAM = 8,    /* u32: at most 8 */
	HANDLER_C_RAM = 16,    /* nram x {u64 start, u64 end}, ascending */
};
#define HANDLER_RAM_RANGES 8u

/* --- the owner's secret ----------------------------------------------------------------------- */

/*
 * LAUNCH_SECRET puts a table of secrets (the one that OVMF knows, owner/secret.h) at
 * HANDLER_SECRET. The handler takes the entry with this GUID; its data:
 */
#define HANDLER_SECRET_TABLE_GUID "1e74f542-71dd-4d66-963e-ef4287ff173b"
#define HANDLER_SECRET_GUID "bbb6c923-ffcb-41c6-a1d1-6ef7c5ace25f"
enum {
	HANDLER_S_VERSION = 0,     /* u16: 1 */
	HANDLER_S_MIN_VERSION = 2, /* u16: least HANDLER_VERSION that may use the key */
	HANDLER_S_FLAGS = 4,       /* u32: below; others are refused */
	HANDLER_S_GUEST = 8,       /* 16 bytes: of this guest, the same at source and target */
	HANDLER_S_KEY = 24,        /* 32 bytes: the same at source and target */
	HANDLER_S_LEN = 56,
};
#define HANDLER_F_MAY_SEND 1u
#define HANDLER_F_MAY_RECEIVE 2u
#define HANDLER_F_ZERO_VISIBLE 4u /* the host may see which pages are all zeros */
#define HANDLER_F_ALL 7u

/* --- the mailbox ------------------------------------------------------------------------------ */

#define HANDLER_MAGIC 0x4d485653u /* "SVHM" */
/* After HANDLER_PORT was written (4 bytes, any value) the command is answered. */
#define HANDLER_PORT 0xed0u

enum {
	/* By the monitor. */
	HANDLER_M_MAGIC = 0,    /* u32 */
	HANDLER_M_VERSION = 4,  /* u16 */
	HANDLER_M_DESC_LEN = 6, /* u16: HANDLER_DESC_LEN */
	HANDLER_M_COMMAND = 8,  /* u32 */
	HANDLER_M_COUNT = 12,   /* u32: of descriptors */
	HANDLER_M_ARG = 16,     /* 64 bytes, by command */
	/* By the handler. */
	HANDLER_M_STATUS = 80, /* u32 */
	HANDLER_M_DONE = 84,   /* u32: descriptors that are done; a refused one is the next */
	HANDLER_M_STATE = 88,  /* u32 */
	HANDLER_M_SERIAL = 92, /* u32: of the answer, goes up by one each time */
	HANDLER_M_RESULT = 96, /* 96 bytes, by command */
	HANDLER_M_DESC = 256,
};
#define HANDLER_ARG_LEN 64u
#define HANDLER_RESULT_LEN 96u
#define HANDLER_BATCH 256u

/* A descriptor: a page and its place in the window. */
enum {
	HANDLER_D_GPA = 0,    /* u64, by the monitor */
	HANDLER_D_OFFSET = 8, /* u32: in the window, page aligned; by the monitor */
	HANDLER_D_LEN = 12,   /* u32: 4096, or 0 for a page of zeros; from EXPORT, to IMPORT */
	HANDLER_D_EPOCH = 16, /* u64; from EXPORT, to IMPORT */
	HANDLER_D_TAG = 24,   /* 16 bytes; from EXPORT, to IMPORT */
	HANDLER_DESC_LEN = 40,
};

enum handler_command {
	HANDLER_STATUS = 1, /* result: struct below at HANDLER_R_* */
	HANDLER_INIT,       /* arg: u32 role. result: 32 bytes, our nonce */
	HANDLER_START,      /* arg: 32 bytes, the peer's nonce. result: 16 bytes, session id */
	HANDLER_EXPORT,     /* source: seal pages into the window */
	HANDLER_IMPORT,     /* target: open pages from the window */
	HANDLER_MANIFEST,   /* source: no more pages. result: record */
	HANDLER_VERIFY,     /* target, arg: record of MANIFEST. result: record */
	HANDLER_SEAL,       /* source, arg: record of VERIFY. result: record. For good. */
	HANDLER_RELEASE,    /* target, arg: record of SEAL. The guest may run. */
	HANDLER_RESET,      /* the session is forgotten; not after SEAL */
	HANDLER_COMMANDS
};

#define HANDLER_NONCE_LEN 32u
#define HANDLER_SESSION_LEN 16u
#define HANDLER_TAG_LEN 16u
/* {u32 kind, u32 0, u64 newest epoch, u64 pages, 16 bytes tag of the epochs, 8 bytes 0, 16 bytes
 * tag of what stands before} */
#define HANDLER_RECORD_LEN 64u

enum handler_role { HANDLER_SOURCE = 1, HANDLER_TARGET };

enum {
	HANDLER_R_VERSION = 0, /* u32 */
	HANDLER_R_FLAGS = 4,   /* u32: the owner's, if there is a key */
	HANDLER_R_GUEST = 8,   /* 16 bytes */
	HANDLER_R_PAGES = 24,  /* u64: sealed or opened in this session */
	HANDLER_R_EPOCH = 32,  /* u64: newest */
	HANDLER_R_CIPHER = 40, /* u32: 1 SSE, 2 VAES and AVX-512 */
	HANDLER_R_FAULT = 48,  /* u64 vector, u64 where, u64 address; status FAULT */
};

enum handler_state {
	HANDLER_IDLE,
	HANDLER_OPEN,     /* has a nonce, waits for the peer's */
	HANDLER_SENDING,  /* source: EXPORT */
	HANDLER_TAKING,   /* target: IMPORT */
	HANDLER_FROZEN,   /* source: manifest given */
	HANDLER_VERIFIED, /* target: complete */
	HANDLER_SEALED,   /* source: given up for good */
	HANDLER_RELEASED, /* target: the guest may run here */
	HANDLER_FAILED,   /* target: something was not as sent; only RESET helps */
	HANDLER_STATES
};

/* What a command came to. Words for people: migrate/handler_words.c, doc/HANDLER.md. */
enum handler_status {
	HANDLER_OK,
	HANDLER_E_MAILBOX,    /* magic, version, sizes or count */
	HANDLER_E_COMMAND,    /* unknown */
	HANDLER_E_STATE,      /* not in this state */
	HANDLER_E_SEALED,     /* the guest was given up here */
	HANDLER_E_NO_KEY,     /* the owner's key is not here */
	HANDLER_E_POLICY,     /* the owner's policy does not allow it */
	HANDLER_E_VERSION,    /* the owner wants a newer handler */
	HANDLER_E_RANDOM,     /* the processor gives no random numbers */
	HANDLER_E_ADDRESS,    /* outside guest RAM, or unaligned */
	HANDLER_E_OWN,        /* the handler's own range */
	HANDLER_E_WINDOW,     /* outside the window */
	HANDLER_E_LENGTH,     /* neither a page nor a mark of zeros */
	HANDLER_E_TAG,        /* changed, of another page, session or guest */
	HANDLER_E_STALE,      /* not newer than what is here: repeated or out of order */
	HANDLER_E_INCOMPLETE, /* pages are missing or not the newest */
	HANDLER_E_RECORD,     /* a record that the peer did not make */
	HANDLER_E_BUSY,       /* another of its vCPUs is at work; again */
	HANDLER_E_FULL,       /* the epochs are used up */
	HANDLER_E_FAULT,      /* an exception in the handler */
	HANDLER_STATUSES
};

_Static_assert(HANDLER_M_DESC + HANDLER_BATCH * HANDLER_DESC_LEN <= HANDLER_MAILBOX_LEN &&
		       HANDLER_MAILBOX + HANDLER_VCPUS_MAX * HANDLER_MAILBOX_LEN <= HANDLER_EPOCHS,
	       "see doc/HANDLER.md");
_Static_assert(HANDLER_EPOCHS + HANDLER_EPOCHS_LEN == HANDLER_WINDOW &&
		       HANDLER_WINDOW + HANDLER_WINDOW_LEN == HANDLER_END,
	       "see doc/HANDLER.md");
