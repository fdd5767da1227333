package main

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"google.golang.org/protobuf/types/known/durationpb"

	pb "github.com/hacluster/hacluster/proto/hacluster/v1"
)

// onTerminal is an app that believes to write to a terminal.
func onTerminal(env string) (*app, *bytes.Buffer) {
	var out bytes.Buffer
	a := newApp(strings.NewReader(""), &out, &out, func(string) string { return "" })
	a.terminal, a.colour = true, env != "NO_COLOR"
	a.now = func() time.Time { return at(0).AsTime().Add(3 * time.Minute) }
	a.output = "text"
	return a, &out
}

func TestATerminalGetsAgesAndColours(t *testing.T) {
	a, out := onTerminal("")
	a.printStatus(out, picture())
	for _, want := range []string{"\x1b[33mAT RISK\x1b[0m", "2m ago", "\x1b[31moff"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("status lacks %q:\n%s", want, out)
		}
	}
	a, out = onTerminal("NO_COLOR")
	a.printStatus(out, picture())
	if strings.Contains(out.String(), "\x1b") {
		t.Errorf("NO_COLOR is not kept:\n%q", out)
	}
}

func TestColumnsLineUpWithColours(t *testing.T) {
	a, out := onTerminal("")
	a.table(out, [][]cell{plain("A", "B"), {{"long", green}, {"x", noStyle}}, {{"é", red}, {"y", noStyle}}})
	if want := "\x1b[2mA\x1b[0m     \x1b[2mB\x1b[0m\n\x1b[32mlong\x1b[0m  x\n\x1b[31mé\x1b[0m     y\n"; out.String() != want {
		t.Errorf("table = %q, want %q", out, want)
	}
}

func TestATerminalSeesOneTableOfNodesThatIsDrawnAnew(t *testing.T) {
	a, out := onTerminal("NO_COLOR")
	p := progress{a: a}
	p.node(&pb.ApplyNode{Node: "lb01", Step: pb.ApplyNode_STEP_PREPARED, Took: durationpb.New(time.Millisecond)})
	p.node(&pb.ApplyNode{Node: "lb02", Step: pb.ApplyNode_STEP_PREPARING})
	p.node(&pb.ApplyNode{Node: "lb02", Step: pb.ApplyNode_STEP_REFUSED, Detail: "no eth7"})
	want := "\x1b[K  lb01  prepared after 1ms\n" +
		"\x1b[1A\x1b[K  lb01  prepared after 1ms\n\x1b[K  lb02  preparing\n" +
		"\x1b[2A\x1b[K  lb01  prepared after 1ms\n\x1b[K  lb02  refuses: no eth7\n"
	if out.String() != want {
		t.Errorf("drawn = %q, want %q", out, want)
	}
}

func TestAgesAreShort(t *testing.T) {
	for d, want := range map[time.Duration]string{
		140 * time.Millisecond: "140ms", 3600 * time.Millisecond: "3.6s", 42 * time.Second: "42s", 3*time.Minute + 50*time.Second: "3m",
		90 * time.Minute: "1h30m", 100 * time.Hour: "4d", -time.Second: "0ms",
	} {
		if got := age(d); got != want {
			t.Errorf("age(%s) = %s, want %s", d, got, want)
		}
	}
}

func TestReleasesMoreThanOneApartAreTooFar(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want bool
	}{
		{"0.1.0", "0.2.3", false}, {"0.1.0", "0.3.0", true}, {"1.0.0", "2.0.0", true}, {"v1.2.0", "1.1.9", false}, {"dev", "9.9.9", false},
	} {
		if got := tooFar(tt.a, tt.b); got != tt.want {
			t.Errorf("tooFar(%s, %s) = %v, want %v", tt.a, tt.b, got, tt.want)
		}
	}
}

func TestTheSameAlertOfSeveralNodesStandsOnce(t *testing.T) {
	first, second, other := alert(), alert(), alert()
	second.Node, second.Since = "lb02", at(4)
	other.Unit = "VI_2"
	got := joinAlerts([]*pb.Alert{first, second, other})
	if len(got) != 2 || !slices.Equal(got[0].nodes, []string{"lb01", "lb02"}) || !got[0].GetSince().AsTime().Equal(at(4).AsTime()) || first.GetNode() != "lb01" {
		t.Errorf("joined = %v; want one of lb01 and lb02 since the first, and the other", got)
	}
}

func TestATableFitsTheTerminalByWrappingItsLastColumn(t *testing.T) {
	why := "no other node can take it (lb02 is FAULT: eth0 has no carrier, lb03 is not heard)"
	rows := [][]cell{plain("ADDRESS", "WHY"), plain("192.0.2.100/24", why)}
	var out strings.Builder
	(&app{width: 60}).table(&out, rows)
	for line := range strings.Lines(out.String()) {
		if utf8.RuneCountInString(strings.TrimSuffix(line, "\n")) > 60 {
			t.Errorf("line of more than 60 columns: %q", line)
		}
	}
	if words := strings.Join(strings.Fields(out.String()), " "); words != "ADDRESS WHY 192.0.2.100/24 "+why {
		t.Errorf("table = %q, want every word once", words)
	}
	out.Reset()
	(&app{}).table(&out, rows)
	if n := strings.Count(out.String(), "\n"); n != 2 {
		t.Errorf("without a terminal: %d lines, want 2", n)
	}
}

