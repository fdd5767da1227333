package nlmsg

import (
	"encoding/binary"
	"errors"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func dial(t *testing.T) *Socket {
	t.Helper()
	s, err := Dial(unix.NETLINK_ROUTE, 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// getLink asks for a link by its index, or for all.
func getLink(r *Requests, index uint32, flags uint16) {
	r.Begin(unix.RTM_GETLINK, flags)
	var h [unix.SizeofIfInfomsg]byte
	binary.NativeEndian.PutUint32(h[4:], index)
	r.Raw(h[:]...)
	r.End()
}

const loopback, nowhere = 1, 1 << 30 // indices

func TestDoNamesThoseThatTheKernelRefused(t *testing.T) {
	s := dial(t)
	for range 2 {
		var r Requests
		for _, index := range []uint32{loopback, nowhere, loopback, nowhere} {
			getLink(&r, index, 0)
		}
		var refused []int
		err := s.Do(&r, func(i int, err error) {
			refused = append(refused, i)
			if !errors.Is(err, unix.ENODEV) {
				t.Errorf("request %d: %v, want ENODEV", i, err)
			}
		})
		if err != nil || !slices.Equal(refused, []int{1, 3}) {
			t.Errorf("Do: %v, refused %v; want 1 and 3", err, refused)
		}
	}
}

func TestMoreRefusalsThanTheBufferHoldsAreAnError(t *testing.T) {
	s := dial(t)
	var r Requests
	for range 8000 {
		getLink(&r, nowhere, 0)
	}
	refused := 0
	err := s.Do(&r, func(int, error) { refused++ })
	if !errors.Is(err, unix.ENOBUFS) {
		t.Errorf("Do: %v and %d refused, want ENOBUFS", err, refused)
	}
	r.Reset()
	getLink(&r, loopback, 0)
	if err := s.Do(&r, func(_ int, err error) { t.Error(err) }); err != nil {
		t.Errorf("the exchange behind it: %v", err)
	}
}

func TestDoOfNothingDoesNothing(t *testing.T) {
	if err := dial(t).Do(&Requests{}, func(int, error) { t.Error("refused") }); err != nil {
		t.Error(err)
	}
}

func TestAskReturnsWhenTheAnswerIsComplete(t *testing.T) {
	s := dial(t)
	mine := errors.New("mine")
	tests := map[string]struct {
		index  uint32
		flags  uint16
		result error
		want   error
	}{
		"one":                    {index: loopback},
		"a dump":                 {flags: unix.NLM_F_DUMP},
		"refused":                {index: nowhere, want: unix.ENODEV},
		"a dump, and f objects":  {flags: unix.NLM_F_DUMP, result: mine, want: mine},
		"one message, f objects": {index: loopback, result: mine, want: mine},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var r Requests
			getLink(&r, tt.index, tt.flags)
			var links []string
			_, err := s.Ask(&r, func(m Message) error {
				for typ, v := range Attributes(m.Data[unix.SizeofIfInfomsg:]) {
					if typ == unix.IFLA_IFNAME {
						links = append(links, String(v))
					}
				}
				return tt.result
			})
			if !errors.Is(err, tt.want) {
				t.Errorf("Ask: %v, want %v", err, tt.want)
			}
			if there := slices.Contains(links, "lo"); there == (tt.want == unix.ENODEV) {
				t.Errorf("links %v", links)
			}
		})
	}
}

func TestAnExchangeIgnoresTheRestOfTheOneBefore(t *testing.T) {
	s := dial(t)
	var r Requests
	getLink(&r, nowhere, 0)
	if _, err := s.send(&r); err != nil { // nobody reads the refusal
		t.Fatal(err)
	}
	r.Reset()
	getLink(&r, loopback, 0)
	if err := s.Do(&r, func(_ int, err error) { t.Error(err) }); err != nil {
		t.Error(err)
	}
}
