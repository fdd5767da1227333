package desired

import (
	"testing"
	"time"

	"github.com/hacluster/hacluster/vrrp"
)

func TestTheLongestLeaseIsThatOfAnyNode(t *testing.T) {
	const document = `
vrrp_instance A {
	interface eth0
	virtual_router_id 1
	virtual_ipaddress { 192.0.2.1 }
	split_brain {
		policy quorum
		lease 5
@lb02		lease 9
	}
}
`
	for _, tt := range []struct {
		name  string
		nodes []string
		want  time.Duration
	}{
		{"of the only node", []string{"lb01"}, 5 * time.Second},
		{"of another node", []string{"lb01", "lb02"}, 9 * time.Second},
		{"of nobody", nil, 0},
	} {
		if got := LongestLease(document, tt.nodes); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
	if got := LongestLease("vrrp_instance {", []string{"lb01"}); got != 0 {
		t.Errorf("a document that runs nowhere: %v, want 0", got)
	}
}

func TestWhatKeepsAGateOfPolicyQuorumOpen(t *testing.T) {
	for _, tt := range []struct {
		name           string
		kernel, leases bool
		want           vrrp.KernelLease
	}{
		{"the lease opens the gate", true, true, vrrp.LeaseByEvents},
		{"without one it renews the addresses", false, true, vrrp.LeaseByLifetime},
		{"nobody gives leases", true, false, vrrp.LeaseByAdverts},
	} {
		if got := (SplitBrain{Policy: "quorum", KernelLease: tt.kernel}).Gate(tt.leases); got != tt.want {
			t.Errorf("%s: Gate = %v, want %v", tt.name, got, tt.want)
		}
	}
}