func TestTheStatusSaysASentenceOnce(t *testing.T) {
	st := &pb.ClusterStatus{Reason: "192.0.2.100: held by lb01; adverts do not arrive"}
	v := &pb.Vip{Address: "192.0.2.100/24", Unit: "VI_1", Verdict: pb.Verdict_VERDICT_AT_RISK, Reason: "held by lb01; adverts do not arrive", Holders: []string{"lb01"}}
	if got := whyOf(v); got != "adverts do not arrive" {
		t.Errorf("whyOf = %q, want it without the holder", got)
	}
	if got := whyInStatus(st, v); got != "see above" {
		t.Errorf("why = %q, want it to point to the first line", got)
	}
	st.Alerts = []*pb.Alert{{Code: "vrrp_channel_lost", Unit: "VI_1", Summary: "adverts do not arrive"}}
	if got := whyInStatus(st, v); got != "vrrp_channel_lost, see below" {
		t.Errorf("why = %q, want it to point to the alert", got)
	}
}

func TestTheStatusSaysWhatWaitsToBeConfirmed(t *testing.T) {
	a, out := onTerminal("NO_COLOR")
	st := picture()
	st.Unconfirmed = &pb.Unconfirmed{Revision: 12, Base: 11, By: "root", Until: at(210)}
	a.printStatus(out, st)
	if want := "UNCONFIRMED  revision 12 of root: revision 11 comes back in 30s unless haclusterctl config confirm keeps it"; !strings.Contains(strings.Join(strings.Fields(out.String()), " "), strings.Join(strings.Fields(want), " ")) {
		t.Errorf("status lacks %q:\n%s", want, out)
	}
}

func TestTheRowOfASilentNodeSaysWhatItWas(t *testing.T) {
	unit := func(name string, state pb.State, lapsed bool) *pb.Unit {
		return &pb.Unit{Name: name, State: state, Lapsed: lapsed}
	}
	const master, backup = pb.State_STATE_MASTER, pb.State_STATE_BACKUP
	a, _ := onTerminal("NO_COLOR")
	for _, tt := range []struct {
		name        string
		node        *pb.Node
		state, runs string
	}{
		{"heard", &pb.Node{Alive: true, Units: []*pb.Unit{unit("VI_1", master, false)}}, "up", "VI_1 MASTER"},
		{"another node has the unit", &pb.Node{Alive: true, Units: []*pb.Unit{unit("VI_1", master, true)}}, "up", "VI_1 was MASTER"},
		{"silent", &pb.Node{Alive: true, Silent: true, Units: []*pb.Unit{unit("VI_1", master, true), unit("VI_2", backup, true)}}, "silent", "VI_1 was MASTER, VI_2 was BACKUP"},
		{"many", &pb.Node{Alive: true, Units: []*pb.Unit{
			unit("VI_1", master, true), unit("VI_2", master, false), unit("VI_3", backup, false), unit("VI_4", backup, true)}}, "up", "1 MASTER, 1 BACKUP, 2 not heard of"},
		{"off", &pb.Node{Units: []*pb.Unit{unit("VI_1", master, true)}}, "off", ""},
	} {
		row := a.nodeRows([]*pb.Node{tt.node}, "lb09")[1]
		if state, runs := row[1].text, row[len(row)-1].text; state != tt.state || runs != tt.runs {
			t.Errorf("%s: %q and %q, want %q and %q", tt.name, state, runs, tt.state, tt.runs)
		}
	}
}

func TestTheToleranceSaysWhatItIsFor(t *testing.T) {
	vips := []*pb.Vip{{}}
	for _, tt := range []struct {
		st   *pb.ClusterStatus
		want string
	}{
		{&pb.ClusterStatus{Vips: vips, FailureTolerance: 1, Cluster: &pb.Cluster{Name: "web", Majority: true}}, "may lose 1 more member, no more voters"},
		{&pb.ClusterStatus{Vips: vips, FailureTolerance: 2, EditFailureTolerance: 1, Cluster: &pb.Cluster{Name: "web", Majority: true}}, "may lose 2 more members, 1 more voter"},
		{&pb.ClusterStatus{Vips: vips, Cluster: &pb.Cluster{Name: "web"}}, "may lose no more members, the configuration is read-only until a majority of the voters answers"},
		{&pb.ClusterStatus{EditFailureTolerance: 1, Cluster: &pb.Cluster{Name: "web", Majority: true}}, "may lose 1 more voter"},
		{&pb.ClusterStatus{Vips: vips, Cluster: &pb.Cluster{Standalone: true}}, ""},
	} {
		if got := toleranceLine(tt.st); got != tt.want {
			t.Errorf("tolerance = %q, want %q", got, tt.want)
		}
	}
}
