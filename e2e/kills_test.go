package e2e

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hacluster/hacluster/e2e/lab"
)

// revisionLine is what the test reads of `config history -o json`.
type revisionLine struct {
	Number    json.Number `json:"number"`
	SHA256    string      `json:"sha256"`
	RequestID string      `json:"request_id"`
}

func historyOf(d *lab.Daemon) []revisionLine {
	var out struct {
		Revisions []revisionLine `json:"revisions"`
	}
	d.CtlJSON(&out, "config", "history", "--limit", "100000")
	return out.Revisions
}

// Daemons are killed at random moments while each node applies one edit after
// the other; half of the kills come within 20 ms after an edit was
// acknowledged. No acknowledged revision is lost, none has another hash
// anywhere, and every node starts again. HACLUSTER_KILLS says how many.
func TestKillsLoseNoAcknowledgedRevision(t *testing.T) {
	kills := 20
	if n, err := strconv.Atoi(os.Getenv("HACLUSTER_KILLS")); err == nil {
		kills = n
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	s := newTrio(t, lab.Control, trioConf(""))

	var (
		mu           sync.Mutex
		acknowledged = map[string]string{} // hash of the text, by request
		refused      int
		last         string // answer to an edit that was not acknowledged
	)
	acks := make(chan struct{}, 1)
	stop := make(chan struct{})
	var writers sync.WaitGroup
	for i, d := range s.daemons() {
		writers.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				request := fmt.Sprintf("kills-%d-%d", i, n)
				text := fmt.Sprintf("# edit %d of %s\n%s", n, d.Node.Name, trioConf(""))
				file := d.Node.WriteFile(fmt.Sprintf("edit-%d.conf", n), text)
				res := d.Ctl("config", "apply", file, "--request", request, "--timeout", "3s")
				mu.Lock()
				// 0: runs everywhere; 4: committed, but not running everywhere.
				if res.Exit == 0 || res.Exit == 4 {
					sum := sha256.Sum256([]byte(text))
					acknowledged[request] = hex.EncodeToString(sum[:])
					select {
					case acks <- struct{}{}:
					default:
					}
				} else {
					refused++
					last = fmt.Sprintf("%s: %v", d.Name, res)
				}
				mu.Unlock()
				lab.During(20 * time.Millisecond)
			}
		})
	}
	for n := range kills {
		if n%2 == 0 {
			// Within 20 ms after an edit was acknowledged.
			select {
			case <-acks:
			default:
			}
			select {
			case <-acks:
			case <-time.After(10 * time.Second):
				mu.Lock()
				t.Errorf("kill %d: no edit was acknowledged within 10 s; the last answer: %s", n, last)
				mu.Unlock()
			}
			lab.During(time.Duration(random.IntN(20)) * time.Millisecond)
		} else {
			lab.During(time.Duration(random.IntN(800)) * time.Millisecond)
		}
		victim := s.daemons()[random.IntN(3)]
		victim.KillAll()
		lab.During(time.Duration(random.IntN(300)) * time.Millisecond)
		victim.Restart()
		wantAnswer(t, victim)
	}
	close(stop)
	writers.Wait()
	for _, d := range s.daemons() {
		wantPeers(t, d, 2)
	}

	newest := historyOf(s.da)[0].Number.String()
	wantRevision(t, newest, s.daemons()...)
	reference := historyOf(s.da)
	for _, d := range s.daemons() {
		history := historyOf(d)
		if got, want := fmt.Sprint(history), fmt.Sprint(reference); got != want {
			t.Errorf("%s has another history than lb01:\n%s\n%s", d.Name, got, want)
		}
	}
	byRequest := map[string]revisionLine{}
	for _, r := range reference {
		if _, twice := byRequest[r.RequestID]; twice {
			t.Errorf("request %s made two revisions", r.RequestID)
		}
		byRequest[r.RequestID] = r
	}
	for request, hash := range acknowledged {
		switch r, ok := byRequest[request]; {
		case !ok:
			t.Errorf("acknowledged request %s is lost", request)
		case !strings.EqualFold(r.SHA256, hash):
			t.Errorf("request %s: hash %s, acknowledged was %s", request, r.SHA256, hash)
		}
	}
	t.Logf("%d kills, %d edits acknowledged, %d not, newest revision %s", kills, len(acknowledged), refused, newest)
	if len(acknowledged) < kills/2 {
		t.Errorf("only %d edits were acknowledged: the test proves little", len(acknowledged))
	}
}
