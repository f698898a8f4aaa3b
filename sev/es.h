/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The typed calls that only SEV-ES guests need: their vCPUs' encrypted state. As those in sev.h. */

#include "sev/sev.h"

#define SEV_VMSA_PACKET_LEN 4096u

/* Encrypt and measure the registers of all vCPUs, in the order they were made; from here on they
 * are the guest's (sev/vcpu.h). */
int must_check sev_launch_update_vmsa(struct sev_vm *vm, struct err *e);
/* Can this kernel send (or else receive) the vCPUs of an SEV-ES guest? Mainline cannot; the error
 * names the command it lacks. */
int must_check sev_vmsa_movable(struct sev_vm *vm, bool send, struct err *e);
/* The encrypted state of one vCPU, by its index in the order they were made. */
int must_check sev_send_update_vmsa(struct sev_vm *vm, uint32_t vcpu,
				    uint8_t hdr[SEV_PACKET_HDR_LEN],
				    uint8_t out[SEV_VMSA_PACKET_LEN], struct err *e);
int must_check sev_receive_update_vmsa(struct sev_vm *vm, uint32_t vcpu,
				       const uint8_t hdr[SEV_PACKET_HDR_LEN],
				       const uint8_t packet[SEV_VMSA_PACKET_LEN], struct err *e);
