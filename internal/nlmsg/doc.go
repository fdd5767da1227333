// Package nlmsg lays out netlink requests one after the other, so that many go
// in one system call, and reads what the kernel answers. It has no socket.
package nlmsg
