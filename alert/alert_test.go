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
	"github.com/hacluster/hacluster/observed"
)

var began = time.Date(2026, 11, 21, 14, 0, 0, 5e6, time.UTC)

func splitBrain(unit string) observed.Alert {
	return observed.Alert{
		ID: "split_brain/" + unit, Code: "split_brain", Severity: observed.Critical, Node: "lb01", Unit: unit,
		Summary: unit + " has two holders", Evidence: []string{"heartbeat of lb02, 40 ms ago: MASTER"}, Next: "check the network", Since: began,
	}
}

func TestOnlyTheLastChangeOfAnAlertIsTold(t *testing.T) {
	h := observed.NewHub()
	minor := splitBrain("VI_0")
	minor.Severity = observed.Info
	h.Raise(minor)
	h.Raise(splitBrain("VI_1"))
	h.Raise(splitBrain("VI_2"))
	ended := splitBrain("VI_1")
	ended.Resolved = began.Add(time.Second)
	h.Raise(ended)
	got, next, lost, _ := Alerts(h, observed.Warning, everything).take(0)
	if len(got) != 2 || got[0].Unit != "VI_2" || got[1].Unit != "VI_1" || state(got[1]) != "resolved" || next != 4 || lost != 0 {
		t.Errorf("take = %+v, %d, %d; want VI_2 open and VI_1 resolved, 4, 0", got, next, lost)
	}
}

func TestWhatIsLostIsCounted(t *testing.T) {
	h := observed.NewHub()
	all := Events(h, func(observed.Event) bool { return true })
	for range 5000 {
		h.Record(observed.Event{})
	}
	kept, _ := h.Events(0)
	if group, next, lost, _ := all.take(100); len(group) != len(kept) || next != 5000 || lost != uint64(4900-len(kept)) {
		t.Errorf("take = %d values up to %d, %d lost; want %d up to 5000, %d lost", len(group), next, lost, len(kept), 4900-len(kept))
	}
}

// recorder is a Deliverer that fails as often as it is told to.
type recorder struct {
	failures int
	calls    []string
	start    time.Time
}

func (r *recorder) Deliver(_ context.Context, group []observed.Alert) error {
	r.calls = append(r.calls, fmt.Sprintf("%s %d", time.Since(r.start), len(group)))
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
				h := observed.NewHub()
				h.Raise(splitBrain("before"))
				alerts := Alerts(h, observed.Warning, everything)
				to := &recorder{failures: test.failures, start: time.Now()}
				ctx, cancel := context.WithCancel(t.Context())
				done := make(chan uint64)
				go func() { done <- Deliver(ctx, alerts, alerts.Last(), to, slog.New(slog.DiscardHandler)) }()
				synctest.Wait()
				for i := range 255 {
					h.Raise(splitBrain(fmt.Sprintf("VI_%d", i)))
				}
				time.Sleep(time.Hour)
				cancel()
				if seq := <-done; seq != 256 {
					t.Errorf("Deliver = %d, want 256", seq)
				}
				if !slices.Equal(to.calls, test.want) {
					t.Errorf("deliveries = %v, want %v", to.calls, test.want)
				}
			})
		})
	}
}

func TestTheRestIsDeliveredAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := observed.NewHub()
		to := &recorder{start: time.Now(), failures: 1}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan uint64)
		go func() {
			done <- Deliver(ctx, Alerts(h, observed.Warning, everything), 0, to, slog.New(slog.DiscardHandler))
		}()
		h.Raise(splitBrain("VI_1"))
		time.Sleep(gather + gather/2) // the first attempt has failed
		h.Raise(splitBrain("VI_2"))
		cancel()
		if seq := <-done; seq != 2 || !slices.Equal(to.calls, []string{"1s 1", "1.5s 2"}) {
			t.Errorf("Deliver = %d after %v; want 2 after one more attempt with both", seq, to.calls)
		}
	})
}

func TestScriptGetsTheAlertInItsEnvironment(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	s := Script{Command: run.Command{Argv: []string{"sh", "-c", `echo "$0 $HACLUSTER_ALERT $HACLUSTER_ALERT_ID $HACLUSTER_ALERT_SEVERITY $HACLUSTER_ALERT_SINCE: $HACLUSTER_ALERT_SUMMARY" >> ` + out, "me"}}}
	a := splitBrain("VI_1")
	b := a
	b.Resolved = a.Since.Add(time.Second)
	b.Summary = "zero \x00 byte"
	if err := s.Deliver(t.Context(), []observed.Alert{a, b}); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(out)
	want := "me open split_brain/VI_1 critical 2026-11-21T14:00:00.005Z: VI_1 has two holders\n" +
		"me resolved split_brain/VI_1 critical 2026-11-21T14:00:00.005Z: zero  byte\n"
	if err != nil || string(got) != want {
		t.Errorf("script saw %q, %v; want %q", got, err, want)
	}
	bad := Script{Command: run.Command{Argv: []string{"/no/such/script"}}}
	if err := bad.Deliver(t.Context(), []observed.Alert{a}); err == nil {
		t.Error("a script that cannot be started counts as delivered")
	}
}

