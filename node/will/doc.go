// Package will writes the last will of a process: from what vrrp and splitbrain say
// must happen when it dies to what package supervisor carries out. A record is sealed
// for the mesh beforehand, and again whenever its keys or members are others.
//
// The package starts no goroutine.
package will
