// Package api serves hacluster.v1 over gRPC: on the unix socket for people on
// this machine (Serve), and on the cluster's TLS port for the other members
// (Register). It translates and delegates: what it needs of the daemon stands
// as small interfaces in daemon.go.
//
// On the unix socket the kernel says who calls (SO_PEERCRED): who may open the
// socket may read, root may write. On the TLS port only members call, and only
// what members ask each other is offered there.
//
// Answers about the whole cluster are made by asking every live member for
// what it knows of itself. The package starts no goroutine of its own beside
// gRPC's and those that end with the call they serve.
package api
