// Package balance tests the load balancer of a real haclusterd in a guest whose
// kernel has IPVS (package e2e/lab/guest). Its tests have the build tag guest and run
// nowhere else: make ipvs boots the guest. The environment names the directory of the
// programs, HACLUSTER_BIN.
package balance
