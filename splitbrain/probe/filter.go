package probe

import (
	"encoding/binary"
	"maps"
	"net/netip"
	"slices"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// maxFiltered is how many addresses a filter tells apart: the kernel takes 4096
// instructions (BPF_MAXINSNS). With more of them all messages are read.
const maxFiltered = 2000

// accept is more than any frame that matters.
const accept = 256

// filter passes ARP messages whose sender, or neighbour advertisements whose
// target is one of the addresses. Of an IPv6 address it looks at the last four
// bytes; who reads looks at the rest.
func filter(v6 bool, addrs map[netip.Addr]*interest) ([]bpf.RawInstruction, error) {
	var prog []bpf.Instruction
	offset := uint32(arpSender)
	if v6 {
		offset = ndTarget + 12
		prog = append(prog,
			bpf.LoadAbsolute{Off: ethernetHeader + 6, Size: 1},
			bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.IPPROTO_ICMPV6, SkipTrue: 1},
			bpf.RetConstant{},
			bpf.LoadAbsolute{Off: ndMessage, Size: 1},
			bpf.JumpIf{Cond: bpf.JumpEqual, Val: 136, SkipTrue: 1},
			bpf.RetConstant{},
		)
	}
	if len(addrs) <= maxFiltered {
		prog = append(prog, bpf.LoadAbsolute{Off: offset, Size: 4})
		for _, a := range slices.SortedFunc(maps.Keys(addrs), netip.Addr.Compare) {
			b := a.AsSlice()
			prog = append(prog,
				bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: binary.BigEndian.Uint32(b[len(b)-4:]), SkipTrue: 1},
				bpf.RetConstant{Val: accept},
			)
		}
		prog = append(prog, bpf.RetConstant{})
	} else {
		prog = append(prog, bpf.RetConstant{Val: accept})
	}
	return bpf.Assemble(prog)
}
