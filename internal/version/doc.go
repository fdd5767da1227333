// Package version says which build this is. The linker fills it in
// (-ldflags -X, see the Makefile); a plain go build leaves the defaults.
package version
