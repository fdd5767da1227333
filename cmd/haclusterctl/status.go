package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	pb "github.com/hacluster/hacluster/proto/hacluster/v1"
)

func (a *app) statusCommand() *cobra.Command {
	var exitCode, watch, reach bool
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Say whether every virtual address is safe, and why",
		Long: `Status prints a verdict, how much more may fail, the virtual addresses, the nodes
and the open alerts. With --reach it shows who hears whom by each channel instead,
and how long ago.

  SAFE      every address has one holder, and a further failure is survived
  AT RISK   something is wrong, or the next failure is not survived
  VIOLATED  an address has more than one holder
  DARK      an address has no holder
  UNKNOWN   not enough is known to judge

A node is "silent" when what it said last counts no more, and "off" when it was
not heard for three seconds; "VI_1 was MASTER" is what it said then.`,
		Example: example("haclusterctl status", "haclusterctl status --watch", "haclusterctl status --reach", "haclusterctl status --exit-code -o json   # 0 safe, 1 at risk, 2 violated or dark, 3 unknown"),
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if watch {
				return a.watchStatus(cmd.Context())
			}
			var st *pb.ClusterStatus
			err := a.call(cmd.Context(), func(ctx context.Context, conn *grpc.ClientConn) (err error) {
				st, err = pb.NewStatusServiceClient(conn).Get(ctx, &pb.GetStatusRequest{})
				return err
			})
			if err != nil {
				return statusUnknown(err, exitCode)
			}
			switch {
			case a.json():
				err = a.printJSON(st)
			case reach:
				a.printVerdict(a.out, st)
				fmt.Fprintln(a.out)
				a.printMatrices(a.out, st)
			default:
				a.printStatus(a.out, st)
			}
			if err == nil && exitCode {
				err = statusExit(st.GetVerdict())
			}
			return err
		},
	}
	a.readFlags(cmd)
	cmd.Flags().BoolVar(&exitCode, "exit-code", false, "exit with 0 safe, 1 at risk, 2 violated or dark, 3 unknown")
	cmd.Flags().BoolVar(&reach, "reach", false, "show who hears whom, by each channel, and how long ago")
	cmd.Flags().BoolVarP(&watch, "watch", "w", false, "go on, and show each change")
	return cmd
}

// statusUnknown is the error with monitoring's exit code for unknown.
func statusUnknown(err error, exitCode bool) error {
	if !exitCode {
		return err
	}
	return &exitError{code: 3, text: err.Error()}
}

func statusExit(v pb.Verdict) error {
	switch v {
	case pb.Verdict_VERDICT_SAFE:
		return nil
	case pb.Verdict_VERDICT_AT_RISK:
		return &exitError{code: 1}
	case pb.Verdict_VERDICT_VIOLATED, pb.Verdict_VERDICT_DARK:
		return &exitError{code: 2}
	default:
		return &exitError{code: 3}
	}
}

func (a *app) watchStatus(ctx context.Context) error {
	return a.callWithout(ctx, func(ctx context.Context, conn *grpc.ClientConn) error {
		stream, err := pb.NewStatusServiceClient(conn).Watch(ctx, &pb.WatchStatusRequest{})
		if err != nil {
			return err
		}
		return follow(ctx, a, stream, statusLine, a.printStatus)
	})
}

// statusLine is a picture in one line.
func statusLine(st *pb.ClusterStatus) string { return word(st.GetVerdict()) + "  " + st.GetReason() }

// printVerdict prints the first lines: the verdict with what it rests on and how
// much more may fail, an edit that waits to be confirmed, and a freeze that stands.
func (a *app) printVerdict(w io.Writer, st *pb.ClusterStatus) {
	verdict := word(st.GetVerdict())
	text := st.GetReason()
	if may := toleranceLine(st); may != "" {
		text += "; " + may
	}
	a.headed(w, verdictStyle(st.GetVerdict()), verdict, text)
	if u := st.GetUnconfirmed(); u != nil {
		a.headed(w, yellow, "UNCONFIRMED", a.waitsLine(u))
	}
	if d := st.GetDisarmed(); d != nil {
		why := ""
		if d.GetReason() != "" {
			why = ": " + d.GetReason()
		}
		text := fmt.Sprintf("for %s more, by %s%s; no fencing, no quick take-over", age(d.GetUntil().AsTime().Sub(st.GetTime().AsTime())), d.GetBy(), why)
		a.headed(w, yellow, "DISARMED", text)
	}
}

func (a *app) printStatus(w io.Writer, st *pb.ClusterStatus) {
	a.printVerdict(w, st)
	for _, line := range wrap(clusterLine(st), a.width, 0) {
		fmt.Fprintln(w, a.style(dim, line))
	}
	if st.GetNext() != "" {
		fmt.Fprintf(w, "next: %s\n", st.GetNext())
	}
	if len(st.GetVips()) > 0 {
		fmt.Fprintln(w)
		a.table(w, a.vipRows(st.GetVips(), func(v *pb.Vip) string { return whyInStatus(st, v) }))
	}
	if len(st.GetNodes()) > 0 {
		fmt.Fprintln(w)
		a.table(w, a.nodeRows(st.GetNodes(), st.GetObserver()))
	}
	if broken(st) {
		fmt.Fprintln(w)
		a.printReach(w, st)
	}
	if len(st.GetAlerts()) > 0 {
		fmt.Fprintln(w)
	}
	for _, alert := range joinAlerts(st.GetAlerts()) {
		a.printAlert(w, alert, false)
	}
	if len(st.GetGaps()) > 0 {
		fmt.Fprintln(w)
	}
	for _, gap := range st.GetGaps() {
		a.headed(w, dim, "known gap", gap)
	}
}

