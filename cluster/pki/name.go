package pki

import (
	"crypto/rand"
	"encoding/base32"
	"fmt"
	"net/url"
	"strings"
)

// scheme is the scheme of the URIs by which certificates name nodes.
const scheme = "hacluster"

// lowerBase32 is the alphabet of ids and tokens: letters and the digits 2 to 7,
// readable over a telephone and free of characters that a shell interprets.
var lowerBase32 = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// NewClusterID returns a random cluster id: 26 characters of base32, 128 bits.
func NewClusterID() string {
	return randomID(16)
}

// NewNodeID returns an id for one life of a node, from admission to leave:
// NAME#RANDOM, where RANDOM is 8 characters of base32.
func NewNodeID(name string) string { return name + "#" + randomID(5) }

func randomID(bytes int) string {
	b := make([]byte, bytes)
	rand.Read(b) // never fails: see crypto/rand
	return lowerBase32.EncodeToString(b)
}

// CheckNodeName says whether name can be a node's name: 1 to 63 characters of
// a-z, 0-9, dot and hyphen, beginning and ending with a letter or digit.
func CheckNodeName(name string) error {
	const right = "use 1 to 63 characters of a-z, 0-9, dot and hyphen, with a letter or digit first and last"
	if len(name) < 1 || len(name) > 63 {
		return fmt.Errorf("node name %q has %d characters; %s", name, len(name), right)
	}
	for _, r := range name {
		if (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '.' && r != '-' {
			return fmt.Errorf("node name %q contains %q; %s", name, r, right)
		}
	}
	if strings.ContainsAny(name[:1]+name[len(name)-1:], ".-") {
		return fmt.Errorf("node name %q begins or ends with a dot or hyphen; %s", name, right)
	}
	return nil
}

// nodeURI returns the URI that a certificate for node carries.
func nodeURI(clusterID, node string) *url.URL {
	return &url.URL{Scheme: scheme, Host: clusterID, Path: "/node/" + node}
}
