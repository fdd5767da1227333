package cluster

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/hacluster/hacluster/cluster/store"
)

var (
	// ErrNotMember says that the node is in no cluster yet.
	ErrNotMember = errors.New("this node is in no cluster: run `haclusterctl init` or `haclusterctl join`")
	// ErrAlreadyMember says that the node is in a cluster.
	ErrAlreadyMember = errors.New("this node is already in a cluster: run `haclusterctl leave` first")
	// ErrLastMember says that a leave would end the cluster.
	ErrLastMember = errors.New("this is the last member: the cluster and its history end with it; say --last to do so")
	// ErrNotLastMember says that a leave was to end the cluster, and would not.
	ErrNotLastMember = errors.New("this is not the last member, so the cluster would not end; leave without --last, and nothing is lost")
	// ErrNoAdvertise says that nobody told the node its address.
	ErrNoAdvertise = errors.New("no address for the other nodes to reach this one; give --advertise ADDRESS:PORT")
)

// RunningError says that another daemon holds the data directory.
type RunningError struct {
	PID     int // 0 when it could not be read
	DataDir string
}

func (e *RunningError) Error() string {
	return fmt.Sprintf("already running: pid %d, data %s", e.PID, e.DataDir)
}

// NoMajorityError says that the voters that answer are too few for the
// operation, and what works all the same.
type NoMajorityError struct {
	Operation string
	Voters    []Voter
	Now       time.Time
}

func (e *NoMajorityError) Error() string {
	return fmt.Sprintf("%s: no majority of the %d voters (%s): nothing was changed; virtual addresses go on and fail over; status, history and config show still work from this node's copy",
		e.Operation, len(e.Voters), seen(e.Voters, e.Now, e.Now.Add(-2*time.Second)))
}

// seen says of each voter whether it has answered since then or, if not, when it
// last did.
func seen(voters []Voter, now, since time.Time) string {
	var list []string
	for _, v := range voters {
		switch {
		case v.LastSeen.IsZero():
			list = append(list, v.Name+" never seen")
		case v.LastSeen.After(since):
			list = append(list, v.Name+" answers")
		default:
			list = append(list, fmt.Sprintf("%s last seen %s ago", v.Name, now.Sub(v.LastSeen).Round(time.Second)))
		}
	}
	return strings.Join(list, ", ")
}

// Unwrap returns store.ErrNoLeader.
func (e *NoMajorityError) Unwrap() error { return store.ErrNoLeader }
