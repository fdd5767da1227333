package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/textproto"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hacluster/hacluster/e2e/lab"
)

// inbox keeps what arrives in order of arrival.
type inbox struct {
	mu       sync.Mutex
	messages []string
}

func (i *inbox) put(message string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.messages = append(i.messages, message)
}

// want waits for one message with all words in it.
func (i *inbox) want(t *testing.T, within time.Duration, words ...string) {
	t.Helper()
	lab.Want(t, within, fmt.Sprintf("a message with %q", words), func() (string, bool) {
		i.mu.Lock()
		defer i.mu.Unlock()
		for _, m := range i.messages {
			has := 0
			for _, w := range words {
				if strings.Contains(m, w) {
					has++
				}
			}
			if has == len(words) {
				return m, true
			}
		}
		return fmt.Sprintf("%d messages:\n%s", len(i.messages), strings.Join(i.messages, "\n---\n")), false
	})
}

// listen opens a TCP port of a node that goes with the test.
func listen(t *testing.T, n *lab.Node, port int) net.Listener {
	t.Helper()
	var l net.Listener
	err := n.Do(func() (err error) {
		l, err = net.Listen("tcp", fmt.Sprintf("%v:%d", n.Addr4(lab.Service), port))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// relay is a mail server of our own for this test: just enough of RFC 5321 to
// take mails from net/smtp into an inbox. It checks nothing and relays nothing.
func relay(t *testing.T, n *lab.Node, port int) *inbox {
	t.Helper()
	l, in := listen(t, n, port), &inbox{}
	go func() { // ends when the listener is closed
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() { // ends with its client
				defer conn.Close()
				takeMails(textproto.NewConn(conn), in)
			}()
		}
	}()
	return in
}

func takeMails(c *textproto.Conn, in *inbox) {
	var envelope strings.Builder
	_ = c.PrintfLine("220 relay")
	for {
		line, err := c.ReadLine()
		if err != nil {
			return
		}
		switch verb, _, _ := strings.Cut(line, " "); verb {
		case "DATA":
			_ = c.PrintfLine("354 go on")
			text, err := io.ReadAll(c.DotReader())
			if err != nil {
				return
			}
			in.put(envelope.String() + string(text))
			envelope.Reset()
			_ = c.PrintfLine("250 taken")
		case "QUIT":
			_ = c.PrintfLine("221 bye")
			return
		default:
			envelope.WriteString(line + "\n")
			_ = c.PrintfLine("250 ok")
		}
	}
}

// A pair with keepalived's words for mail says who has become master, and that
// a daemon has let go before it ended.
func TestChangesOfStateAreMailed(t *testing.T) {
	t.Parallel()
	lan := lab.New(t)
	na, nb := lan.Node("a"), lan.Node("b")
	post := lan.Host("post")
	mails := relay(t, post, 2525)
	conf := fmt.Sprintf(`
global_defs {
	router_id WEB
	smtp_server %v 2525
	smtp_connect_timeout 5
	notification_email_from ha@example.org
	notification_email {
		ops@example.org
		root@example.org
	}
}
`, post.Addr4(lab.Service)) + twoNodes(3, 150, 100, vip, "smtp_alert")
	a := na.StartStandalone(conf)
	b := nb.StartStandalone(conf)
	mails.want(t, electionTime+5*time.Second, "Subject: [WEB] VRRP instance VI_1 is MASTER", "On node a.",
		"MAIL FROM:<ha@example.org>", "RCPT TO:<ops@example.org>\nRCPT TO:<root@example.org>\n")
	mails.want(t, 5*time.Second, "Subject: [WEB] VRRP instance VI_1 is BACKUP", "On node b.")

	a.Stop(5 * time.Second)
	mails.want(t, 5*time.Second, "Subject: [WEB] VRRP instance VI_1 is STOP", "On node a.")
	mails.want(t, masterDown(100)+5*time.Second, "Subject: [WEB] VRRP instance VI_1 is MASTER", "On node b.")

	// A relay that is away holds up nothing.
	post.Block(lab.AllIP, lab.Both)
	b.Stop(5 * time.Second)
}

// Protocol 112 is blocked on all nodes: a webhook and a script hear of it, and
// of its end. Both were named by a revision that came while the nodes ran.
func TestAlertsReachWebhookAndScript(t *testing.T) {
	t.Parallel()
	s := newTrio(t, lab.Control, trioConf(""))
	pager := s.lan.Host("pager")
	posts := &inbox{}
	server := &http.Server{Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var doc struct {
			Alerts []struct{ Code, State, Node, Unit, Severity string }
		}
		if err := json.NewDecoder(r.Body).Decode(&doc); err != nil {
			t.Errorf("webhook: %v", err)
		}
		for _, a := range doc.Alerts {
			posts.put(strings.Join([]string{r.URL.Path, a.Code, a.State, a.Node, a.Unit, a.Severity}, " "))
		}
	})}
	t.Cleanup(func() { server.Close() })
	l := listen(t, pager, 8080)
	go server.Serve(l) // ends when it is closed

	told := filepath.Join(s.b.TempDir(), "told")
	script := s.b.WriteScript("tell", `echo "$1 $HACLUSTER_ALERT_CODE $HACLUSTER_ALERT $HACLUSTER_ALERT_NODE" >>`+told)
	conf := s.a.WriteFile("alerts.conf", trioConf("")+fmt.Sprintf(`
cluster {
	alert_webhook http://%v:8080/hook
	alert_script "%s page" root
	alert_level warning
}
`, pager.Addr4(lab.Service), script))
	s.da.MustCtl("config", "apply", conf, "-m", "tell somebody")

	for _, n := range s.nodes() {
		n.Block(lab.VRRP, lab.Both)
	}
	posts.want(t, 10*time.Second, "/hook vrrp_channel_lost open lb02 VI_1 warning")
	wantLine(t, told, "page vrrp_channel_lost open lb02")

	for _, n := range s.nodes() {
		n.Unblock(lab.VRRP)
	}
	posts.want(t, 15*time.Second, "/hook vrrp_channel_lost resolved lb02 VI_1 warning")
	wantLine(t, told, "page vrrp_channel_lost resolved lb02")
}

// keepalived passes over a tracked script whose program does not exist, and
// runs the instance. One that exists and cannot be launched has failed.
func TestAMissingTrackScriptIsNotTracked(t *testing.T) {
	t.Parallel()
	lan := lab.New(t)
	n := lan.Node("a")
	conf := func(program string) string {
		return "vrrp_script chk {\n script " + program + "\n interval 1\n fall 1\n rise 1\n}\n" +
			twoNodes(3, 150, 100, vip, "track_script { chk }")
	}
	d := n.StartStandalone(conf("/no/such/program"))
	d.WantLog("its program does not exist", 5*time.Second)
	n.WantAddr(vip, electionTime)

	text := n.WriteFile("check", "#!/bin/sh\n") // not executable
	d.Reload(conf(text))
	n.WantNoAddr(vip, 5*time.Second)
}
