package config

import (
	"regexp"
	"sync"
)

// secrets are the patterns of Redact: what comes before a secret, and itself.
type secrets struct{ line, list, statement, parameter, definition *regexp.Regexp }

var secretPatterns = sync.OnceValue(func() secrets {
	const value = `("(?:[^"\\\n]|\\.)*"?|'[^'\n]*'?|\$\{[^}\n]*\}|[^\s{}"'])`
	return secrets{
		// The values that a repetition gives a statement with a secret.
		line: regexp.MustCompile(`(?m)^[-+ \t]*(?:@\S+[ \t]+)?~.*\b(?:auth_pass|alert_webhook)\b`),
		list: regexp.MustCompile(`\([^)]*\)`),
		// auth_pass and the URL of alert_webhook anywhere, in comments and on lines of a diff too; the key of
		// auth_hmac and the pass phrase of SSL only where a statement starts.
		statement:  regexp.MustCompile(`(\b(?:auth_pass|alert_webhook)[ \t]+|(?m:^[-+ \t]*(?:@\S+[ \t]+)?(?:password[ \t]+|key[ \t]+\d+[ \t]+)))` + value + `+`),
		parameter:  regexp.MustCompile(`\$\{?([A-Za-z_][A-Za-z0-9_]*)`),
		definition: regexp.MustCompile(`(?m)^([-+ \t]*(?:@\S+[ \t]+)?\$([A-Za-z_][A-Za-z0-9_]*)=)((?:.*\\[ \t]*\n)*.*)$`), // with the lines that continue it
	}
})

// redacted stands in the place of a secret.
const redacted = "***"

// Redact replaces the secrets of a document, or of a difference between two, by
// ***: passwords of authentication, keys, pass phrases, and the values of
// parameters that stand for them, and URLs of webhooks, whose paths are tokens.
// What it returns is for people, not for keepalived.
func Redact(text string) string {
	p := secretPatterns()
	hide := map[string]bool{}
	text = p.line.ReplaceAllStringFunc(text, func(s string) string {
		return p.list.ReplaceAllString(s, "("+redacted+")")
	})
	text = p.statement.ReplaceAllStringFunc(text, func(s string) string {
		m := p.statement.FindStringSubmatch(s)
		for _, ref := range p.parameter.FindAllStringSubmatch(s[len(m[1]):], -1) {
			hide[ref[1]] = true
		}
		return m[1] + redacted
	})
	// A hidden parameter may itself be made of others.
	for again := len(hide) > 0; again; {
		again = false
		for _, m := range p.definition.FindAllStringSubmatch(text, -1) {
			if !hide[m[2]] {
				continue
			}
			for _, ref := range p.parameter.FindAllStringSubmatch(m[3], -1) {
				if !hide[ref[1]] {
					hide[ref[1]], again = true, true
				}
			}
		}
	}
	return p.definition.ReplaceAllStringFunc(text, func(s string) string {
		m := p.definition.FindStringSubmatch(s)
		if !hide[m[2]] {
			return s
		}
		return m[1] + redacted
	})
}