func TestWebhookPostsAllAlerts(t *testing.T) {
	status := http.StatusNoContent
	var got struct{ Alerts []document }
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := json.NewDecoder(r.Body).Decode(&got); err != nil {
			t.Errorf("body: %v", err)
		}
		w.WriteHeader(status)
	}))
	defer server.Close()
	hook := Webhook{URL: server.URL}
	if err := hook.Deliver(t.Context(), []observed.Alert{splitBrain("VI_1"), splitBrain("VI_2")}); err != nil {
		t.Fatal(err)
	}
	if len(got.Alerts) != 2 || got.Alerts[1].ID != "split_brain/VI_2" || got.Alerts[0].Severity != "critical" || got.Alerts[0].State != "open" {
		t.Errorf("received %+v", got.Alerts)
	}
	status = http.StatusBadGateway
	if err := hook.Deliver(t.Context(), []observed.Alert{splitBrain("VI_1")}); err == nil || !strings.Contains(err.Error(), "502 Bad Gateway") {
		t.Errorf("Deliver = %v, want the status", err)
	}
}

func TestWebhookErrorsDoNotShowThePath(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	hook := Webhook{URL: server.URL + "/token/s3cret"}
	answered := hook.Deliver(t.Context(), []observed.Alert{splitBrain("VI_1")})
	server.Close()
	refused := hook.Deliver(t.Context(), []observed.Alert{splitBrain("VI_1")})
	for _, err := range []error{answered, refused} {
		if err == nil || strings.Contains(err.Error(), "s3cret") || !strings.Contains(err.Error(), "post to 127.0.0.1") {
			t.Errorf("Deliver = %v, want an error with the host only", err)
		}
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
	m := Mail{Relay{Server: address, Hello: "lb01", From: "ha@example.org", To: []string{"root@example.org", "ops@example.org"}}}
	evil := splitBrain("VI_2")
	evil.Summary = "zwei Halter für VI_2\r\nBcc: everybody@example.org"
	evil.Severity = observed.Info
	if err := m.Deliver(t.Context(), []observed.Alert{evil, splitBrain("VI_1")}); err != nil {
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
	text := string(Relay{From: "a@example.org", To: []string{"b@example.org"}}.compose("x\r\nBcc: everybody@example.org", "", time.Now()))
	headers, _, _ := strings.Cut(text, "\r\n\r\n")
	if strings.Contains(headers, "\r\nBcc") {
		t.Errorf("headers hold a forged one:\n%s", headers)
	}
}

func TestStateMailNamesRouterTargetAndState(t *testing.T) {
	tests := []struct {
		name    string
		changes []observed.Event
		want    string
	}{{
		name:    "an instance",
		changes: []observed.Event{{Unit: "VI_1", Instance: "VI_1", From: "BACKUP", To: "MASTER"}},
		want:    "[WEB] VRRP instance VI_1 is MASTER",
	}, {
		name: "the newest of several stands for them",
		changes: []observed.Event{
			{Unit: "G1", Instance: "VI_1", From: "MASTER", To: "FAULT"},
			{Unit: "G1", From: "MASTER", To: "FAULT"},
		},
		want: "[WEB] VRRP group G1 is FAULT (and 1 more)",
	}, {
		name:    "the daemon's end",
		changes: []observed.Event{{Unit: "VI_1", Instance: "VI_1", From: "MASTER", To: "INIT"}},
		want:    "[WEB] VRRP instance VI_1 is STOP",
	}, {
		name:    "a real server",
		changes: []observed.Event{{Kind: observed.ServiceChanged, Unit: "tcp 192.0.2.1:80", Instance: "10.0.0.1:80", From: "up", To: "down"}},
		want:    "[WEB] real server 10.0.0.1:80 of tcp 192.0.2.1:80 is down",
	}, {
		name:    "a virtual service",
		changes: []observed.Event{{Kind: observed.ServiceChanged, Unit: "fwmark 5 ipv4", From: "with quorum", To: "without quorum"}},
		want:    "[WEB] virtual service fwmark 5 ipv4 is without quorum",
	}}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			address, received := relay(t)
			m := StateMail{Relay: Relay{Server: address, From: "a@example.org", To: []string{"b@example.org"}}, RouterID: "WEB"}
			if err := m.Deliver(t.Context(), tt.changes); err != nil {
				t.Fatal(err)
			}
			if text := <-received; !strings.Contains(text, "Subject: "+tt.want+"\n") {
				t.Errorf("mail lacks the subject %q:\n%s", tt.want, text)
			}
		})
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
	err = Mail{Relay{Server: l.Addr().String(), From: "a@example.org", To: []string{"b@example.org"}}}.Deliver(ctx, []observed.Alert{splitBrain("VI_1")})
	if err == nil || time.Since(start) > 2*time.Second {
		t.Errorf("Deliver = %v after %s, want an error at once", err, time.Since(start))
	}
}

func TestSeveritiesAreWords(t *testing.T) {
	for word, want := range map[string]observed.Severity{"info": observed.Info, "warning": observed.Warning, "critical": observed.Critical} {
		if got, ok := ParseSeverity(word); !ok || got != want || severity(got) != word {
			t.Errorf("ParseSeverity(%q) = %d, %v; want %d", word, got, ok, want)
		}
	}
	if _, ok := ParseSeverity("bad"); ok {
		t.Error("an unknown severity is taken")
	}
}

// everything is told by this node.
func everything(observed.Alert) bool { return true }

func TestWhatAnotherNodeTellsIsLeftOut(t *testing.T) {
	h := observed.NewHub()
	h.Raise(splitBrain("VI_1"))
	h.Raise(splitBrain("VI_2"))
	got, next, _, _ := Alerts(h, observed.Warning, func(a observed.Alert) bool { return a.Unit == "VI_2" }).take(0)
	if len(got) != 1 || got[0].Unit != "VI_2" || next != 2 {
		t.Errorf("take = %+v, %d; want VI_2 only, 2", got, next)
	}
}
