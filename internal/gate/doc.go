// Package gate makes the kernel forget a virtual address at an absolute time,
// whatever happens to the processes that hold it (the kernel lease: rule R7).
//
// A unit has a Slot: two readings of CLOCK_BOOTTIME in memory that it shares
// with two eBPF programs, one for each direction, on every link of the machine.
// Until the deadline the slot is open and nothing happens. From then until the
// end of the entry it is closed, and what makes this machine the holder of the
// unit's addresses in the eyes of others is dropped:
//
//	in   packets to an address, where it is local; ARP requests and neighbour
//	     solicitations for it
//	out  ARP and neighbour advertisements with it as sender, and every packet
//	     from it, that this machine made; VRRP adverts of the unit's routers,
//	     but for the farewell of priority 0
//
// What is never touched: packets that are forwarded or bridged, and packets to
// or from an address that no slot names. The programs see a frame before any
// firewall or DNAT does, and after whatever a packet socket wrote.
//
// To renew is to store one number. A process that stands still for however long,
// between any two instructions, prolongs nothing: the number is an absolute time.
// Programs and slots outlive every process, and a suspended machine's clock goes
// on. New replaces what an earlier life of the same name left behind.
//
// Gate.Run, on the goroutine of its caller, follows the links and puts back what
// somebody removed. Nothing else is started.
//
// What it does not do: it says nothing of other programs on a link that run before
// it and let a packet pass for good (tcx, XDP), nor of links whose frames have
// neither an Ethernet header nor none (IP over InfiniBand): Gate.Guards tells.
package gate
