package api

import (
	"regexp"
	"strings"

	"github.com/rogpeppe/go-internal/diff"
)

// Secrets of the document: the value of auth_pass, and of definitions that it
// is taken from.
var (
	authPass   = regexp.MustCompile(`(\bauth_pass[ \t]+)("[^"\n]*"|[^ \t\r\n}]+)`)
	variable   = regexp.MustCompile(`^"?\$\{?([A-Za-z0-9_]+)\}?"?$`)
	redactedAs = "***"
)

// redact replaces the secrets of a document by ***.
func redact(text string) string {
	for _, m := range authPass.FindAllStringSubmatch(text, -1) {
		if v := variable.FindStringSubmatch(m[2]); v != nil {
			definition := regexp.MustCompile(`(?m)^([ \t]*(?:@\S+[ \t]+)?\$` + v[1] + `[ \t]*=[ \t]*)(?:[^\n]*\\\n)*[^\n]*$`)
			text = definition.ReplaceAllString(text, "${1}"+redactedAs)
		}
	}
	return authPass.ReplaceAllString(text, "${1}"+redactedAs)
}

// unifiedDiff compares two documents without their secrets.
func unifiedDiff(oldName, oldText, newName, newText string) string {
	if oldText == newText {
		return ""
	}
	out := string(diff.Diff(oldName, []byte(redact(oldText)), newName, []byte(redact(newText))))
	if out == "" {
		return "only secrets (auth_pass) differ\n"
	}
	_, out, _ = strings.Cut(out, "\n") // the line "diff OLD NEW"
	return out
}
