// Package pki holds the cluster's certificate authority, the certificates of
// its nodes and the tokens with which a machine joins.
//
// The authority is made once, at init: ECDSA P-256, ten years. A node has a key
// that never leaves it and a certificate of 90 days whose only name is a URI,
//
//	hacluster://CLUSTERID/node/NAME
//
// so that a certificate is worth nothing in another cluster, and nothing for
// another node. Both ends of a connection check it (RFC 5280 section 6 for the
// chain, the URI for the rest).
//
// A token is one line of base32 that carries what a machine needs in order to
// trust the cluster before the cluster trusts it: the pin of the authority's
// public key (RFC 7469 section 2.4), an id, a secret, a role and addresses to
// try. The pin is checked before the secret is sent. Only a hash of the secret
// is ever stored.
//
// The package starts no goroutines and opens no sockets. Time is a parameter,
// because certificates and tokens are the only things in hacluster that depend
// on the wall clock.
package pki
