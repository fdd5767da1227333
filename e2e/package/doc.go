// Package debian tells what the Debian package does to a machine: it is
// installed, used, broken, removed and purged on a Debian 12 whose init is
// systemd, in a container on a lab's network. It holds tests only, sees no
// package of the product, and needs root, dist/ as make package leaves it,
// mmdebstrap and systemd-nspawn.
//
// The root file system is made once from the Debian mirror that apt is
// configured with here, and kept below /var/cache/hacluster-test.
package debian
