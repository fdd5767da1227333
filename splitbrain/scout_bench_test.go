package splitbrain

import (
	"net/netip"
	"testing"
	"time"

	"github.com/hacluster/hacluster/internal/kclock"
	"github.com/hacluster/hacluster/internal/rules"
)

// BenchmarkBackgroundProbes is one second of a BACKUP of 255 units, with the
// probes and without them: heartbeats are counted in both.
func BenchmarkBackgroundProbes(b *testing.B) {
	for _, probed := range []bool{false, true} {
		name := "without"
		if probed {
			name = "with"
		}
		b.Run(name, func(b *testing.B) {
			c := NewCore("n1", 1, 9, 0, t0)
			c.SetMembers([]Member{{Name: "n1"}, {Name: "n2"}})
			c.SetMACs([]MAC{{1}})
			record := &Record{Cluster: 9, Node: "n2", Boot: 2, Interval: rules.DefaultHeartbeat, Addrs: []netip.Addr{addr("192.0.2.2")}, MACs: []MAC{{2}}}
			var units []UnitView
			for i := range 255 {
				vip := netip.AddrFrom4([4]byte{10, 0, 0, byte(i)})
				u := UnitView{
					Name: vip.String(), State: Backup, Since: t0, Eligible: true, Priority: 100,
					Primary: addr("192.0.2.1"), VIPs: []netip.Addr{vip}, AdvertInterval: time.Second,
				}
				if probed {
					u.Networks = []Network{{
						Interface: "eth0", Source: addr("192.0.2.1"), VIPs: u.VIPs, Gateways: []netip.Addr{gateway},
						Subnets: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")},
					}}
				}
				units = append(units, u)
				record.Claims = append(record.Claims, Claim{
					Unit: u.Name, State: Master, Eligible: true, Priority: 200, Primary: addr("192.0.2.2"), VIPs: u.VIPs,
					Tenure: Tenure{Seq: 1, Priority: 200, Primary: addr("192.0.2.2")}, StateAge: time.Hour,
				})
			}
			c.SetUnits(units)
			clock := t0
			probes := 0
			for b.Loop() {
				for end := clock.Add(time.Second); clock.Before(end); {
					clock = later(c.Deadline(), clock.Add(time.Microsecond))
					out := c.Step(clock, kclock.Instant(clock.UnixNano()))
					probes += len(out.Probes)
					if out.Record != nil {
						record.Seq = out.Record.Seq
						record.Acks = []Ack{{Boot: 1, Known: out.Record.Seq, Direct: out.Record.Seq}}
						c.Receive(clock, &Datagram{Record: *record}, "eth0")
					}
					for _, p := range out.Probes {
						c.Sighted(Sighting{Interface: p.Interface, Addr: p.Addr, MAC: MAC{2}, At: clock})
					}
					if len(out.Probes) > 0 {
						c.Step(clock, kclock.Instant(clock.UnixNano())) // the answers wake it
					}
				}
			}
			b.ReportMetric(float64(probes)/float64(b.N), "probes/op")
		})
	}
}
