/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The handler path (doc/HANDLER.md) between hosts nobody trusts. They carry every message, keep
 * copies of all, deliver any to any handler in any order any number of times, and give commands in
 * any order. Two pages, one source, two targets launched alike (both measured, both with the
 * owner's key), two sessions.
 *
 * Shown: a target is released only with the newest contents that the source exported in that very
 * session; never while the source is not given up, never two; the source is given up only for a
 * target that has everything; no key and nonce ever seal two different things.
 *
 * What a handler can check is what it sealed or opened itself. Each BREAK_ macro leaves one check
 * out, and the walk must find what that costs (tests/model/run).
 */

#define PAGES 2
#define SESSIONS 2      /* the source's INITs; session 0: none */
#define EPOCHS 2

#define AT(s, p, e) (((s) * PAGES + (p)) * (EPOCHS + 1) + (e))
#define NEWEST(s, p) newest[(s) * PAGES + (p)]
#define HELD(t, p) held[(t) * PAGES + (p)]
#define CONTENT(t, p) content[(t) * PAGES + (p)]

mtype = { IDLE, SENDING, FROZEN, SEALED, TAKING, VERIFIED, RELEASED };

/* The source. Its guest writes one page once, and leaves the other as it is. */
byte page[PAGES] = 1;
mtype source_state = IDLE;
byte session = 0, sessions = 0;
byte peer[3];           /* by session: whose nonce its key was made with, target + 1 */

/* What the hosts have got: by session, page and epoch the contents (0: none), and the records. */
byte message[18];       /* (SESSIONS + 1) * PAGES * (EPOCHS + 1) */
byte newest[6];         /* (SESSIONS + 1) * PAGES: how often a page was exported */
bool manifest[3], receipt[3], release[3];

/* The targets. */
mtype target_state[2] = IDLE;
byte joined[2];         /* the source's nonce it was told, that is the session */
byte held[4], content[4];

#define GUEST_STAYS (source_state != SEALED)

/* Does what was sealed in session s open in target t? Its key is made from both nonces. */
#ifdef BREAK_KEY_WITHOUT_NONCES
#define OPENS(s, t) true
#else
#define OPENS(s, t) (joined[t] == (s) && peer[s] == (t) + 1)
#endif

#ifdef BREAK_NO_MANIFEST
#define COMPLETE(s, t) true
#else
#define COMPLETE(s, t) (HELD(t, 0) == NEWEST(s, 0) && HELD(t, 1) == NEWEST(s, 1))
#endif

#ifdef BREAK_EXPORT_WHEN_FROZEN
#define MAY_EXPORT (source_state == SENDING || source_state == FROZEN)
#else
#define MAY_EXPORT (source_state == SENDING)
#endif

#ifdef BREAK_SEAL_WITHOUT_RECEIPT
#define MAY_SEAL (source_state == FROZEN)
#else
#define MAY_SEAL (source_state == FROZEN && receipt[session])
#endif

#ifdef BREAK_RESET_AFTER_SEAL
#define MAY_RESET true
#else
#define MAY_RESET (source_state != SEALED)
#endif

#ifdef BREAK_RELEASE_WHEN_VERIFIED
#define MAY_RELEASE(s, t) (target_state[t] == VERIFIED)
#else
#define MAY_RELEASE(s, t) (target_state[t] == VERIFIED && release[s] && OPENS(s, t))
#endif

inline export(p) {
	byte e;

	e = NEWEST(session, p) + 1;
	assert(message[AT(session, p, e)] == 0 || message[AT(session, p, e)] == page[p]);
	message[AT(session, p, e)] = page[p];
	NEWEST(session, p) = e;
	e = 0
}

active proctype guest() {
end:
	do
	:: atomic { GUEST_STAYS && page[0] < 2 -> page[0]++ }
	od
}

active proctype source() {
	byte t, p;

end:
	do
	/* INIT and START: a nonce of its own, fresh each time, and that of a target. */
	:: atomic { source_state == IDLE && sessions < SESSIONS ->
		select(t : 0 .. 1);
#ifdef BREAK_NONCE_AFTER_RESET
		if
		:: sessions == 0 -> sessions++
		:: else -> NEWEST(1, 0) = 0; NEWEST(1, 1) = 0
		fi;
#else
		sessions++;
#endif
		session = sessions; peer[session] = t + 1; source_state = SENDING; t = 0 }
	:: atomic { MAY_EXPORT ->
		select(p : 0 .. 1);
		if
		:: NEWEST(session, p) < EPOCHS -> export(p)
		:: else -> skip
		fi;
		p = 0 }
	:: atomic { source_state == SENDING && NEWEST(session, 0) > 0 && NEWEST(session, 1) > 0 ->
		manifest[session] = true; source_state = FROZEN }
	:: atomic { MAY_SEAL ->
		assert((target_state[0] == VERIFIED && OPENS(session, 0)) ||
			(target_state[1] == VERIFIED && OPENS(session, 1)));
		release[session] = true; source_state = SEALED }
	/* ABORT, RESET, a crash. */
	:: atomic { MAY_RESET && source_state != IDLE -> session = 0; source_state = IDLE }
	od
}

proctype target(byte t) {
	byte s, p, e;

end:
	do
	:: atomic { target_state[t] == IDLE ->
		select(s : 1 .. 2); joined[t] = s; target_state[t] = TAKING; s = 0 }
	:: atomic { target_state[t] == TAKING ->
		select(s : 1 .. 2); select(p : 0 .. 1); select(e : 1 .. 2);
		if
		:: message[AT(s, p, e)] > 0 && OPENS(s, t) ->
			if
			:: e > HELD(t, p) -> HELD(t, p) = e; CONTENT(t, p) = message[AT(s, p, e)]
#ifdef BREAK_REPLAY
			:: e <= HELD(t, p) -> CONTENT(t, p) = message[AT(s, p, e)]
#endif
			:: else -> skip
			fi
		:: else -> skip
		fi;
		s = 0; p = 0; e = 0 }
	:: atomic { target_state[t] == TAKING ->
		select(s : 1 .. 2);
		if
		:: manifest[s] && OPENS(s, t) && COMPLETE(s, t) ->
			receipt[s] = true; target_state[t] = VERIFIED
		:: else -> skip
		fi;
		s = 0 }
	:: atomic { target_state[t] == VERIFIED ->
		select(s : 1 .. 2);
		if
		:: MAY_RELEASE(s, t) ->
			target_state[t] = RELEASED;
			assert(!GUEST_STAYS);
			assert(target_state[1 - t] != RELEASED);
			assert(CONTENT(t, 0) == message[AT(s, 0, NEWEST(s, 0))]);
			assert(CONTENT(t, 1) == message[AT(s, 1, NEWEST(s, 1))])
		:: else -> skip
		fi;
		s = 0 }
	od
}

init {
	atomic { run target(0); run target(1) }
}
