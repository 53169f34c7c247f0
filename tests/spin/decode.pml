/* SPDX-License-Identifier: MIT */
/*
 * Who decodes the guest's records in a worker (worker/frame/loop.c, worker/gpu/wait/complete.c): the decoding thread, or, while that sleeps,
 * a completion thread: one that has just answered the guest, or the one that stands by for the doorbell.
 *
 * Memory is sequentially consistent here: the ring's flag and indices under other models are ring.pml's. The doorbell is a count
 * that both sleeping threads see and that either takes; a kick is a count that only the decoding thread sees.
 *
 * Claim: when no thread can go on, all records have been decoded. The NO_... variants leave out a step each and must be found
 * faulty.
 */
#ifndef EARLY
#define EARLY 1	/* records that the guest posts on its own */
#endif
#ifndef LATE
#define LATE 2	/* and those that it posts upon the answer */
#endif

byte prod, cons;	/* of the ring */
bool flag;		/* ring: the guest is to ring */
byte bell, kick;
bool lock;		/* w->decode */
bool sleeping;		/* w->sleeping: nobody decodes until there is a doorbell or a kick */
bool answered;		/* the completion thread has answered the guest */

inline take() { atomic { !lock -> lock = true } }
inline drop() { lock = false }

inline post()
{
	prod++;
	/* The guest clears the flag and rings in one exchange. */
	atomic {
		if
		:: flag -> flag = false; bell++
		:: else
		fi
	}
}

/* All records that are there. */
inline decode_all()
{
	do
	:: cons < prod -> cons++
	:: else -> break
	od
}

/* ok: there is nothing to do, and the guest will ring. */
inline sleep_begin(ok)
{
	flag = true;
#ifdef NO_LOOK
	ok = true;
#else
	ok = prod == cons;
#endif
	sleeping = true
}

inline sleep_end()
{
	sleeping = false;
	flag = false
}

proctype guest()
{
	byte n;

	for (n : 1 .. EARLY) {
		post()
	}
	answered;
	for (n : 1 .. LATE) {
		post()
	}
}

proctype decoding_thread()
{
	bool ok;

	take();
	do
	:: decode_all();
	   sleep_begin(ok);
	   if
	   :: ok ->
		drop();
end_asleep:	bell > 0 || kick > 0;
		take();
		if
		:: sleeping -> sleep_end()
		:: else
		fi;
		bell = 0;
		kick = 0
	   :: else -> sleep_end()
	   fi
	od
}

/* With the lock taken and the role: decode, and give the role back. */
inline in_its_place()
{
	decode_all();
	sleep_begin(fine);
	if
	:: fine
#ifndef NO_KICK_AFTER
	:: !fine -> kick++
#else
	:: !fine
#endif
	fi;
	drop()
}

/* worker_decode_begin() before the answer, worker_decode() behind it. */
proctype answering_thread()
{
	bool fine, mine;

	atomic {
		if
		:: !lock -> lock = true; mine = true
		:: else
		fi
	}
	if
	:: mine && sleeping -> sleep_end()
	:: mine && !sleeping -> drop(); mine = false
	:: else
	fi;
	answered = true;
	if
	:: mine -> in_its_place()
	:: else
	fi
}

/* worker_stand_by() */
proctype standing_thread()
{
	bool fine, mine;

end_asleep:
	do
	:: bell > 0 ->
		bell = 0;
		mine = false;
		atomic {
			if
			:: !lock -> lock = true; mine = true
			:: else
			fi
		}
		if
		:: !mine ->
#ifndef NO_KICK_BUSY
			kick++
#else
			skip
#endif
		/* was_rung_for(): the flag is down, or there is something to do. */
#ifndef NO_FLAG
		:: mine && sleeping && (!flag || prod != cons) ->
#else
		:: mine && sleeping && prod != cons ->
#endif
			sleep_end();
			in_its_place()
		:: else -> drop()
		fi
	od
}

active proctype all_is_decoded()
{
	timeout -> assert(prod == EARLY + LATE && cons == prod);
	/* The next record will be heard, too: the guest rings, and somebody listens. */
	assert(flag)
}

init {
	atomic {
		run guest();
		run decoding_thread();
		run answering_thread();
		run standing_thread()
	}
}
