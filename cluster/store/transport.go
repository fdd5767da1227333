package store

import "github.com/hashicorp/raft"

// transport is Raft's way to the other nodes, held to the rule that a message moves
// a follower's commit index only as far as the message itself has shown the two logs
// to be the same: to the last entry in it, or to the one before its first (Raft
// paper, figure 2, AppendEntries, step 5).
//
// hashicorp/raft 1.8.0 leaves that to luck. Its follower goes up to the end of its
// own log, and its leader reads its commit index later than the end of its log, so
// that a message without entries may name a commit index above what it shows. A
// follower that was leader, and wrote a command which nobody else has, would then
// carry out that command in place of the committed one with the same index.
type transport struct {
	raft.Transport
	raft.WithPreVote
}

// wire is what Raft needs from a transport here.
type wire interface {
	raft.Transport
	raft.WithPreVote
}

// AppendEntries implements raft.Transport.
func (t transport) AppendEntries(id raft.ServerID, target raft.ServerAddress, args *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) error {
	request := *args // the caller's stays as it is
	request.LeaderCommitIndex = min(args.LeaderCommitIndex, args.PrevLogEntry+uint64(len(args.Entries)))
	return t.Transport.AppendEntries(id, target, &request, resp)
}

// AppendEntriesPipeline implements raft.Transport: there is no pipelining. At this
// rate of writes it gains nothing, and followers were seen stuck with it
// (hashicorp/raft#612).
func (t transport) AppendEntriesPipeline(raft.ServerID, raft.ServerAddress) (raft.AppendPipeline, error) {
	return nil, raft.ErrPipelineReplicationNotSupported
}
