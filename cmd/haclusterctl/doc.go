// Command haclusterctl is how people and scripts use a cluster: it talks to
// haclusterd on this machine, which speaks for all of it.
//
// Every command works on every node. Reads take -o json, whose schema is that
// of proto/hacluster/v1. Exit status: 0 done; 1 refused or failed, and nothing
// changed; 2 wrong usage, or what must be confirmed was not; 3 daemon not reachable, or no right; 4 committed, but
// not running on every live node; 5 outcome unknown.
package main
