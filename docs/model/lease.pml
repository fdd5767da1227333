/*
 * The quorum lease (R6), its gate (R7) and the hand-over between holders (R4):
 * 3 voters, 2 candidates. README.md says what is modelled and what is not, and
 * has the mutants, which are the #ifdefs below; check.sh runs them all.
 *
 * Every process below is one loop without memory of its own, whose branches are
 * the atomic steps of the protocol; all state is in the arrays. Time is a Clock
 * that ticks when it likes, so that any process may stand still between any two
 * of its steps for as long as it likes: a pause needs no step of its own.
 *
 * The network is the list of everything that was ever sent. A voter may process
 * a message at any time later, in any order, again, or never; that is delay
 * without bound, reordering, duplication and loss.
 */

#define VOTERS   3
#define MAJORITY 2

/* Messages (requests and releases) that the candidates send in their first life,
 * and in the one after a death; at most 3. */
#ifndef SENDS0
#define SENDS0 3
#endif
#ifndef SENDS1
#define SENDS1 2
#endif
#ifndef SENDS2
#define SENDS2 1
#endif
#ifndef DEATHS
#define DEATHS 0        /* candidates that may die, once each: 0 to 2 */
#endif

/* The lease of a revision, in ticks of a voter; two revisions differ in it. */
#ifdef LEASES
#define LONG  3
#define SHORT 2
#else
#define LONG  2
#define SHORT 2
#endif

/* What a holder may count of a lease: 0.85 L - 20 ms becomes one tick less. A
 * holder's clock loses at most one tick in LONG (see Clock). */
#ifdef NO_MARGIN
#define HOLD(l) (l)
#else
#define HOLD(l) ((l) - 1)
#endif

/* How long a voter keeps a unit for the successor that a release named. */
#define RESERVE 1

/* A message: kind and ballot. 0 is one not sent yet. */
#define REQUEST_SHORT 1
#define REQUEST_LONG  2
#define RELEASE       3 /* for anybody */
#define HANDOVER      4 /* a release that names the other candidate */
#define MESSAGE(kind, ballot) ((kind) + 8 * (ballot))
#define KIND(m)   ((m) % 8)
#define BALLOT(m) ((m) / 8)

/* What a voter has given away: to nobody, to nobody yet because its memory was
 * lost, to a successor that has still to ask, or to one life of a candidate. */
#define FREE           0
#define QUARANTINE     1
#define RESERVED(c)    (2 + (c))
#define GRANTED(c, l)  (4 + 2 * (c) + (l))

typedef Voter {
	byte owner;
	byte ballot;    /* of the grant */
	byte left;      /* ticks until owner becomes FREE */
	byte seen[4];   /* highest sequence granted or voided, of each life (LIFE) */
	bit  answered[2] /* candidate's request in hand was granted: an answer is under way */
}
#define LIFE(c, l) (2 * (c) + (l))

typedef Life {
	byte sent;          /* sequence of the last message */
	byte message[3] /* by sequence - 1 */
}

#define IDLE    0
#define ASKING  1       /* asks, and has not opened the gate in this tenure */
#define HOLDING 2       /* has opened it */
#define CLOSED  3       /* has closed it, to release */
#define DEAD    4       /* the worker; its supervisor may still act */

typedef Candidate {
	byte phase;
	byte life;      /* boot id: 0, 1 */
	byte ballot;
	byte request;   /* ticks until a lease by the request in hand would end */
	byte lease;     /* ticks until the lease that it has ends: decided, not yet acted on */
	byte gate;      /* ticks until the kernel closes the gate */
	byte steady     /* ticks that its clock has to count before it may lose one again */
}

Voter     voter[VOTERS];
Candidate cand[2];
Life      sent[4];
byte tmp;

#define SENT(c)      sent[LIFE(c, cand[c].life)]
#define LIMIT(c)     (cand[c].life == 1 -> SENDS2 : (c == 0 -> SENDS0 : SENDS1))
#define ANSWERS(c)   (voter[0].answered[c] + voter[1].answered[c] + voter[2].answered[c])

/* The lease is kept apart from the gate: who has one believes to be the holder,
 * though a pause keeps it from opening. */
#ifdef RELATIVE
#define HOLDS(c) (cand[c].gate > 0)
#else
#define HOLDS(c) (cand[c].gate > 0 || cand[c].lease > 0)
#endif

/* Voters differ in nothing but what they remember, so states that differ only in
 * their order are one. */
#define KEY(v) \
	((((((((voter[v].owner * 4 + voter[v].left) * 4 + voter[v].ballot) * 4 + \
	voter[v].seen[0]) * 4 + voter[v].seen[1]) * 4 + voter[v].seen[2]) * 4 + voter[v].seen[3]) * 2 + \
	voter[v].answered[0]) * 2 + voter[v].answered[1])

