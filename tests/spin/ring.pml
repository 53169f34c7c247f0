/* SPDX-License-Identifier: MIT */
/*
 * The ring's sleep and wake-up protocol (libpvgpu/ring/ring.h) between two sides, each of which
 * produces one stream, consumes the other, and sleeps on one doorbell for both: for records of the one
 * and for space in the other.
 *
 * Every access to shared memory is a step of its own. Stores go through a store buffer per side and
 * reach memory later: in order (x86), or with WEAK in any order between different words. A fence waits
 * for the buffer to be empty; an exchange acts on memory at once. A doorbell is a counting eventfd: a
 * sleep ends when the count is not 0 and takes it.
 *
 * Claims: nobody is left asleep (no invalid end state), and no index runs past another (assertions).
 * With DEATH one side may stop anywhere, which the other's sleep notices: it must end, too.
 *
 * The NO_... variants leave out one step each of the protocol and must be found faulty.
 */
#ifndef N0
#define N0 2	/* records from side 0 to side 1 */
#endif
#ifndef N1
#define N1 2
#endif
#ifndef CAP
#define CAP 1	/* records that a stream holds */
#endif

mtype = { PROD, CONS, SLEEPING, WAITING };

/* Memory; [i] is of the stream that side i produces. */
byte prod[2], cons[2];
bool sleeping[2];	/* its consumer sleeps */
bool waiting[2];	/* its producer waits for space */

chan buffer[2] = [2] of { mtype, byte, byte };
byte bell[2];
bool dead[2];

#define fence() empty(buffer[me])

#ifdef NO_FENCE_PUBLISH
#define fence_publish() skip
#else
#define fence_publish() fence()
#endif
#ifdef NO_FENCE_FLUSH
#define fence_flush() skip
#else
#define fence_flush() fence()
#endif
#ifdef NO_FENCE_SLEEP
#define fence_sleep() skip
#else
#define fence_sleep() fence()
#endif
#ifdef NO_FENCE_WAIT
#define fence_wait() skip
#else
#define fence_wait() fence()
#endif

inline apply(kind, at, v)
{
	if
	:: kind == PROD -> prod[at] = v
	:: kind == CONS -> cons[at] = v
	:: kind == SLEEPING -> sleeping[at] = v
	:: kind == WAITING -> waiting[at] = v
	fi
}

/* What takes a side's stores to memory; it goes on after the side's death. */
proctype drain(byte me)
{
	mtype kind;
	byte at, v;

end:	do
#ifdef WEAK
	:: atomic { buffer[me] ?? PROD, at, v -> prod[at] = v; v = 0; at = 0 }
	:: atomic { buffer[me] ?? CONS, at, v -> cons[at] = v; v = 0; at = 0 }
	:: atomic { buffer[me] ?? SLEEPING, at, v -> sleeping[at] = v; v = 0; at = 0 }
	:: atomic { buffer[me] ?? WAITING, at, v -> waiting[at] = v; v = 0; at = 0 }
#else
	:: atomic { buffer[me] ? kind, at, v -> apply(kind, at, v); kind = 0; v = 0; at = 0 }
#endif
	od
}

/* pvgpu_ring_claim(), and the doorbell if it says so. */
inline claim(flag)
{
	seen = flag;
	if
	:: seen ->
		atomic { fence() -> seen = flag; flag = false };
		if
		:: seen -> bell[you]++
		:: else
		fi
	:: else
	fi;
	seen = 0
}

inline flush()
{
	if
	:: published != got ->
		published = got;
		buffer[me] ! CONS, you, got;
		fence_flush();
		claim(waiting[you])
	:: else
	fi
}

inline produce()
{
	if
	:: sent < goal_out ->
		seen = cons[me];
		assert(seen <= sent && sent - seen <= CAP);
		if
		:: sent - seen < CAP ->
			sent++;
			some = true;
			seen = 0;
			buffer[me] ! PROD, me, sent;
			fence_publish();
			claim(sleeping[me])
		:: else -> seen = 0
		fi
	:: else
	fi
}

inline consume()
{
	if
	:: got < goal_in ->
		seen = prod[you];
		assert(seen >= got && seen - got <= CAP);
		if
		:: seen > got ->
			got++;
			some = true;
			seen = 0;
			if
			:: true -> skip		/* tell the producer later */
			:: true -> flush()
			fi
		:: else -> seen = 0
		fi
	:: else
	fi
}

/* Raise the flags, look again, sleep. */
inline doze()
{
	may = true;
	if
	:: got < goal_in ->
		buffer[me] ! SLEEPING, you, 1;
		fence_sleep();
#ifndef NO_LOOK_SLEEP
		may = (prod[you] == got)
#endif
	:: else
	fi;
	if
	:: may && sent < goal_out ->
		buffer[me] ! WAITING, me, 1;
		fence_wait();
#ifndef NO_LOOK_WAIT
		may = (sent - cons[me] == CAP)
#endif
	:: else
	fi;
	if
	:: may ->
#ifdef NO_ORDER
		bell[me] = 0;	/* between the look and the sleep */
#endif
#ifdef NO_HANGUP
		atomic { bell[me] > 0 -> bell[me] = 0 }
#else
		atomic { bell[me] > 0 || dead[you] -> bell[me] = 0 }
#endif
	:: else
	fi;
	may = false;
	if
	:: got < goal_in -> buffer[me] ! SLEEPING, you, 0
	:: else
	fi;
	if
	:: sent < goal_out -> buffer[me] ! WAITING, me, 0
	:: else
	fi
}

proctype side(byte me, you, goal_out, goal_in)
{
	byte sent, got, published, seen;
	bool some, may;

	{
	do
	:: (sent == goal_out && got == goal_in) || dead[you] -> break
	:: else ->
		some = false;
		produce();
		consume();
		if
		:: some
		:: else ->
#ifndef NO_FLUSH
			flush();
#endif
			doze()
		fi
	od;
	flush()
	} unless { dead[me] }
}

init {
	atomic {
		run drain(0);
		run drain(1);
		run side(0, 1, N0, N1);
		run side(1, 0, N1, N0)
	}
#ifdef DEATH
	dead[1] = true
#endif
}
