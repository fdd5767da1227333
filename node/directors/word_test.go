package directors

import (
	"cmp"
	"encoding/base64"
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/hacluster/hacluster/lvs/director"
	"github.com/hacluster/hacluster/observed"
	"github.com/hacluster/hacluster/splitbrain"
)

func at(n int) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(n >> 8), byte(n)}), 80)
}

func seen(n int, o director.Opinion) director.Seen {
	return director.Seen{Glimpse: director.Glimpse{Key: director.KeyOf("web", at(n)), Opinion: o}, Service: "web", Server: at(n)}
}

// sightOf is of servers that are seen so.
func sightOf(servers ...director.Seen) director.Sight {
	slices.SortFunc(servers, func(a, b director.Seen) int { return cmp.Compare(a.Key, b.Key) })
	s := director.Sight{Set: 1 << 50, Servers: servers}
	for _, r := range servers {
		if r.Opinion != director.SeesUp {
			s.NotUp = append(s.NotUp, r.Glimpse)
		}
	}
	return s
}

func TestAWordSaysWhatIsSeenOrThatItDoesNotSay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		opinions := rapid.SliceOfN(rapid.Uint8Range(0, 2), 0, 40).Draw(t, "opinions")
		var servers []director.Seen
		for n, o := range opinions {
			servers = append(servers, seen(n, director.Opinion(o)))
		}
		w := wordOf(sightOf(servers...))
		got, ok := parse(w.encode())
		if !ok {
			t.Fatalf("%q cannot be read", w.encode())
		}
		unsaid := 0
		for n, o := range opinions {
			switch is := got.of(seen(n, 0).Key); {
			case is == director.Opinion(o):
			case is == director.Unsure && got.more:
				unsaid++
			default:
				t.Errorf("server %d: %d, want %d", n, is, o)
			}
		}
		if named := len(got.servers); unsaid > 0 && named != mostSaid || named > mostSaid {
			t.Errorf("%d servers are not said, with %d named", unsaid, named)
		}
		for n := range 20 {
			if o := got.of(seen(1000+n, 0).Key); o == director.SeesDown || o == director.Unsure && !got.more {
				t.Errorf("a server that is seen up is %d", o)
			}
		}
	})
}

func TestTheLongestWordLeavesRoomForTheOtherFacts(t *testing.T) {
	var servers []director.Seen
	for n := range 40 {
		servers = append(servers, seen(n, director.SeesDown))
	}
	w := wordOf(sightOf(servers...))
	facts := observed.Facts{Version: "v1.22.333-444-gabcdef0", Revision: 1 << 40, Started: 1 << 35, RestartingUntil: 1 << 35, Sees: w.encode()}
	if got := observed.DecodeFacts(facts.Encode(splitbrain.MaxFacts)); got != facts {
		t.Errorf("of %+v\narrived %+v", facts, got)
	}
	calm := wordOf(sightOf())
	if n := len(calm.encode()); n > 12 {
		t.Errorf("a word of a calm node has %d bytes, want at most 12", n)
	}
	if none := wordOf(director.Sight{}); none.encode() != "" {
		t.Errorf("who looks at nothing says %q", none.encode())
	}
}

func FuzzParse(f *testing.F) {
	w := wordOf(sightOf(seen(1, director.SeesDown), seen(2, director.Unsure)))
	f.Add(w.encode())
	f.Add("")
	f.Add(base64.RawStdEncoding.EncodeToString(make([]byte, headSize+2*serverSize)))
	f.Fuzz(func(t *testing.T, text string) {
		w, ok := parse(text)
		if !ok {
			return
		}
		again, ok := parse(w.encode())
		if !ok || fmt.Sprint(again) != fmt.Sprint(w) {
			t.Errorf("%q is %v, and then %v", text, w, again)
		}
		if len(w.encode()) > 140 {
			t.Errorf("%q has %d bytes", w.encode(), len(w.encode()))
		}
	})
}
