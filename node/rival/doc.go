// Package rival finds a keepalived on this machine that runs our virtual routers as
// well: each would take the other's adverts for its own. It reads /proc and that
// program's document, and changes nothing.
package rival
