package store

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"
)

// A new leader may send, before its first entry, a message without entries that
// names a commit index which it learned of while it made the message.
func TestCommitIndexAboveWhatAMessageShowsDoesNotCommitAnotherLeadersCommand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLAN(t, 3, nil)
		defer l.close()
		ctx := within(t, 60*time.Second)
		old := l.leader()
		if _, err := old.Propose(ctx, Proposal{Text: "before"}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(200 * time.Millisecond) // its barrier is everywhere
		var shared raft.Log
		last, _ := old.logs.LastIndex()
		if err := old.logs.GetLog(last, &shared); err != nil {
			t.Fatal(err)
		}

		l.isolate(old)
		if _, err := old.Propose(within(t, 50*time.Millisecond), Proposal{Base: 1, Text: "stuck"}); err == nil {
			t.Fatal("a proposal succeeded without a majority")
		}
		if got, _ := old.logs.LastIndex(); got != last+1 {
			t.Fatalf("the log of the old leader ends at %d, want %d and the command behind it", got, last+1)
		}
		next := l.leader(old)
		if _, err := next.Propose(ctx, Proposal{Base: 1, Text: "meanwhile"}); err != nil {
			t.Fatal(err)
		}

		next.transport.Connect(raft.ServerAddress(old.id), old.transport)
		request := &raft.AppendEntriesRequest{
			RPCHeader: raft.RPCHeader{ProtocolVersion: raft.ProtocolVersionMax, ID: []byte(next.id), Addr: []byte(next.id)},
			Term:      next.raft().CurrentTerm(), PrevLogEntry: last, PrevLogTerm: shared.Term,
			LeaderCommitIndex: next.raft().CommitIndex(),
		}
		var response raft.AppendEntriesResponse
		err := transport{next.transport, next.transport}.AppendEntries(raft.ServerID(old.id), raft.ServerAddress(old.id), request, &response)
		if err != nil || !response.Success {
			t.Fatalf("the old leader answered %+v, %v", response, err)
		}
		if request.LeaderCommitIndex <= last {
			t.Fatalf("the new leader has committed up to %d, want more than %d", request.LeaderCommitIndex, last)
		}
		l.heal()
		rev, err := old.Revisions().Watch(ctx, 1)
		if err != nil || rev.Text != "meanwhile" {
			t.Errorf("revision 2 on the old leader = %q, %v, want %q", rev.Text, err, "meanwhile")
		}
	})
}
