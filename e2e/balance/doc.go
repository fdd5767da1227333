// Package balance tests the load balancer of a real haclusterd in a guest whose
// kernel has IPVS (package e2e/lab/guest). Its tests have the build tag guest and run
// nowhere else: make ipvs boots the guest. The environment names the directory of the
// programs, HACLUSTER_BIN.
//
// The stories of users (U6, U7, U8) have a client, two directors that share virtual
// addresses, and two real servers, each in a namespace. They are told twice, with
// haclusterd and with keepalived, and after each step the kernels must have the same
// table; where they do not, the story says so and docs/compat.md says why.
package balance
