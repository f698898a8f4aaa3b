/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What `sevmig shim` tells the library that it has preloaded into the command, and the library what
 * it has loaded into. */

#define SHIM_ENV_STATE "SEVMIG_SHIM_STATE" /* absolute path of the platform's state directory */
#define SHIM_ENV_CBIT "SEVMIG_SHIM_CBIT"   /* C-bit position, decimal */
#define SHIM_ENV_CPUID                                                                             \
	"SEVMIG_SHIM_CPUID"                  /* "fault" to answer the CPUID instruction, or "host" \
					      */
#define SHIM_ENV_LOADED "SEVMIG_SHIM_LOADED" /* set to "1" by the library */

#define SHIM_LIBRARY "libsevmig-shim.so"
