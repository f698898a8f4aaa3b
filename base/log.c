/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char *debug_components;
static enum log_level level_max = LOG_INFO;

static const char *const level_names[] = {
	[LOG_ERR] = "error",
	[LOG_WARN] = "warn",
	[LOG_INFO] = "info",
	[LOG_DEBUG] = "debug",
};

void log_debug_enable(const char *components)
{
	debug_components = components;
}

void log_level_set(enum log_level max)
{
	level_max = max;
}

bool log_debug_on(const char *component)
{
	size_t n = strlen(component);

	for (const char *p = debug_components; p && *p;) {
		size_t len = strcspn(p, ",");

		if ((len == n && strncmp(p, component, n) == 0) ||
		    (len == 3 && strncmp(p, "all", 3) == 0))
			return true;
		p += len + (p[len] == ',');
	}
	return false;
}

void log_msg(enum log_level level, const char *component, const char *fmt, ...)
{
	char line[1024];
	va_list ap;
	int n, m;

	if (level != LOG_DEBUG && level > level_max)
		return;
	n = snprintf(line, sizeof(line), "sevmig: %s: %s: ", level_names[level], component);
	va_start(ap, fmt);
	m = vsnprintf(line + n, sizeof(line) - (size_t)n - 1, fmt, ap);
	va_end(ap);
	if (m < 0)
		return;
	n += m;
	if ((size_t)n > sizeof(line) - 2)
		n = (int)sizeof(line) - 2;
	line[n++] = '\n';
	if (write(STDERR_FILENO, line, (size_t)n) < 0)
		return; /* nowhere left to say it */
}
