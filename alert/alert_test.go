package alert

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"mime/quotedprintable"
	"net"
	"net/http"
	"net/http/httptest"
	"net/mail"
	"net/textproto"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hacluster/hacluster/internal/run"
)

func splitBrain(unit string) Alert {
	return Alert{
		ID: "split_brain/" + unit, Kind: "split_brain", Severity: Critical, Node: "lb01", Unit: unit,
		Summary: unit + " has two holders", Evidence: []string{"heartbeat of lb02, 40 ms ago: MASTER"}, Remedy: "check the network",
	}
}

// ids are the alerts of changes with their states.
func ids(changes []Change) []string {
	var out []string
	for _, c := range changes {
		out = append(out, c.Alert.ID+" "+c.Alert.State())
	}
	return out
}

func TestHubTellsEachChangeOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := NewHub()
		start := time.Now()
		h.Raise(splitBrain("VI_1"))
		time.Sleep(time.Second)
		h.Raise(splitBrain("VI_1")) // nothing new
		changed := splitBrain("VI_1")
		changed.Evidence = []string{"another"}
		h.Raise(changed)
		h.Resolve("split_brain/VI_2") // never raised
		if open := h.Open(); len(open) != 1 || !open[0].Since.Equal(start) || open[0].Evidence[0] != "another" {
			t.Errorf("Open = %+v, want the changed alert since its beginning", open)
		}
		h.Resolve("split_brain/VI_1")
		h.Note(Alert{ID: "state/VI_1"})
		changes, lost, _ := h.After(0)
		want := []string{"split_brain/VI_1 open", "split_brain/VI_1 open", "split_brain/VI_1 resolved", "state/VI_1 resolved"}
		if got := ids(changes); !slices.Equal(got, want) || lost != 0 {
			t.Errorf("changes = %q, lost %d; want %q", got, lost, want)
		}
		if open := h.Open(); len(open) != 0 {
			t.Errorf("Open = %+v, want none", open)
		}
	})
}

func TestHubIsBoundedAndSaysWhatIsLost(t *testing.T) {
	h := NewHub()
	for i := range history + 10 {
		h.Note(Alert{ID: fmt.Sprint(i)})
	}
	changes, lost, _ := h.After(5)
	if len(changes) != history || lost != 5 || changes[0].Seq != 11 {
		t.Errorf("%d changes from %d, %d lost; want %d from 11, 5 lost", len(changes), changes[0].Seq, lost, history)
	}
	if changes, lost, _ = h.After(h.Last()); len(changes) != 0 || lost != 0 {
		t.Errorf("%d changes after the last, %d lost; want none", len(changes), lost)
	}
}

func TestOpenAlertsComeWorstFirst(t *testing.T) {
	h := NewHub()
	h.Raise(Alert{ID: "b", Severity: Warning})
	h.Raise(Alert{ID: "a", Severity: Info})
	h.Raise(Alert{ID: "c", Severity: Critical})
	var got []string
	for _, a := range h.Open() {
		got = append(got, a.ID)
	}
	if want := []string{"c", "b", "a"}; !slices.Equal(got, want) {
		t.Errorf("Open = %v, want %v", got, want)
	}
}

// recorder is a Deliverer that fails as often as it is told to.
type recorder struct {
	failures int
	calls    []string
	start    time.Time
}

func (r *recorder) Deliver(_ context.Context, changes []Alert) error {
	r.calls = append(r.calls, fmt.Sprintf("%s %d", time.Since(r.start), len(changes)))
	if r.failures > 0 {
		r.failures--
		return errors.New("relay is away")
	}
	return nil
}

func TestDeliverGathersAndRepeatsWithinBounds(t *testing.T) {
	tests := []struct {
		name     string
		failures int
		want     []string // when, and how many alerts
	}{
		{name: "what happens together is one delivery", want: []string{"1s 255"}},
		{name: "a failure is repeated", failures: 2, want: []string{"1s 255", "2s 255", "4s 255"}},
		{name: "not for ever", failures: 100, want: []string{"1s 255", "2s 255", "4s 255", "8s 255", "16s 255", "32s 255"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := NewHub()
				h.Note(Alert{ID: "before"})
				to := &recorder{failures: test.failures, start: time.Now()}
				ctx, cancel := context.WithCancel(t.Context())
				done := make(chan error)
				go func() { done <- Deliver(ctx, h, to, slog.New(slog.DiscardHandler)) }()
				synctest.Wait()
				for i := range 255 {
					h.Raise(splitBrain(fmt.Sprintf("VI_%d", i)))
				}
				time.Sleep(time.Hour)
				cancel()
				if err := <-done; err != context.Canceled {
					t.Errorf("Deliver = %v, want %v", err, context.Canceled)
				}
				if !slices.Equal(to.calls, test.want) {
					t.Errorf("deliveries = %v, want %v", to.calls, test.want)
				}
			})
		})
	}
}

func TestScriptGetsTheAlertInItsEnvironment(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	s := Script{Command: run.Command{Argv: []string{"sh", "-c", `echo "$0 $HACLUSTER_ALERT $HACLUSTER_ALERT_ID $HACLUSTER_ALERT_SEVERITY $HACLUSTER_ALERT_SINCE: $HACLUSTER_ALERT_SUMMARY" >> ` + out, "me"}}}
	a := splitBrain("VI_1")
	a.Since = time.Date(2026, 11, 21, 14, 0, 0, 5e6, time.UTC)
	b := a
	b.Resolved = a.Since.Add(time.Second)
	b.Summary = "zero \x00 byte"
	if err := s.Deliver(t.Context(), []Alert{a, b}); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(out)
	want := "me open split_brain/VI_1 critical 2026-11-21T14:00:00.005Z: VI_1 has two holders\n" +
		"me resolved split_brain/VI_1 critical 2026-11-21T14:00:00.005Z: zero  byte\n"
	if err != nil || string(got) != want {
		t.Errorf("script saw %q, %v; want %q", got, err, want)
	}
	bad := Script{Command: run.Command{Argv: []string{"/no/such/script"}}}
	if err := bad.Deliver(t.Context(), []Alert{a}); err == nil {
		t.Error("a script that cannot be started counts as delivered")
	}
}

