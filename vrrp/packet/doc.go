// Package packet encodes and decodes VRRP advertisements: version 2
// (RFC 3768, with the password of RFC 2338) and version 3 (RFC 5798,
// RFC 9568), over IPv4 and IPv6.
//
// It sees the bytes behind the IP header. TTL, interface and everything that
// needs configuration are checked by the caller.
package packet
