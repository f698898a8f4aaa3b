/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What the control socket says, as JSON built from plain structs. Field names and values are QEMU's
 * where they mean the same; what QEMU has no word for stands under "x-sevmig". The caller owns
 * what these return; NULL means no memory.
 */

#include <jansson.h>

#include "base/err.h"
#include "control/control.h"

json_t *control_greeting_json(void);
json_t *control_version_json(void);
json_t *control_commands_json(void);
json_t *control_status_json(const struct control_state *s);
json_t *control_migrate_json(const struct control_state *s);
json_t *control_sev_json(const struct control_state *s);
json_t *control_measure_json(const struct control_state *s);

/* Takes value; id is borrowed and may be NULL. */
json_t *control_return_json(json_t *value, json_t *id);
json_t *control_error_json(const struct err *e, json_t *id);
/* Takes data, which may be NULL. */
json_t *control_event_json(const char *name, json_t *data);

/* QEMU's words: "running", "inmigrate"...; "active", "completed"... */
const char *control_run_state(const struct control_state *s);
const char *control_migration_status(const struct control_state *s);