func TestWebhookPostsAllAlerts(t *testing.T) {
	status := http.StatusNoContent
	var got struct{ Alerts []Alert }
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := json.NewDecoder(r.Body).Decode(&got); err != nil {
			t.Errorf("body: %v", err)
		}
		w.WriteHeader(status)
	}))
	defer server.Close()
	hook := Webhook{URL: server.URL}
	if err := hook.Deliver(t.Context(), []Alert{splitBrain("VI_1"), splitBrain("VI_2")}); err != nil {
		t.Fatal(err)
	}
	if len(got.Alerts) != 2 || got.Alerts[1].ID != "split_brain/VI_2" || got.Alerts[0].Severity != Critical || !got.Alerts[0].Open() {
		t.Errorf("received %+v", got.Alerts)
	}
	status = http.StatusBadGateway
	if err := hook.Deliver(t.Context(), []Alert{splitBrain("VI_1")}); err == nil || !strings.Contains(err.Error(), "502 Bad Gateway") {
		t.Errorf("Deliver = %v, want the status", err)
	}
}

// relay takes one mail and returns its envelope and text.
func relay(t *testing.T) (address string, received <-chan string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	out := make(chan string, 1)
	go func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		c := textproto.NewConn(conn)
		var envelope strings.Builder
		c.PrintfLine("220 relay")
		for {
			line, err := c.ReadLine()
			if err != nil {
				return
			}
			switch verb, _, _ := strings.Cut(line, " "); verb {
			case "DATA":
				c.PrintfLine("354 go on")
				b, _ := io.ReadAll(c.DotReader())
				out <- envelope.String() + string(b)
				c.PrintfLine("250 taken")
			case "QUIT":
				c.PrintfLine("221 bye")
				return
			default:
				fmt.Fprintln(&envelope, line)
				c.PrintfLine("250 ok")
			}
		}
	}()
	return l.Addr().String(), out
}

func TestMailReachesTheRelay(t *testing.T) {
	address, received := relay(t)
	m := Mail{Server: address, Hello: "lb01", From: "ha@example.org", To: []string{"root@example.org", "ops@example.org"}}
	evil := splitBrain("VI_2")
	evil.Summary = "zwei Halter für VI_2\r\nBcc: everybody@example.org"
	evil.Severity = Info
	if err := m.Deliver(t.Context(), []Alert{evil, splitBrain("VI_1")}); err != nil {
		t.Fatal(err)
	}
	envelope, text, _ := strings.Cut(<-received, "From: ")
	if want := "EHLO lb01\nMAIL FROM:<ha@example.org>\nRCPT TO:<root@example.org>\nRCPT TO:<ops@example.org>\n"; envelope != want {
		t.Errorf("envelope = %q, want %q", envelope, want)
	}
	msg, err := mail.ReadMessage(strings.NewReader("From: " + text))
	if err != nil {
		t.Fatal(err)
	}
	subject, err := new(mime.WordDecoder).DecodeHeader(msg.Header.Get("Subject"))
	if want := "[lb01] split_brain: VI_1 has two holders (and 1 more)"; err != nil || subject != want {
		t.Errorf("Subject = %q, %v; want %q", subject, err, want)
	}
	if bcc := msg.Header.Get("Bcc"); bcc != "" {
		t.Errorf("a summary became a header: Bcc: %s", bcc)
	}
	body, err := io.ReadAll(quotedprintable.NewReader(msg.Body))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"CRITICAL: VI_1 has two holders", "seen      heartbeat of lb02", "do        check the network", "für VI_2"} {
		if !strings.Contains(string(body), want) {
			t.Errorf("body lacks %q:\n%s", want, body)
		}
	}
}

func TestMailSubjectCannotBecomeAHeader(t *testing.T) {
	a := splitBrain("VI_1")
	a.Summary = "x\r\nBcc: everybody@example.org"
	text := string(Mail{From: "a@example.org", To: []string{"b@example.org"}}.compose([]Alert{a}, time.Now()))
	headers, _, _ := strings.Cut(text, "\r\n\r\n")
	if strings.Contains(headers, "\r\nBcc") {
		t.Errorf("headers hold a forged one:\n%s", headers)
	}
}

func TestMailToARelayThatHangsEndsWithItsContext(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() // accepts by its backlog, never answers
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	start := time.Now()
	err = Mail{Server: l.Addr().String(), From: "a@example.org", To: []string{"b@example.org"}}.Deliver(ctx, []Alert{splitBrain("VI_1")})
	if err == nil || time.Since(start) > 2*time.Second {
		t.Errorf("Deliver = %v after %s, want an error at once", err, time.Since(start))
	}
}

func TestSeverityIsAWordInJSON(t *testing.T) {
	var s Severity
	if err := json.Unmarshal([]byte(`"warning"`), &s); err != nil || s != Warning {
		t.Errorf("Unmarshal = %s, %v, want warning", s, err)
	}
	if err := json.Unmarshal([]byte(`"bad"`), &s); err == nil {
		t.Error("an unknown severity is taken")
	}
}
