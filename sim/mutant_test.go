package sim

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// mutant is one guard taken out. Those of the engine are in the simulator's model of it.
type mutant struct {
	name     string
	file     string // in splitbrain; with a slash, from the root
	old, new string
	// The test that fails without the guard: one of splitbrain, or a scenario. Which
	// random schedules would find it shifts with whatever changes elsewhere.
	finder string
}

var mutants = []mutant{
	{"a fresh claim holds nobody (R1)", "hold.go",
		"	if d.news(until, rank) && (rank",
		"	if false && d.news(until, rank) && (rank",
		"TestBackupIsHeldByAFreshClaim"},
	{"what a member says anew is taken for a repetition (R0)", "table.go",
		"&& c.repeats(&h.Claim)",
		"|| c.repeats(&h.Claim)",
		"sim.TestF12FaultOfTheHolderIsFollowedAtOnce"},
	{"a hold runs out while its holder lives (R1)", "calm.go",
		"	return d.Now.Before(due)\n",
		"	return true\n",
		"TestRepeatedClaimsProlongAHoldOnceASecond"},
	{"claims count for three heartbeats only (R0)", "unit.go",
		"return max(3*heartbeat, k+k/10+20*time.Millisecond)",
		"return max(3*heartbeat, 0*k)",
		"TestBackupIsHeldByAFreshClaim"},
	{"present priorities decide (R2)", "conflict.go",
		"return outranks(mine.Priority, mine.Primary, theirs.Priority, theirs.Primary)",
		"return outranks(d.Unit.Priority, mine.Primary, p.Claim.Priority, theirs.Primary)",
		"TestConflictIsSettledByTheTenures"},
	{"nobody yields (R2)", "conflict.go",
		"		if d.wins(p) {\n			return",
		"		if true || d.wins(p) {\n			return",
		"TestConflictIsSettledByTheTenures"},
	{"an old acknowledgement counts (R2)", "conflict.go",
		"p.Knows >= d.First && d.twoWay(p) {",
		"p.Knows >= d.First {",
		"TestConflictIsSettledByTheTenures"},
	{"an address may be in two units (R0)", "hold.go",
		"	if e == nil {",
		"	if true || e == nil {",
		"TestAddressHeldInAnotherUnitHoldsThisOne"},
	{"one way is no conflict (R2)", "conflict.go",
		"	if d.twoWay(p) {\n		return\n	}\n	stood",
		"	if true || d.twoWay(p) {\n		return\n	}\n	stood",
		"TestOneWayClaimWithADeadPathMakesNobodyYield"},
	{"a claim is not answered (R0)", "receive.go",
		"	if u.view.State != Master || h.State != Master {\n		return",
		"	if true || u.view.State != Master || h.State != Master {\n		return",
		"sim.TestF7ConflictEndsAtTheHeal"},
	{"records are not relayed (R0)", "table.go",
		"if to == author || to.boot == 0",
		"if true || to == author || to.boot == 0",
		"TestRelayIsForWhoDoesNotHearTheAuthor"},
	{"records may be repeated (R0)", "table.go",
		"	case r.Seq < m.seq, r.Seq == m.seq && m.parts.has(r.Part):",
		"	case r.Seq == m.seq && m.parts.has(r.Part):",
		"TestTableTakesARecordOnce"},
	{"an earlier life counts (R0)", "table.go",
		"	if slices.Contains(m.retired, d.Record.Boot) {\n		return false",
		"	if slices.Contains(m.retired, d.Record.Boot) {\n		return true",
		"TestWordsOfAnEarlierLifeAreDropped"},
	{"a release is not waited for (R4)", "handover.go",
		"c.State == Master || !c.Released ||",
		"c.State == Master ||",
		"TestRequesterTakesOverOnlyByAMatchingYoungAnswer"},
	{"answers never grow old (R4)", "handover.go",
		"if !ok || d.Now.Sub(at) >= c.Reserved.Span*8/10 {",
		"if !ok {",
		"TestRequesterTakesOverOnlyByAMatchingYoungAnswer"},
	{"a request may end any tenure (R4)", "handover.go",
		"		if r.Tenure != own || m.yielding == own.Seq {",
		"		if m.yielding == own.Seq {",
		"TestHolderHandsOverToWhoAsks"},
	{"a reservation binds nobody (R4)", "hold.go",
		"		if d.Now.Before(free) {",
		"		if false && d.Now.Before(free) {",
		"TestRequesterTakesOverOnlyByAMatchingYoungAnswer"},
	{"a release is not followed (R9)", "hold.go",
		"if former == nil || m.acted == m.holder {",
		"if true || former == nil || m.acted == m.holder {",
		"TestReleaseStartsTheOrderOfSuccession"},
	{"everybody is first in order (R9)", "decide.go",
		"	return time.Duration(better) * d.step()",
		"	return time.Duration(0*better) * d.step()",
		"TestReleaseStartsTheOrderOfSuccession"},
	{"ranks are counted from one's own lapse (R9)", "hold.go",
		"	until = later(until, d.lapsesForBetter(holder))\n",
		"	until = later(until, time.Time{})\n",
		"TestRanksAreCountedFromTheLapseForTheBetterOne"},
	{"single adverts are no evidence (R10)", "channels.go",
		"	if ev.Refused == \"\" {",
		"	if false && ev.Refused == \"\" {",
		"TestAdvertsTellABlockedMeshFromADeath"},
	{"adverts of members decide (R2)", "decide.go",
		"	return d.allied(p) && (d.Unit.Policy == PolicyQuorum || d.twoWay(p))",
		"	return false && d.allied(p)",
		"TestMembersAreThoseInTwoWayContactUnderTheSamePolicy"},
	{"a lease lasts as long as it was granted (R6b)", "internal/rules/rules.go",
		"lease*85/100 - LeaseMargin",
		"lease - 0*LeaseMargin",
		"TestTheMarginOfALeaseIsEnoughForTheClocks"},
	{"a gate closes at once (R6b)", "internal/rules/rules.go",
		"lease*85/100 - LeaseMargin",
		"lease*85/100 - 0*LeaseMargin",
		"TestTheMarginOfALeaseIsEnoughForTheClocks"},
	{"answers to another ballot count (R6c)", "lease_holder.go",
		"if h.ballot == 0 || g.Ballot != h.ballot ||",
		"if h.ballot == 0 ||",
		"TestAnswersToAnEarlierBallotCountForNothing"},
	{"a release frees any grant of its life (R6c)", "lease_voter.go",
		"if b.grant.owner == from && b.grant.ballot == r.Ballot && now",
		"if b.grant.owner == from && now",
		"TestAReleaseFreesOnlyTheGrantWithItsBallot"},
	{"a release voids nothing (R6c)", "lease_voter.go",
		"	b.above(now, from.boot, r.Seq)\n",
		"	b.above(now, from.boot, 0*r.Seq)\n",
		"TestAReleaseVoidsTheRequestsThatItOvertook"},
	{"a ballot is used twice (R6c)", "lease_holder.go",
		"	h.highest++\n	h.ballot, h.tenure, h.began = h.highest, tenure, now",
		"	h.ballot, h.tenure, h.began = h.highest+1, tenure, now",
		"TestABallotIsNeverUsedTwice"},
	{"a voter without memory votes (R6d)", "lease_voter.go",
		"	case now < v.quarantined:",
		"	case false && now < v.quarantined:",
		"TestAVoterWithoutMemoryWaitsForTheLongestLease"},
	{"a voter grants for longer than it waits (R6d)", "lease_voter.go",
		"	lease := min(r.Lease, v.bound)",
		"	lease := max(r.Lease, v.bound)",
		"TestAVoterGrantsNoLongerThanItsQuarantineWouldLast"},
	{"nobody keeps what a worker grants (R6d)", "lease_voter.go",
		"	v.granted = max(v.granted, b.grant.until)\n",
		"	v.granted = max(v.granted, now)\n",
		"TestAVoterIsBoundUntilItsLastGrantEnds"},
	{"a grant is kept for half of its time (R6d)", "lease_voter.go",
		"	v.granted = max(v.granted, b.grant.until)\n",
		"	v.granted = max(v.granted, now.Add(lease/2))\n",
		"TestAVoterIsBoundUntilItsLastGrantEnds"},
	{"a voter waits until before the end of what the one before granted (R6d)", "lease_voter.go",
		"min(v.earlier, v.began",
		"min(v.earlier.Add(-bound/2), v.began",
		"TestAVoterWithoutMemoryWaitsForWhatItGranted"},
	{"a voter waits for the longest lease whatever it granted (G2)", "lease_voter.go",
		"		if v.earlier > 0 {",
		"		if false && v.earlier > 0 {",
		"TestAVoterWithoutMemoryWaitsForWhatItGranted"},
	{"any electorate will do (R6e)", "lease_voter.go",
		"	case r.Epoch != v.elect.Epoch || !v.elect.Has(v.self):",
		"	case r.Epoch == 0 || !v.elect.Has(v.self):",
		"TestAVoterGrantsInItsOwnElectorateOnly"},
	{"two electorates make one majority (R6e)", "lease_holder.go",
		"		h.epoch, h.replies = e.Epoch, h.replies[:0]",
		"		h.epoch = e.Epoch",
		"TestGrantsOfTwoElectoratesMakeNoMajority"},
	{"a node may live twice (R6a)", "lease_voter.go",
		"	case now < b.grant.until && b.grant.owner != from:",
		"	case now < b.grant.until && b.grant.node != from.node:",
		"TestAnotherLifeOfANodeIsAnotherOwner"},
	{"a request counts twice (R6a)", "lease_voter.go",
		"			if seq <= s.seq {",
		"			if false && seq <= s.seq {",
		"TestARequestCountsOnce"},
	{"a MASTER needs no lease (R6g)", "quorum.go",
		"	d.yield(\"\", reason)",
		"	_ = reason",
		"TestAnIsolatedHolderIsSilentBeforeAnotherServes"},
	{"a lease that ran out is taken up again (R8)", "lease_holder.go",
		"if end := h.majority(e); end > h.until && !h.lapsed(now) {",
		"if end := h.majority(e); end > h.until {",
		"TestALeaseThatHasRunOutIsOver"},
	{"what was set back goes on (R6d)", "lease_core.go",
		"			c.seq, l.setBack = a.Known, true",
		"			c.seq = a.Known",
		"TestANodeThatWasSetBackHasNoLeaseAndWaits"},
	{"the longest grant counts, not that of a majority (R6b)", "lease_holder.go",
		"	return ends[e.Majority()-1]",
		"	return ends[0]",
		"TestTheLeaseIsAsLongAsItWasGranted"},
	{"a voter grants two (R6a)", "lease_voter.go",
		"	case now < b.grant.until && b.grant.owner != from:",
		"	case false:",
		"TestAVoterGrantsOneLifeAtATime"},
	{"who asks in the right moment comes first (R6f)", "lease_voter.go",
		"	served := v.serve(now, b)",
		"	served := false",
		"TestTheBestStandingRequestComesBeforeOneRepeatedInTime"},
	{"the deaf may ask (R6f)", "lease_core.go",
		"	if !c.reaches(now, c.table.member(t.from.node)) {",
		"	if false {",
		"sim.TestQuorumDeafCandidateKeepsNobodyOut"},
	{"silence beside an answer proves nothing (R9.3)", "proof.go",
		"	if d.Disarmed || d.advertsGoOn",
		"	if true || d.Disarmed || d.advertsGoOn",
		"TestHolderIsProvedGoneOnlyWhenItsOwnAddressAnswers"},
	{"an isolated holder stays (R5)", "isolation.go",
		"	if !v.silent || !d.coincide(v)",
		"	if true || !v.silent || !d.coincide(v)",
		"TestHolderLetsGoOnlyWhenAllFellSilentTogether"},
	{"a holder without a path is not relieved (R3)", "datapath.go",
		"	if holder.Claim.Path != PathLost {",
		"	if true || holder.Claim.Path != PathLost {",
		"TestBackupRelievesAHolderWithoutPathOnlyOnProofBegunSince"},
	{"what nobody heard is not announced again (G4)", "announce.go",
		"	case m.unreached == d.Unit.Tenure.Seq:",
		"	case false && m.unreached == d.Unit.Tenure.Seq:",
		"TestHolderAnnouncesAgainWhenItsNeighboursAnswerAgain"},
	{"what the loser announced stays in the caches (G4)", "announce.go",
		"	d.say(Reannounce{Reason: p.Node + \" let go\"})",
		"	_ = Reannounce{}",
		"TestWinnerAnnouncesAgainWhenTheLoserHasLetGo"},
	{"a holder lets another one's announcement stand (G4)", "announce.go",
		"	m.defended, m.rivalled = d.Now, time.Time{}\n",
		"	if true {\n		return\n	}\n",
		"sim.TestHolderAnnouncesAgainstAStrangerThatDidOnce"},
	{"one that never reached the gateway relieves (R3)", "datapath.go",
		"		if m := n.member(holder.Node); m != nil",
		"		if m := n.member(holder.Node); false && m != nil",
		"TestBackupRelievesAHolderWithoutPathOnlyOnProofBegunSince"},
	{"a stranger that came since is no reason not to bid (R10)", "quorum.go",
		"	if m.bid.won == 0 && d.outdone(m.bid.since) {",
		"	if false && d.outdone(m.bid.since) {",
		"TestABidEndsWithTheAdvertOfAStranger"},
	{"what a holder let go to a stranger is taken from it (R10)", "hold.go",
		"	if d.claimedByAdverts(former) {",
		"	if false {",
		"TestReleaseStartsTheOrderOfSuccession"},
	{"a reservation that is over lets the next one beside a stranger (R10)", "handover.go",
		"	if d.outdone(m.released) {",
		"	if false {",
		"TestAReservationThatIsOverIsNotForAStrangersUnit"},
	{"what a node did in an earlier life counts against it (R11)", "fencecase.go",
		"func(p FenceProof) bool { return !p.First.After(f.lives[p.Node].since) })",
		"func(FenceProof) bool { return false })",
		"TestAProofIsAgainstTheLifeInWhichItBegan"},
	{"a fencing counts for the life that came since (R11)", "fencecase.go",
		"	if t == nil || t.boot != boot {",
		"	if t == nil {",
		"TestAnAgentsEndIsThatOfTheLifeThatItRanAgainst"},
	{"a claim from before the tenure is evidence (R11)", "fencecase.go",
		"c != nil && c.At.After(began) {",
		"c != nil {",
		"TestWhatWasClaimedBeforeTheTenureIsNoEvidence"},
	{"one fences while another one does (R11)", "fencevote.go",
		"			case w.Stage == FenceRuns:\n",
		"			case false && w.Stage == FenceRuns:\n",
		"TestNobodyFencesWhileAMemberSaysThatItDoes"},
	{"fencing goes on while it is disarmed (R11)", "fencevote.go",
		"	case v.Disarmed:",
		"	case false && v.Disarmed:",
		"TestDisarmedNodesFenceNobody"},
	{"an agent that fails is believed (R11)", "fencing.go",
		"	if err == nil {\n		t.done = now",
		"	if err == nil || true {\n		t.done = now",
		"TestThreeFailuresEndInAnAlert"},
	{"a node knows the members of its start only (R0)", "given.go",
		"	if c.given != nil && slices.EqualFunc(members, c.given, Member.equal) {",
		"	if c.given != nil || slices.EqualFunc(members, c.given, Member.equal) {",
		"TestMemberThatLeftIsAStrangerOnlyByNewAdverts"},
	{"a proof counts that is older than an advert (R9.3)", "proof.go",
		"!d.answersWithout(holder, d.served(holder)) {",
		"!d.answersWithout(holder, holder.At) {",
		"TestHolderIsProvedGoneOnlyWhenItsOwnAddressAnswers"},
	{"a release counts although its author advertises (R9)", "hold.go",
		"			since = former.At\n",
		"			since = d.Now\n",
		"TestAReleaseIsVoidWhenItsAuthorAdvertises"},
	{"a node asks for what a stranger has (R10)", "handover.go",
		"&& !d.besideBetter()",
		"",
		"TestNobodyAsksForAUnitBesideABetterStranger"},
	{"an heir forgets whom it granted a unit (F26)", "lease_legacy.go",
		"			box.grant = grantee{owner{b.Node, b.Boot}, b.Ballot, b.Until, b.Answer}\n",
		"",
		"sim.TestQuorumHeirsOfVotersWait"},
	{"a supervisor speaks before it closes (R7c)", "sim/life_test.go",
		"		n.shut()\n		w.drop(n)\n		n.spread(&will)",
		"		n.spread(&will)",
		"sim.TestF8WorkerKilledIsFollowedAtOnce"},
}

