/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The switch-over of doc/PROTOCOL.md sections 1 and 5, from END on: source, target, a network that
 * loses connections, processes that are killed, an operator. spin walks every interleaving.
 *
 * Shown: never two running guests; what an operator is told is true; a guest is only lost with a
 * process that was killed, or held by a target whose source could not reach it again.
 *
 * A connection is a pair of queues and a number. A cut empties the queues and raises the number; a
 * side that finds another number than its own has lost its connection. A timeout is a cut by the
 * side that waits. Each BREAK_ macro builds in a mistake that the checks must find (tests/model/run).
 */

#ifndef CUTS
#define CUTS 4
#endif

mtype = { END, READY, COMMIT, RUNNING, DONE, HELLO, REPLY, QUERY, HOLDS, RUNS, UNKNOWN_ID, ABORT };
mtype = { NOTHING, MOVED, STAYED, UNKNOWN };

chan to_target = [3] of { mtype };
chan to_source = [3] of { mtype };
byte conn = 1;          /* number of the connection; the target serves the newest */
byte cuts = CUTS;
bool up = true, network_dead = false;

bool source_alive = true, target_alive = true;
bool source_runs = false, target_runs = false;
bool given_up = false;  /* SEND_FINISH was issued: the Secure Processor will not run it here again */
bool target_holds = false, target_over = false, target_left = false;
mtype told = NOTHING;

/* For the side whose connection has the number mine. */
#define LOST (!up || conn != mine)
#define THERE (up && conn == mine)
#define GOT(q) (up && conn == mine && len(q) > 0)

/* A side has waited long enough: as a cut, and counted as one, or nobody is there to answer. */
#define TIMEOUT (THERE && (cuts > 0 || target_left))

inline give_up_waiting() {
	if
	:: cuts > 0 -> cuts--
	:: else -> skip
	fi;
	cut()
}

/* Called inside an atomic only. */
inline cut() {
	up = false;
	do
	:: len(to_target) > 0 -> to_target?_
	:: len(to_target) == 0 -> break
	od;
	do
	:: len(to_source) > 0 -> to_source?_
	:: len(to_source) == 0 -> break
	od
}

inline target_starts() {
	target_runs = true;
	target_holds = false;
	assert(!source_runs)
}

active proctype network() {
	do
	:: atomic { up && cuts > 0 -> cuts--; cut() }
	:: atomic { !network_dead && !up -> network_dead = true }
	:: break
	od
}

/* SIGKILL of either, once. */
active proctype killer() {
	if
	:: atomic { source_alive -> source_alive = false; source_runs = false; if :: up -> cut() :: else -> skip fi }
	:: atomic { target_alive ->
		target_alive = false; target_runs = false; target_holds = false; target_over = true;
		if :: up -> cut() :: else -> skip fi }
	:: skip
	fi
}

active proctype source() {
	byte mine = 1;
	mtype m;

	/* The guest is stopped, its state sent. */
	to_target!END;
	if
	:: atomic { source_alive && GOT(to_source) -> to_source?m; assert(m == READY) }
	:: atomic { LOST -> goto stays }
	:: atomic { TIMEOUT -> give_up_waiting(); goto stays }       /* no READY in time, or cancelled */
	fi;
	if
	:: skip
	:: atomic { TIMEOUT -> give_up_waiting(); goto stays }       /* cancelled before the point of no return */
	fi;
#ifdef BREAK_COMMIT_FIRST
	to_target!COMMIT;
#endif
	atomic {
		if
		:: !source_alive -> goto dead
		:: else -> given_up = true
		fi
	}
commit:
	atomic {
		if
		:: !source_alive -> goto dead
		:: LOST -> goto again
		:: else -> to_target!COMMIT
		fi
	}
	if
	:: atomic { GOT(to_source) -> to_source?m;
		if
		:: m == RUNNING -> goto moved
		:: m == ABORT -> goto unknown
		fi }
	:: LOST -> goto again
	:: atomic { TIMEOUT -> give_up_waiting(); goto again }     /* no RUNNING in time */
	fi;
again:
#ifdef BREAK_RUN_AGAIN
	goto stays;
#endif
	atomic {
		if
		:: !source_alive -> goto dead
		:: network_dead || !target_alive || target_over -> goto unknown
		:: else -> conn++; up = true; mine = conn; to_target!HELLO
		fi
	}
	if
	:: atomic { GOT(to_source) -> to_source?m;
		if
		:: m == REPLY -> to_target!QUERY
		:: m == UNKNOWN_ID || m == ABORT -> goto unknown
		fi }
	:: LOST -> goto again
	:: atomic { TIMEOUT -> give_up_waiting(); goto again }
	fi;
	if
	:: atomic { GOT(to_source) -> to_source?m;
		if
		:: m == HOLDS -> goto commit
		:: m == RUNS -> goto moved
		fi }
	:: LOST -> goto again
	:: atomic { TIMEOUT -> give_up_waiting(); goto again }
	fi;

moved:
	atomic { if :: source_alive -> told = MOVED :: else -> skip fi };
	if
	:: atomic { THERE -> to_target!DONE }
	:: else -> skip
	fi;
	goto dead;

stays:
	atomic {
		if
		:: source_alive -> source_runs = true; told = STAYED; assert(!target_runs)
#ifndef BREAK_RUN_AGAIN
			assert(!given_up)
#endif
		:: else -> goto dead
		fi
	}
	/* Tell it, best effort, on a new connection. */
	atomic {
		if
		:: !network_dead && source_alive -> conn++; up = true; mine = conn; to_target!HELLO
		:: else -> goto dead
		fi
	}
	if
	:: atomic { GOT(to_source) -> to_source?m;
		if :: m == REPLY -> to_target!ABORT :: else -> skip fi }
	:: LOST -> skip
	:: atomic { TIMEOUT -> give_up_waiting() }
	fi;
	goto dead;

unknown:
	atomic { if :: source_alive -> told = UNKNOWN; assert(given_up) :: else -> skip fi };
dead:
	skip
}

