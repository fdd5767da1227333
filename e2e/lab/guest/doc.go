// Package guest runs one command as root on a kernel that has IPVS, where the
// machine's own has none: Debian's User Mode Linux (package user-mode-linux), an
// ordinary process that needs neither KVM nor a module of the host.
//
// The guest's root is the host's, read and write: what the command reads and
// leaves there is the host's, and root in the guest is whoever called. Its own
// are /run and /dev/shm, in memory, and /dev, /proc, /sys. Its network is its own
// and reaches nothing outside. It has one CPU. A boot takes about two seconds.
//
// Kept are the working directory, the environment, the umask, arguments, exit
// status, and output as two streams. Standard input is empty.
//
// Run is the host's side. In the guest the same program is process 1, so main
// calls Main first. There is one goroutine for each of the two streams, and one
// that holds the guest's thread; all end with Run.
package guest
