package check

import "testing"

func TestDamperGoesDownAfterRetriesAndUpAfterRise(t *testing.T) {
	tests := []struct {
		name        string
		retry, rise int
		alpha       bool
		results     string // one letter for each: s success, f failure
		want        string // u up, d down, ? not known (assumed) before and after each; r where the next is a retry
	}{
		{name: "assumed up, confirmed", retry: 1, results: "ss", want: "?u u u"},
		{name: "assumed up, down only after the retry", retry: 1, results: "ff", want: "?u ?ur d"},
		{name: "without retry one failure is enough", retry: 0, results: "sf", want: "?u u d"},
		{name: "three retries", retry: 3, results: "sffff", want: "?u u ur ur ur d"},
		{name: "a success between starts the count anew", retry: 1, results: "sfsfs", want: "?u u ur u ur u"},
		{name: "down is tried at its turns, not again at once", retry: 3, alpha: true, results: "fff", want: "?d d d d"},
		{name: "one success brings it up", retry: 1, alpha: true, results: "s", want: "?d u"},
		{name: "rise in a row", rise: 3, alpha: true, results: "ssfsss", want: "?d ?d ?d d d d u"},
		{name: "rise after a fall", rise: 2, results: "sfss", want: "?u u d d u"},
		{name: "values below their range count as the least", retry: -5, rise: -5, results: "fs", want: "?u d u"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			d := newDamper(Settings{Retry: test.retry, Rise: test.rise, Alpha: test.alpha})
			state := func() string {
				s := "d"
				if d.up {
					s = "u"
				}
				if !d.known {
					s = "?" + s
				}
				return s
			}
			got := state()
			for _, r := range test.results {
				before := state()
				changed, again := d.add(r == 's')
				if changed != (state() != before) {
					t.Errorf("after %q: changed = %v", got, changed)
				}
				got += " " + state()
				if again {
					got += "r"
				}
			}
			if got != test.want {
				t.Errorf("states = %s, want %s", got, test.want)
			}
		})
	}
}

func TestDoubtKeepsTheStateAndStartsTheCountAnew(t *testing.T) {
	d := newDamper(Settings{Retry: 1})
	d.add(true)
	d.add(false)
	d.doubt()
	if changed, again := d.add(false); changed || !again || !d.up || d.known {
		t.Errorf("first failure after doubt: changed %v, again %v, %+v; want a retry", changed, again, d)
	}
	if changed, _ := d.add(true); !changed || !d.known {
		t.Errorf("success after doubt: changed %v, %+v; want known", changed, d)
	}
}

func TestDefaultsAreKeepalived(t *testing.T) {
	tests := []struct {
		kind Kind
		loop string // delay_loop, delay_before_retry, warmup
		want string
	}{
		{TCPCheck, "1m0s 1s 1m0s", "retry 1"},
		{HTTPGet, "1m0s 3s 1m0s", "retry 1"},
		{SSLGet, "1m0s 3s 1m0s", "retry 1"},
		{SMTPCheck, "1m0s 1s 1m0s", "retry 1"},
		{DNSCheck, "1m0s 1m0s 1m0s", "retry 3"},
		{MiscCheck, "1m0s 1s 1m0s", "retry 0"},
		{UDPCheck, "1m0s 1s 1m0s", "retry 1"},
		{PingCheck, "1m0s 1s 1m0s", "retry 1"},
		{FileCheck, "1s 1s 0s", "retry 0"},
	}
	for _, test := range tests {
		t.Run(test.kind.String(), func(t *testing.T) {
			s := Defaults(test.kind, 0)
			loop := s.DelayLoop.String() + " " + s.DelayBeforeRetry.String() + " " + s.Warmup.String()
			retry := "retry " + string(rune('0'+s.Retry))
			if loop != test.loop || retry != test.want || s.Alpha || s.LogAllFailures || s.Rise != 0 {
				t.Errorf("Defaults = %+v, want %s, %s", s, test.loop, test.want)
			}
		})
	}
}
