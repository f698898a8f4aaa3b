/* SPDX-License-Identifier: Apache-2.0 */
#include "psp/state.h"

/* SEV API, chapter 2 (platform) and chapter 4 (guest states). PEK_CSR in WORKING: the sources
 * disagree and no client depends on the refusal. */
/* clang-format off */
static const bool platform_table[PSP_PLATFORM_CMDS][3] = {
	/*                           UNINIT INIT   WORKING */
	[PSP_CMD_INIT]            = { true , false, false },
	[PSP_CMD_SHUTDOWN]        = { true , true , true  },
	[PSP_CMD_PLATFORM_RESET]  = { true , false, false },
	[PSP_CMD_PLATFORM_STATUS] = { true , true , true  },
	[PSP_CMD_PEK_GEN]         = { false, true , false },
	[PSP_CMD_PEK_CSR]         = { false, true , true  },
	[PSP_CMD_PEK_CERT_IMPORT] = { false, true , false },
	[PSP_CMD_PDH_CERT_EXPORT] = { false, true , true  },
	[PSP_CMD_PDH_GEN]         = { false, true , true  },
	[PSP_CMD_DF_FLUSH]        = { false, true , true  },
	[PSP_CMD_GET_ID]          = { true , true , true  },
	[PSP_CMD_START]           = { false, true , true  },
	[PSP_CMD_GUEST]           = { false, true , true  },
};
/* clang-format on */

#define NO PSP_GSTATE_UNINIT
#define LU PSP_GSTATE_LUPDATE
#define LS PSP_GSTATE_LSECRET
#define RU PSP_GSTATE_RUNNING
#define SU PSP_GSTATE_SUPDATE
#define RX PSP_GSTATE_RUPDATE
#define SE PSP_GSTATE_SENT

/* The entry is the state after success, NO an illegal command. No command leads to UNINIT, so the
 * number is free for that. A digest is attested once it is final: not in LUPDATE, and a received
 * guest has none before it runs. */
/* clang-format off */
static const uint8_t guest_table[PSP_GUEST_CMDS][PSP_GSTATES] = {
	/*                                UN  LU  LS  RU  SU  RX  SENT */
	[PSP_CMD_LAUNCH_UPDATE_DATA]  = { NO, LU, NO, NO, NO, NO, NO },
	[PSP_CMD_LAUNCH_UPDATE_VMSA]  = { NO, LU, NO, NO, NO, NO, NO },
	[PSP_CMD_LAUNCH_MEASURE]      = { NO, LS, NO, NO, NO, NO, NO },
	[PSP_CMD_LAUNCH_SECRET]       = { NO, NO, LS, NO, NO, NO, NO },
	[PSP_CMD_LAUNCH_FINISH]       = { NO, NO, RU, NO, NO, NO, NO },
	[PSP_CMD_ATTESTATION]         = { NO, NO, LS, RU, SU, NO, NO },
	[PSP_CMD_SEND_START]          = { NO, NO, NO, SU, NO, NO, NO },
	[PSP_CMD_SEND_UPDATE_DATA]    = { NO, NO, NO, NO, SU, NO, NO },
	[PSP_CMD_SEND_UPDATE_VMSA]    = { NO, NO, NO, NO, SU, NO, NO },
	[PSP_CMD_SEND_FINISH]         = { NO, NO, NO, NO, SE, NO, NO },
	[PSP_CMD_SEND_CANCEL]         = { NO, NO, NO, NO, RU, NO, NO },
	[PSP_CMD_RECEIVE_UPDATE_DATA] = { NO, NO, NO, NO, NO, RX, NO },
	[PSP_CMD_RECEIVE_UPDATE_VMSA] = { NO, NO, NO, NO, NO, RX, NO },
	[PSP_CMD_RECEIVE_FINISH]      = { NO, NO, NO, NO, NO, RU, NO },
	[PSP_CMD_DBG_DECRYPT]         = { NO, LU, LS, RU, SU, NO, NO },
	[PSP_CMD_DBG_ENCRYPT]         = { NO, LU, LS, RU, SU, NO, NO },
	[PSP_CMD_ACTIVATE]            = { NO, LU, LS, RU, SU, RX, SE },
	[PSP_CMD_DEACTIVATE]          = { NO, LU, LS, RU, SU, RX, SE },
	[PSP_CMD_DECOMMISSION]        = { NO, LU, LS, RU, SU, RX, SE },
	[PSP_CMD_GUEST_STATUS]        = { NO, LU, LS, RU, SU, RX, SE },
};
/* clang-format on */

/* Commands that reach the guest's memory need its key to be in use. */
static const bool active_table[PSP_GUEST_CMDS] = {
	[PSP_CMD_LAUNCH_UPDATE_DATA] = true,  [PSP_CMD_LAUNCH_UPDATE_VMSA] = true,
	[PSP_CMD_LAUNCH_SECRET] = true,       [PSP_CMD_SEND_UPDATE_DATA] = true,
	[PSP_CMD_SEND_UPDATE_VMSA] = true,    [PSP_CMD_RECEIVE_UPDATE_DATA] = true,
	[PSP_CMD_RECEIVE_UPDATE_VMSA] = true, [PSP_CMD_DBG_DECRYPT] = true,
	[PSP_CMD_DBG_ENCRYPT] = true,
};

bool psp_platform_allows(enum psp_cmd cmd, enum psp_platform_state s)
{
	return platform_table[cmd][s];
}

enum psp_guest_state psp_guest_next(enum psp_guest_cmd cmd, enum psp_guest_state s)
{
	return (enum psp_guest_state)guest_table[cmd][s];
}

bool psp_guest_needs_active(enum psp_guest_cmd cmd)
{
	return active_table[cmd];
}
