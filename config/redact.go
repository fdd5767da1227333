package config

import (
	"regexp"
	"sync"
)

// secrets are the patterns of Redact: what comes before a secret, and itself.
// secretOption matches names of options of fence agents whose values are secrets:
// passwd, snmp_priv_passwd, password_script, token, aws_secret_key.
const secretOption = `(?i:\w*(?:passw|secret|token|community|private_?key|access_?key|api_?key)\w*)`

type secrets struct{ line, list, name, option, statement, parameter, definition *regexp.Regexp }

var secretPatterns = sync.OnceValue(func() secrets {
	const value = `("(?:[^"\\\n]|\\.)*"?|'[^'\n]*'?|\$\{[^}\n]*\}|[^\s{}"'])`
	return secrets{
		// The values that a repetition gives a statement with a secret.
		line:   regexp.MustCompile(`(?m)^[-+ \t]*(?:@\S+[ \t]+)?~.*\b(?:auth_pass|alert_webhook)\b`),
		list:   regexp.MustCompile(`\([^)]*\)`),
		name:   regexp.MustCompile(`^` + secretOption + `$`),
		option: regexp.MustCompile(`((?m:^|\{)[-+ \t]*(?:@\S+[ \t]+)?` + secretOption + `[ \t]+)` + value + `+`),
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
// parameters that stand for them, URLs of webhooks, whose paths are tokens, and
// options of fence agents whose names say that they are secret.
// What it returns is for people, not for keepalived.
func Redact(text string) string {
	p := secretPatterns()
	hide := map[string]bool{}
	text = p.line.ReplaceAllStringFunc(text, func(s string) string {
		return p.list.ReplaceAllString(s, "("+redacted+")")
	})
	for _, pattern := range []*regexp.Regexp{p.statement, p.option} {
		text = pattern.ReplaceAllStringFunc(text, func(s string) string {
			m := pattern.FindStringSubmatch(s)
			if s[len(m[1]):] == `\` {
				return s // no value: the line of a definition that goes on
			}
			for _, ref := range p.parameter.FindAllStringSubmatch(s[len(m[1]):], -1) {
				hide[ref[1]] = true
			}
			return m[1] + redacted
		})
	}
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
