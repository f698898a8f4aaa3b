/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The signal that brings a thread out of KVM_RUN. Its handler does nothing; that it was delivered
 * is enough. */

#include <pthread.h>

/* Install the handler, once a process, and let the calling thread receive it. */
void vmm_kick_accept(void);
void vmm_kick_send(pthread_t thread);
int vmm_kick_signal(void);
