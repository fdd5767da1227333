// Command tcg runs a command as root in a virtual machine with Debian's kernel
// over this machine's files, by QEMU without hardware support:
//
//	tcg -timeout 4m -- ./gate.test -test.v
//
// It is for what must be seen on that kernel and not on the one of the machine
// that tests. The kernel comes from Debian's package, which is unpacked under
// -cache and not installed. The root file system of the machine is the guest's,
// read and write, through 9p; /proc, /sys, /dev, /run and /lib/modules (which is
// made where it is missing) are the guest's own. The working directory, the environment and the exit status are kept;
// standard output and standard error come as one stream. The guest has no network.
//
// The exit status is the command's, 124 after -timeout, 125 when the guest
// failed; then its console is shown.
//
// The program is also the guest's first process: it puts itself into the initial
// RAM file system, so it must be built without cgo.
package main