#define SWAP(field) tmp = voter[v].field; voter[v].field = voter[w].field; voter[w].field = tmp

inline order(v, w) {
	if
	:: KEY(v) > KEY(w) ->
		SWAP(owner);
		SWAP(left);
		SWAP(ballot);
		SWAP(seen[0]);
		SWAP(seen[1]);
		SWAP(seen[2]);
		SWAP(seen[3]);
		SWAP(answered[0]);
		SWAP(answered[1])
	:: else
	fi
}

inline sort() {
	order(0, 1);
	order(1, 2);
	order(0, 1);
	tmp = 0
}

inline check() {
	assert(!(HOLDS(0) && HOLDS(1)))
}

/* ------------------------------------------------------------------ voter */

#define IS_REQUEST(m) (KIND(m) == REQUEST_SHORT || KIND(m) == REQUEST_LONG)
#define IS_RELEASE(m) (KIND(m) == RELEASE || KIND(m) == HANDOVER)
#define LEASE(m)      (KIND(m) == REQUEST_LONG -> LONG : SHORT)
#define MSG(c, l, s)  sent[LIFE(c, l)].message[(s) - 1]

/* R6a: no unexpired grant for another life, and a sequence above all seen. */
#ifdef NO_SEQUENCE
#define NEW(v, c, l, s) true
#else
#define NEW(v, c, l, s) ((s) > voter[v].seen[LIFE(c, l)])
#endif
#define GRANTABLE(v, c, l, s) \
	(IS_REQUEST(MSG(c, l, s)) && NEW(v, c, l, s) && \
	(voter[v].owner == FREE || voter[v].owner == RESERVED(c) || voter[v].owner == GRANTED(c, l)))

/* The answer repeats the request: only one to the request in hand counts. */
#ifdef MIXED
#define ANSWERS_HAND(c, l, s) ((l) == cand[c].life && BALLOT(MSG(c, l, s)) == cand[c].ballot)
#else
#define ANSWERS_HAND(c, l, s) ((l) == cand[c].life && (s) == SENT(c).sent)
#endif

/* for the request's L, and never shorter than what an earlier one was promised */
#ifdef OWN_LEASE
#define GRANT_FOR(v, m) SHORT
#else
#ifdef SHRINK
#define GRANT_FOR(v, m) LEASE(m)
#else
#define GRANT_FOR(v, m) (voter[v].owner >= GRANTED(0, 0) && voter[v].left > LEASE(m) -> voter[v].left : LEASE(m))
#endif
#endif

inline grant(v, c, l, s) {
	d_step {
		GRANTABLE(v, c, l, s) ->
		printf("a voter grants message %d of candidate %d, life %d\n", s, c, l);
		voter[v].left = GRANT_FOR(v, MSG(c, l, s));
		voter[v].owner = GRANTED(c, l);
		voter[v].ballot = BALLOT(MSG(c, l, s));
		voter[v].seen[LIFE(c, l)] = s;
		if
		:: cand[c].request > 0 && ANSWERS_HAND(c, l, s) -> voter[v].answered[c] = 1
		:: else
		fi;
		sort()
	}
}

/* R6c: frees the grant with its ballot only, and voids what came before it. */
#ifdef NO_BALLOT
#define FREES(v, c, l, s) (voter[v].owner == GRANTED(c, l))
#elif defined NO_LIFE
#define FREES(v, c, l, s) \
	((voter[v].owner == GRANTED(c, 0) || voter[v].owner == GRANTED(c, 1)) && \
	voter[v].ballot == BALLOT(MSG(c, l, s)))
#else
#define FREES(v, c, l, s) (voter[v].owner == GRANTED(c, l) && voter[v].ballot == BALLOT(MSG(c, l, s)))
#endif

inline free(v, c, l, s) {
	d_step {
		IS_RELEASE(MSG(c, l, s)) && (FREES(v, c, l, s) || (s) > voter[v].seen[LIFE(c, l)]) ->
		printf("a voter hears the release, message %d of candidate %d, life %d\n", s, c, l);
		if
		:: FREES(v, c, l, s) && KIND(MSG(c, l, s)) == HANDOVER ->
			voter[v].owner = RESERVED(1 - (c));
			voter[v].left = RESERVE;
			voter[v].ballot = 0
		:: FREES(v, c, l, s) && KIND(MSG(c, l, s)) == RELEASE ->
			voter[v].owner = FREE;
			voter[v].left = 0;
			voter[v].ballot = 0
		:: else
		fi;
		if
		:: (s) > voter[v].seen[LIFE(c, l)] -> voter[v].seen[LIFE(c, l)] = s
		:: else
		fi;
		sort()
	}
}

/* What is kept of a grant's time. */
#ifdef KEPT_SHORT
#define KEPT_LESS 1
#else
#define KEPT_LESS 0
#endif

