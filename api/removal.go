package api

import (
	"fmt"
	"slices"
	"strings"

	"google.golang.org/grpc/codes"

	"github.com/hacluster/hacluster/config"
	pb "github.com/hacluster/hacluster/proto/hacluster/v1"
)

// removals is what a change of the document takes away from the whole cluster.
type removals struct {
	instances     []removal // in the order of the old document
	addresses     []string  // every virtual address of the old document
	noAddressLeft bool      // there were some, and none would be left
	services      []string  // every virtual service of the old document, when none would be left
}

// removal is an instance that no node would have any more.
type removal struct {
	name      string
	addresses []string // with prefix length, of all nodes
}

// compareCluster says what a new document takes away from the named nodes
// together. What only moves between them stays.
func compareCluster(oldText, newText string, nodes []config.Member) removals {
	var out removals
	stays := make(map[string]bool)
	left, served := false, false
	for _, node := range nodes {
		cfg := compileFor(newText, node)
		for _, inst := range cfg.Instances {
			stays[inst.Name] = true
			left = left || len(addressesOf(inst)) > 0
		}
		served = served || len(cfg.VirtualServers) > 0
	}
	for _, node := range nodes {
		cfg := compileFor(oldText, node)
		for _, v := range cfg.VirtualServers {
			if !served {
				out.services = addNew(out.services, []string{"virtual_server " + v.Name})
			}
		}
		for _, inst := range cfg.Instances {
			addresses := addressesOf(inst)
			out.addresses = addNew(out.addresses, addresses)
			if stays[inst.Name] {
				continue
			}
			i := slices.IndexFunc(out.instances, func(r removal) bool { return r.name == inst.Name })
			if i < 0 {
				i = len(out.instances)
				out.instances = append(out.instances, removal{name: inst.Name})
			}
			out.instances[i].addresses = addNew(out.instances[i].addresses, addresses)
		}
	}
	out.noAddressLeft = len(out.addresses) > 0 && !left
	return out
}

func addressesOf(inst config.Instance) []string {
	var out []string
	for _, a := range slices.Concat(inst.Addresses, inst.Excluded) {
		out = append(out, a.Prefix.String())
	}
	return out
}

func addNew(list, more []string) []string {
	for _, s := range more {
		if !slices.Contains(list, s) {
			list = append(list, s)
		}
	}
	return list
}

// listed bounds how many instances or addresses a refusal names.
const listed = 8

// refuse returns the refusal of a change that takes things away, and nil when
// it does not.
func (r removals) refuse() error {
	var what []string
	for _, inst := range r.instances {
		word := "vrrp_instance " + inst.name
		if len(inst.addresses) > 0 {
			word += " (" + enumerate(inst.addresses) + ")"
		}
		what = append(what, word)
	}
	what = append(what, r.services...)
	text := ""
	switch {
	case len(what) > 0 && r.noAddressLeft:
		text = "this takes " + enumerate(what) + " away from every node, and no virtual address is left"
	case len(what) > 0:
		text = "this takes " + enumerate(what) + " away from every node"
	case r.noAddressLeft:
		text = "this takes every virtual address away: " + enumerate(r.addresses)
	default:
		return nil
	}
	return &refusal{
		code: codes.FailedPrecondition, reason: pb.ErrorReason_ERROR_REASON_REMOVES,
		text: text, remedy: "nothing was changed; --yes does it all the same",
	}
}

func enumerate(list []string) string {
	if len(list) > listed {
		return fmt.Sprintf("%s and %d more", strings.Join(list[:listed], ", "), len(list)-listed)
	}
	return strings.Join(list, ", ")
}

func (r removals) toProto() []*pb.Removal {
	var out []*pb.Removal
	for _, inst := range r.instances {
		out = append(out, &pb.Removal{Instance: inst.name, Addresses: inst.addresses})
	}
	return out
}
