/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The handler path between hosts nobody trusts. The host carries every message, keeps copies of
 * all, delivers any of them to anyone, in any order, any number of times, and tells the handlers
 * what to do in any order. Two pages, one source, two targets launched alike (both measured, both
 * given the owner's key), two sessions.
 *
 * Shown: a target runs only with the newest contents that the source exported in that very session,
 * whatever the host does; never two guests run, on source and target or on two targets; no key and
 * nonce ever seal two different things.
 *
 * What a handler can check is what it has sealed or opened itself: session, page, epoch, manifest.
 * Each BREAK_ macro leaves one check out; the walk must find what that costs (tests/model/run).
 */

#define PAGES 2
#define TARGETS 2
#define SESSIONS 2      /* the source's INITs; 0: none */
#define EPOCHS 2

#define AT(s, p, e) (((s) * PAGES + (p)) * (EPOCHS + 1) + (e))
#define NEWEST(s, p) newest[(s) * PAGES + (p)]
#define HELD(t, p) held[(t) * PAGES + (p)]
#define CONTENT(t, p) content[(t) * PAGES + (p)]

/* The source: its guest writes one page once, and leaves the other as it is. */
byte page[PAGES] = 1;
bool source_runs = true, sealed = false;
byte session = 0, sessions = 0;
byte peer[SESSIONS + 1];        /* whose nonce the session's key was made with: target + 1 */

/* What the host has got: sealed pages by session, page, epoch (0: none), and manifests. */
byte message[18];               /* (SESSIONS + 1) * PAGES * (EPOCHS + 1) */
byte newest[6];                 /* (SESSIONS + 1) * PAGES: epochs exported so far */
bool manifest[SESSIONS + 1];

/* The targets. */
byte joined[TARGETS];           /* the source's nonce it was told; 0: none yet */
byte held[4];                   /* TARGETS * PAGES: epoch of what it holds */
byte content[4];
bool runs[TARGETS];

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

#ifdef BREAK_SEAL_TWICE
#define SEALED false
#else
#define SEALED sealed
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
	:: atomic { source_runs && page[0] < 2 -> page[0]++ }
	od
}

/* What a host may ask of the source's handler. */
active proctype source() {
	byte t, p;

end:
	do
	:: atomic { !SEALED && sessions < SESSIONS ->
		select(t : 0 .. 1);
#ifdef BREAK_NONCE_AFTER_RESET
		if
		:: sessions == 0 -> sessions++
		:: else -> NEWEST(session, 0) = 0; NEWEST(session, 1) = 0
		fi;
#else
		sessions++;
#endif
		session = sessions;
		peer[session] = t + 1; t = 0 }
	:: atomic { session > 0 && !SEALED ->
		select(p : 0 .. 1);
		if
		:: NEWEST(session, p) < EPOCHS -> export(p)
		:: else -> skip
		fi; p = 0 }
	/* The host stops the vCPUs before it asks for this, or not: after it they never run. */
	:: atomic { session > 0 && !SEALED && NEWEST(session, 0) > 0 && NEWEST(session, 1) > 0 ->
		manifest[session] = true; sealed = true;
#ifdef BREAK_SEAL_AND_GO_ON
		skip
#else
		source_runs = false
#endif
		}
	:: atomic { session > 0 && !sealed -> session = 0 }     /* ABORT, RESET, a crash */
	od
}

/* And of a target's. */
proctype target(byte t) {
	byte s, p, e;

end:
	do
	:: atomic { !runs[t] && joined[t] == 0 -> select(s : 1 .. 2); joined[t] = s; s = 0 }
	:: atomic { !runs[t] && joined[t] > 0 ->
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
	:: atomic { !runs[t] && joined[t] > 0 ->
		select(s : 1 .. 2);
		if
		:: manifest[s] && OPENS(s, t) && COMPLETE(s, t) ->
			runs[t] = true;
			assert(!source_runs);
			assert(!runs[1 - t]);
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