active proctype target() {
	byte mine = 1;
	mtype m;

	if
	:: atomic { GOT(to_target) -> to_target?m; assert(m == END) }
	:: LOST -> goto over            /* before END: nothing runs here */
	fi;
	atomic {
		if
		:: !target_alive -> goto over
		:: THERE -> to_source!READY; target_holds = true
		:: else -> target_holds = true
		fi
	}
#ifdef BREAK_RUN_AT_READY
	target_starts();
#endif
ready:
	if
	:: atomic { target_alive && GOT(to_target) -> to_target?m;
		if
		:: m == COMMIT -> target_starts(); to_source!RUNNING; goto running
		:: m == QUERY -> to_source!HOLDS; goto ready
		:: m == ABORT -> goto over
		fi }
	:: !target_alive -> goto over
	:: LOST -> goto held
	:: atomic { TIMEOUT -> give_up_waiting(); goto held }  /* no COMMIT in time */
	fi;
held:
	if
	:: atomic { target_alive && up && conn != mine -> mine = conn; to_target?m;
		assert(m == HELLO); to_source!REPLY; goto ready }
#ifdef BREAK_ADOPT_BY_ITSELF
	:: atomic { target_alive -> target_starts(); goto linger }
#endif
	/* The operator's word: that process is dead. */
	:: atomic { target_alive && !source_alive -> target_starts(); goto linger }
	:: !target_alive -> goto over
	:: network_dead && (told != NOTHING || !source_alive) -> goto end
	:: told == STAYED && !up -> goto end            /* its ABORT was lost: discard by hand */
	fi;
running:
	if
	:: atomic { target_alive && GOT(to_target) -> to_target?m;
		if
		:: m == COMMIT -> to_source!RUNNING; goto running
		:: m == QUERY -> to_source!RUNS; goto running
		:: m == DONE -> goto end
		fi }
	:: !target_alive -> goto over
	:: LOST -> goto linger
	fi;
linger:
	if
	:: atomic { target_alive && up && conn != mine -> mine = conn; to_target?m;
		assert(m == HELLO); to_source!REPLY; goto running }
	:: !target_alive -> goto over
	:: told != NOTHING || !source_alive || network_dead -> goto end
	fi;
over:
	atomic { target_over = true; target_holds = false };
end:
	target_left = true
}

/* When nobody does anything any more. */
active proctype verdict() {
	timeout;
	assert(!(source_runs && target_runs));
	assert(told != MOVED || target_runs || !target_alive);
	assert(told != STAYED || source_runs || !source_alive);
	/* Nobody was killed: it runs once, or it is held and the operator was told so. */
	if
	:: source_alive && target_alive ->
		assert((source_runs && !target_runs) || (target_runs && !source_runs) ||
			(told == UNKNOWN && target_holds))
	:: else -> skip
	fi
}
