/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

#include "cli/run.h"

struct tty {
	int fd;
	struct termios saved;
};

struct tty *tty_raw(int fd)
{
	struct termios raw;
	struct tty *t;

	if (tcgetattr(fd, &raw) < 0)
		return NULL;
	t = malloc(sizeof(*t));
	if (!t)
		return NULL;
	*t = (struct tty){ fd, raw };
	cfmakeraw(&raw);
	raw.c_oflag |= OPOST; /* our own messages share the terminal and end in bare \n */
	tcsetattr(fd, TCSADRAIN, &raw);
	return t;
}

void tty_restore(struct tty *t)
{
	if (!t)
		return;
	tcsetattr(t->fd, TCSADRAIN, &t->saved);
	free(t);
}