// Each mutant is compiled by an overlay and run against the test that finds it.
func TestMutantsAreFound(t *testing.T) {
	list := mutants
	if testing.Short() || raceEnabled {
		list = list[:3]
	}
	for _, m := range list {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			if out := m.run(t); !strings.Contains(out, "--- FAIL: "+m.test()) {
				t.Errorf("%s does not fail without this guard:\n%s", m.finder, tail(out, 2000))
			}
		})
	}
}

// test is the name of the test that finds the mutant.
func (m *mutant) test() string { return strings.TrimPrefix(m.finder, "sim.") }

// run returns what the test says that finds the mutant.
func (m *mutant) run(t *testing.T) string {
	file := m.file
	if !strings.Contains(file, "/") {
		file = "splitbrain/" + file
	}
	path, err := filepath.Abs(filepath.Join("..", file))
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(source), m.old); n != 1 {
		t.Fatalf("the guard stands %d times in %s; want once", n, m.file)
	}
	dir := t.TempDir()
	changed := filepath.Join(dir, filepath.Base(file))
	if err := os.WriteFile(changed, []byte(strings.Replace(string(source), m.old, m.new, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	overlay, err := json.Marshal(map[string]map[string]string{"Replace": {path: changed}})
	if err != nil {
		t.Fatal(err)
	}
	list := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(list, overlay, 0o600); err != nil {
		t.Fatal(err)
	}
	pkg := "../splitbrain"
	if m.test() != m.finder {
		pkg = "."
	}
	// The compiler and the linker take longer than the test: they are spared what is
	// not needed.
	out, err := exec.CommandContext(t.Context(), "go", "test", "-vet=off", "-gcflags=-N -l", "-ldflags=-s -w",
		"-overlay", list, "-run", "^"+m.test()+"$", pkg).CombinedOutput()
	if strings.Contains(string(out), "[build failed]") {
		t.Fatalf("the mutant does not compile:\n%s", out)
	}
	if err == nil && strings.Contains(string(out), "no tests to run") {
		t.Fatalf("there is no test %s", m.finder)
	}
	return string(out)
}