inline forgotten(v) {
	voter[v].ballot = 0;
	voter[v].seen[0] = 0;
	voter[v].seen[1] = 0;
	voter[v].seen[2] = 0;
	voter[v].seen[3] = 0;
	sort()
}

/* R6d: crash and restart; the answers that it gave are still under way. The voter's
 * machine or supervisor has gone as well, so that nothing is known of its grants. */
inline forget(v) {
	d_step {
		voter[v].owner != QUARANTINE || voter[v].left < LONG ->
		printf("a voter loses its memory; it had granted to %d (GRANTED)\n", voter[v].owner);
#ifdef NO_QUARANTINE
		voter[v].owner = FREE;
		voter[v].left = 0;
#else
		voter[v].owner = QUARANTINE;
#ifdef OWN_QUARANTINE
		voter[v].left = SHORT;
#else
		voter[v].left = LONG;
#endif
#endif
		forgotten(v)
	}
}

/* The same for a worker alone: its supervisor has kept when the last grant ends, and
 * nothing else. A unit that was given back or reserved counts as free at once, though
 * the supervisor may make it wait. */
inline forgetWorker(v) {
	d_step {
		true ->
		printf("the worker of a voter dies; it had granted to %d (GRANTED)\n", voter[v].owner);
		if
		:: voter[v].owner >= GRANTED(0, 0) && voter[v].left > KEPT_LESS ->
			voter[v].owner = QUARANTINE;
			voter[v].left = voter[v].left - KEPT_LESS
		:: voter[v].owner == QUARANTINE
		:: else -> voter[v].owner = FREE; voter[v].left = 0
		fi;
		forgotten(v)
	}
}

/* One line for each message of one life. */
#define LISTEN(v, c, l) \
	:: grant(v, c, l, 1) :: grant(v, c, l, 2) :: grant(v, c, l, 3) \
	:: free(v, c, l, 2) :: free(v, c, l, 3)

proctype Listener(byte v) {
	do
	LISTEN(v, 0, 0)
	LISTEN(v, 0, 1)
	LISTEN(v, 1, 0)
	LISTEN(v, 1, 1)
	:: forget(v)
	:: forgetWorker(v)
	od
}

/* -------------------------------------------------------------- candidate */

inline forgetAnswers(c) {
	voter[0].answered[c] = 0;
	voter[1].answered[c] = 0;
	voter[2].answered[c] = 0;
	sort()
}

inline send(c, kind) {
	SENT(c).message[SENT(c).sent] = MESSAGE(kind, cand[c].ballot);
	SENT(c).sent++
}

#define ACTIVE(c) (cand[c].phase == ASKING || cand[c].phase == HOLDING)

/* A lapsed gate is a lost tenure (R7): nothing but a release may follow. */
#define LAPSED(c) (cand[c].phase == HOLDING && cand[c].gate == 0)

/* R6b: the clock is read before the request is built; what passes until a voter
 * has it is the network's delay. */
inline ask(c, kind, span) {
	d_step {
		(cand[c].phase == IDLE || (ACTIVE(c) && !LAPSED(c))) && SENT(c).sent < LIMIT(c) ->
		printf("candidate %d asks for a lease of %d, message %d\n", c, span, SENT(c).sent + 1);
		if
		:: cand[c].phase == IDLE ->
			cand[c].ballot++;
			cand[c].phase = ASKING;
			forgetAnswers(c)
		:: else ->
#ifndef MIXED
			forgetAnswers(c)
#endif
		fi;
		cand[c].request = HOLD(span);
		send(c, kind)
	}
}

/* The lease holds when a majority has answered this request. */
inline decide(c) {
	d_step {
		ACTIVE(c) && !LAPSED(c) && cand[c].request > cand[c].lease && ANSWERS(c) >= MAJORITY ->
		printf("candidate %d has a majority\n", c);
#ifdef LATE_CLOCK
		cand[c].lease = HOLD(LONG);
#else
		cand[c].lease = cand[c].request;
#endif
		check()
	}
}

/* The engine stores the absolute deadline, at some time after the decision. */
#ifdef UNREAPED
#define MAY_OPEN(c) (cand[c].phase == DEAD || (ACTIVE(c) && !LAPSED(c)))
#else
#define MAY_OPEN(c) (ACTIVE(c) && !LAPSED(c))
#endif

inline open(c) {
	d_step {
		MAY_OPEN(c) && cand[c].lease > cand[c].gate ->
		printf("candidate %d: the gate is open for %d more ticks of its clock\n", c, cand[c].lease);
		cand[c].gate = cand[c].lease;
#ifdef RELATIVE
		cand[c].lease = 0;
#endif
		if
		:: cand[c].phase == ASKING -> cand[c].phase = HOLDING
		:: else
		fi;
		check()
	}
}