// whyInStatus is why an address is judged as it is, without what the status
// says at another place already: in its first line, or in an alert below.
func whyInStatus(st *pb.ClusterStatus, v *pb.Vip) string {
	why := whyOf(v)
	if v.GetVerdict() == pb.Verdict_VERDICT_SAFE {
		return why
	}
	for _, alert := range st.GetAlerts() {
		if alert.GetUnit() == v.GetUnit() && alert.GetSummary() == why {
			return alert.GetCode() + ", see below"
		}
	}
	if strings.HasSuffix(st.GetReason(), ": "+v.GetReason()) {
		return "see above"
	}
	return why
}

// clusterLine is the second line of the status: the cluster in one row.
func clusterLine(st *pb.ClusterStatus) string {
	c := st.GetCluster()
	if c.GetStandalone() {
		return "standalone on " + st.GetObserver()
	}
	if c.GetName() == "" {
		return "node " + st.GetObserver()
	}
	words := []string{"cluster " + c.GetName(), count(len(st.GetNodes()), "node")}
	switch {
	case !c.GetMajority() && electing(st):
		words = append(words, "no leader")
	case !c.GetMajority():
		words = append(words, "no majority")
	case c.GetLeader() != "":
		words = append(words, "leader "+c.GetLeader())
	default:
		words = append(words, "no leader known")
	}
	words = append(words, fmt.Sprintf("revision %d", c.GetRevision()))
	return strings.Join(words, ", ")
}

// electing says whether enough voters are up for a majority, which has no leader
// yet.
func electing(st *pb.ClusterStatus) bool {
	up := 0
	for _, n := range st.GetNodes() {
		if n.GetAlive() && slices.Contains(st.GetCluster().GetVoters(), n.GetName()) {
			up++
		}
	}
	return up > len(st.GetCluster().GetVoters())/2
}

// toleranceLine says how much more may fail: members, for the addresses, and
// voters, for edits and for leases.
func toleranceLine(st *pb.ClusterStatus) string {
	c := st.GetCluster()
	if c.GetStandalone() || c.GetName() == "" {
		return ""
	}
	voters := number(st.GetEditFailureTolerance()) + " more voter"
	if st.GetEditFailureTolerance() != 1 {
		voters += "s"
	}
	if !c.GetMajority() {
		voters = "the configuration is read-only until a majority of the voters answers"
	}
	if len(st.GetVips()) == 0 {
		if !c.GetMajority() {
			return voters
		}
		return "may lose " + voters
	}
	members := number(st.GetFailureTolerance()) + " more member"
	if st.GetFailureTolerance() != 1 {
		members += "s"
	}
	return "may lose " + members + ", " + voters
}

func number(n uint32) string {
	if n == 0 {
		return "no"
	}
	return fmt.Sprint(n)
}

func count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// broken says whether a live node does not hear another live node: its
// heartbeats, or the adverts that it sends.
func broken(st *pb.ClusterStatus) bool {
	heard := reach(st)
	for _, from := range st.GetNodes() {
		for _, to := range st.GetNodes() {
			way := heard[[2]string{from.GetName(), to.GetName()}]
			if from != to && from.GetAlive() && to.GetAlive() && (!way.mesh || way.lost) {
				return true
			}
		}
	}
	return false
}

// ways are the channels by which one node hears another.
type ways struct {
	mesh, vrrp bool
	lost       bool // adverts are sent, and do not arrive
}

// reach gives the channels for each pair (listener, heard).
func reach(st *pb.ClusterStatus) map[[2]string]ways {
	out := make(map[[2]string]ways)
	for _, l := range st.GetLinks() {
		key := [2]string{l.GetFrom(), l.GetTo()}
		way := out[key]
		switch {
		case l.GetChannel() == "mesh":
			way.mesh = l.GetAlive()
		case l.GetChannel() == "vrrp":
			way.vrrp, way.lost = l.GetAlive(), !l.GetAlive()
		}
		out[key] = way
	}
	return out
}

// printReach prints who hears whom: a row for each listener.
func (a *app) printReach(w io.Writer, st *pb.ClusterStatus) {
	heard := reach(st)
	head := plain("HEARS")
	for _, n := range st.GetNodes() {
		head = append(head, cell{text: n.GetName()})
	}
	rows := [][]cell{head}
	for _, from := range st.GetNodes() {
		row := plain(from.GetName())
		for _, to := range st.GetNodes() {
			way := heard[[2]string{from.GetName(), to.GetName()}]
			switch {
			case from == to:
				row = append(row, cell{text: "."})
			case !from.GetAlive():
				row = append(row, cell{text: "?"}) // it cannot be asked
			case way.mesh && way.vrrp:
				row = append(row, cell{"mesh vrrp", green})
			case way.mesh && way.lost && to.GetAlive():
				row = append(row, cell{"mesh, no vrrp", yellow})
			case way.mesh:
				row = append(row, cell{"mesh", green}) // a BACKUP sends no adverts
			case way.vrrp:
				row = append(row, cell{"vrrp, no mesh", yellow})
			default:
				row = append(row, cell{"nothing", red})
			}
		}
		rows = append(rows, row)
	}
	a.table(w, rows)
}

// lastSeen is when a node was heard, short.
func (a *app) lastSeen(n *pb.Node, observer string) string {
	switch {
	case n.GetName() == observer:
		return "here"
	case n.GetLastSeen() == nil:
		return "never"
	case a.terminal && a.now().Sub(n.GetLastSeen().AsTime()) < 2*time.Second:
		return "now"
	default:
		return a.ago(n.GetLastSeen())
	}
}
