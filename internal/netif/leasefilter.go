package netif

import (
	"encoding/binary"
	"os"
	"time"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// attachLeaseFilter makes the kernel drop the news of a lease's renewal before
// it wakes anybody: hundreds in a second on a busy machine, all of no interest.
// A renewal is an RTM_NEWADDR with a valid lifetime up to MaxLease of an address
// that was not created at the moment of its last change. (The sender's port would
// do for IPv4 only: the kernel leaves it out for IPv6.) What is added anew, and
// every removal, passes.
func attachLeaseFilter(fd int) error {
	program, err := bpf.Assemble(leaseFilter())
	if err != nil {
		return err
	}
	filter := make([]unix.SockFilter, len(program))
	for i, in := range program {
		filter[i] = unix.SockFilter{Code: in.Op, Jt: in.Jt, Jf: in.Jf, K: in.K}
	}
	return os.NewSyscallError("setsockopt SO_ATTACH_FILTER", unix.SetsockoptSockFprog(fd,
		unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}))
}

func leaseFilter() []bpf.Instruction {
	const (
		typeOffset = 4                                        // struct nlmsghdr
		attrs      = unix.NLMSG_HDRLEN + unix.SizeofIfAddrmsg // the first attribute
		valid      = unix.SizeofRtAttr + 4                    // struct ifa_cacheinfo
		created    = valid + 4                                //
		updated    = created + 4                              //
	)
	return []bpf.Instruction{
		bpf.LoadAbsolute{Off: typeOffset, Size: 2},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: uint32(loaded16(unix.RTM_NEWADDR)), SkipTrue: 13},
		bpf.LoadConstant{Dst: bpf.RegX, Val: unix.IFA_CACHEINFO},
		bpf.LoadConstant{Dst: bpf.RegA, Val: attrs},
		bpf.LoadExtension{Num: bpf.ExtNetlinkAttr},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: 0, SkipTrue: 9},
		bpf.TAX{},
		bpf.LoadIndirect{Off: valid, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpBitsSet, Val: loaded32(^uint32(MaxLease / time.Second)), SkipTrue: 6},
		bpf.LoadIndirect{Off: updated, Size: 4},
		bpf.StoreScratch{Src: bpf.RegA, N: 0},
		bpf.LoadIndirect{Off: created, Size: 4},
		bpf.LoadScratch{Dst: bpf.RegX, N: 0},
		bpf.JumpIfX{Cond: bpf.JumpEqual, SkipTrue: 1},
		bpf.RetConstant{Val: 0},
		bpf.RetConstant{Val: 0xffffffff},
	}
}

// loaded16 is how a program sees a number in the host's order: it loads all in
// network order.
func loaded16(v uint16) uint16 {
	return binary.BigEndian.Uint16(binary.NativeEndian.AppendUint16(nil, v))
}

func loaded32(v uint32) uint32 {
	return binary.BigEndian.Uint32(binary.NativeEndian.AppendUint32(nil, v))
}