/* The first half of a release: close, and read back. A hand-over is asked for by
 * a request that the holder may follow at any time, so it is not modelled apart. */
inline close(c) {
	d_step {
		ACTIVE(c) && SENT(c).sent < LIMIT(c) ->
		printf("candidate %d closes its gate\n", c);
		cand[c].gate = 0;
		cand[c].lease = 0;
		cand[c].request = 0;
		forgetAnswers(c);
		cand[c].phase = CLOSED
	}
}

#ifdef RELEASE_FIRST
#define MAY_RELEASE(c) (cand[c].phase == CLOSED || cand[c].phase == HOLDING)
#else
#define MAY_RELEASE(c) (cand[c].phase == CLOSED)
#endif

inline release(c, kind) {
	d_step {
		MAY_RELEASE(c) && SENT(c).sent < LIMIT(c) ->
		printf("candidate %d releases, message %d\n", c, SENT(c).sent + 1);
		send(c, kind);
		cand[c].lease = 0;
		cand[c].request = 0;
		forgetAnswers(c);
		cand[c].phase = IDLE
	}
}

/* The worker dies; the gate outlives it. */
inline die(c) {
	d_step {
		c < DEATHS && cand[c].phase != DEAD && cand[c].life == 0 && SENT(c).sent > 0 ->
		printf("candidate %d: the worker dies\n", c);
		cand[c].phase = DEAD;
		cand[c].request = 0;
#ifndef UNREAPED
		cand[c].lease = 0;
#endif
		forgetAnswers(c)
	}
}

/* Its last will (R7c): the supervisor closes the gate, and then releases. A
 * ballot of 0 says that the will has been carried out. */
inline closeForDead(c) {
	d_step {
		cand[c].phase == DEAD && cand[c].gate > 0 ->
		printf("candidate %d: the supervisor closes the gate\n", c);
		cand[c].gate = 0
	}
}

inline releaseForDead(c) {
	d_step {
		cand[c].phase == DEAD && cand[c].gate == 0 && cand[c].ballot > 0 && SENT(c).sent < LIMIT(c) ->
		printf("candidate %d: the supervisor releases, message %d\n", c, SENT(c).sent + 1);
		send(c, RELEASE);
		cand[c].ballot = 0
	}
}

/* The next life has another boot id, removes what the last one left, and begins. */
inline restart(c) {
	d_step {
		cand[c].phase == DEAD ->
		printf("candidate %d: the next life begins\n", c);
		cand[c].gate = 0;
		cand[c].lease = 0;
		cand[c].ballot = 0;
		cand[c].life = 1;
		cand[c].phase = IDLE
	}
}

proctype Worker(byte c) {
	do
#ifdef LEASES
	:: ask(c, REQUEST_SHORT, SHORT)
#endif
	:: ask(c, REQUEST_LONG, LONG)
	:: decide(c)
	:: open(c)
	:: close(c)
	:: release(c, RELEASE)
#ifdef HANDOVERS
	:: release(c, HANDOVER)
#endif
	:: die(c)
	:: closeForDead(c)
	:: releaseForDead(c)
	:: restart(c)
	od
}

/* ------------------------------------------------------------------- time */

inline count(n) {
	if
	:: n > 0 -> n--
	:: else
	fi
}

inline age(v) {
	count(voter[v].left);
	if
	:: voter[v].left == 0 -> voter[v].owner = FREE; voter[v].ballot = 0
	:: else
	fi
}

#define RUNNING(c) (cand[c].request > 0 || cand[c].lease > 0 || cand[c].gate > 0)

/* A candidate's clock loses at most one of LONG ticks. */
inline pass(c, lost) {
	if
	:: lost -> cand[c].steady = LONG - 1
	:: else ->
		count(cand[c].request);
#ifndef RELATIVE
		count(cand[c].lease);
#endif
		count(cand[c].gate);
		count(cand[c].steady)
	fi;
	if
	:: cand[c].request == 0 -> forgetAnswers(c)
	:: else
	fi;
	if
	:: !RUNNING(c) -> cand[c].steady = 0
	:: else
	fi
}

#define MAY_LOSE(c) (RUNNING(c) && cand[c].steady == 0)

inline tick(lost0, lost1) {
	d_step {
		(!(lost0) || MAY_LOSE(0)) && (!(lost1) || MAY_LOSE(1)) ->
		printf("a tick, lost by candidate 0: %d, by candidate 1: %d\n", lost0, lost1);
		age(0); age(1); age(2);
		pass(0, lost0);
		pass(1, lost1);
		sort()
	}
}

proctype Clock() {
	do
	:: tick(false, false)
	:: tick(true, false)
	:: tick(false, true)
	:: tick(true, true)
	od
}

init {
	atomic {
		run Clock();
		run Listener(0); run Listener(1); run Listener(2);
		run Worker(0); run Worker(1)
	}
}
