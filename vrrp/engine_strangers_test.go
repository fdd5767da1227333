package vrrp

import (
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hacluster/hacluster/vrrp/packet"
)

// S63, R10: a router that is no member sends with the highest priority: does it take
// the virtual router away? To ignore one that shares an address would make a second
// master for ever, and to follow one that shares none is no business of ours.
func TestStrangersAreJudgedByTheirAddresses(t *testing.T) {
	const stranger = "192.0.2.66"
	ours, theirs := "10.0.0.51", "203.0.113.7"
	tests := []struct {
		name      string
		strangers Strangers
		allow     []netip.Addr
		kin       Kin
		vip       string
		want      State
	}{
		{"none of our addresses: refused", RefuseDisjoint, nil, Kin{Complete: true}, theirs, Master},
		{"an address of ours: followed", RefuseDisjoint, nil, Kin{Complete: true}, ours, Backup},
		{"a member whose revision differs: followed", RefuseDisjoint, nil, Kin{Addrs: []netip.Addr{netip.MustParseAddr(stranger)}, Complete: true}, theirs, Backup},
		{"while a member is not known yet: followed", RefuseDisjoint, nil, Kin{}, theirs, Backup},
		{"foreign ignore: refused", IgnoreStrangers, nil, Kin{Complete: true}, ours, Master},
		{"foreign ignore, and allowed: followed", IgnoreStrangers, []netip.Addr{netip.MustParseAddr(stranger)}, Kin{Complete: true}, ours, Backup},
		{"foreign ignore while a member is not known yet: followed", IgnoreStrangers, nil, Kin{}, ours, Backup},
		{"plain VRRP: followed", FollowStrangers, nil, Kin{Complete: true}, theirs, Backup},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				lan := newMemoryLAN()
				a := startNode(t, lan, "a", "192.0.2.1")
				if err := a.engine.SetKin(t.Context(), tt.kin); err != nil {
					t.Fatal(err)
				}
				a.apply(unitSpec(51, 150, func(i *InstanceSpec) {
					i.Wire.Strangers, i.Wire.AllowForeign = tt.strangers, tt.allow
				}))
				time.Sleep(5 * time.Second)
				a.wantState("vi_51", Master)

				advert := packet.Advert{Version: 2, VRID: 51, Priority: 250, Interval: time.Second,
					Addrs: []netip.Addr{netip.MustParseAddr(tt.vip)}}
				src, dst := netip.MustParseAddr(stranger), netip.MustParseAddr("224.0.0.18")
				payload, err := advert.Append(nil, src, dst, packet.ChecksumPseudo)
				if err != nil {
					t.Fatal(err)
				}
				lan.inject(Packet{Src: src, Dst: dst, TTL: 255, Payload: payload}, IPv4)
				time.Sleep(10 * time.Millisecond)
				a.wantState("vi_51", tt.want)
			})
		})
	}
}
