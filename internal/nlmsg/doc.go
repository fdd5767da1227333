// Package nlmsg lays out netlink requests one after the other, so that many go
// in one system call, exchanges them with the kernel, and reads what it answers.
package nlmsg
