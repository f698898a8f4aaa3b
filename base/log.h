/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * One sink for what a program says about itself: stderr, one line a message, with level and
 * component ("warn vmm: ..."). Debug lines are off unless their component was named with
 * log_debug_enable("migrate,chan"). Code that returns an error does not log it too. Never call
 * this from a signal handler.
 */

#include <stdbool.h>

#include "base/err.h"

enum log_level { LOG_ERR, LOG_WARN, LOG_INFO, LOG_DEBUG };

void log_msg(enum log_level level, const char *component, const char *fmt, ...) printf_like(3, 4);
/* Comma-separated component names, or "all". The string is borrowed for ever. */
void log_debug_enable(const char *components);
void log_level_set(enum log_level max);
bool log_debug_on(const char *component);

#define log_err(c, ...) log_msg(LOG_ERR, c, __VA_ARGS__)
#define log_warn(c, ...) log_msg(LOG_WARN, c, __VA_ARGS__)
#define log_info(c, ...) log_msg(LOG_INFO, c, __VA_ARGS__)
#define log_debug(c, ...)                                                                          \
	do {                                                                                       \
		if (log_debug_on(c))                                                               \
			log_msg(LOG_DEBUG, c, __VA_ARGS__);                                        \
	} while (0)
