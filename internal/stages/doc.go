// Package stages runs parts of a program that need each other, and so must end in
// order. Each part has one goroutine, which End waits for.
package stages
