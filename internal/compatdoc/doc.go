// Command compatdoc writes docs/compat.md: what becomes of each word of
// keepalived's language, from the table of package config, below a text about
// where hacluster behaves differently on purpose.
//
// It starts no goroutine and reads nothing but its own text.
package main
