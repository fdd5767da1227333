package config

import (
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/hacluster/hacluster/config/syntax"
)

// httpWords compiles what HTTP_GET and SSL_GET have of their own.
func (c *compiler) httpWords(k *checkerBlock, s *syntax.Node) bool {
	to := k.to.HTTP
	switch s.Word.Text {
	case "url":
		if u, ok := c.url(s); ok {
			to.URLs = append(to.URLs, u)
		}
	case "nb_get_retry":
		c.warnf(s.Word.Pos, "nb_get_retry is an old name; write retry")
		if v, ok := c.integer(s, 0, math.MaxInt32); ok {
			k.pace.retry = &v
		}
	case "virtualhost":
		c.text(s, &k.virtualHost)
	case "http_protocol":
		if t, ok := c.arg(s); ok {
			to.Protocol = t.Text
			if !slices.Contains([]string{"1.0", "1.0C", "1.0c", "1.1", "2"}, t.Text) {
				c.errorf(t.Pos, "http_protocol %s is not known; use 1.0, 1.0C, 1.1 or 2", t.Text)
			}
			to.Protocol = strings.ToUpper(t.Text)
		}
	case "enable_sni":
		k.enableSNI = c.flag(s)
	case "sni_name":
		c.text(s, &k.sniName)
	case "fast_recovery":
		c.boolean(s) // all urls are fetched in one turn, which is as fast
	case "tls_compliant":
		to.TLSCompliant = c.flag(s)
	default:
		return false
	}
	return true
}

// hasURLs refuses a check that would never fail.
func (c *compiler) hasURLs(k *checkerBlock) bool {
	if slices.ContainsFunc(k.node.Children, func(s *syntax.Node) bool { return s.Word.Text == "url" }) {
		return true
	}
	c.errorf(k.node.Word.Pos, "%s has no url; add url { path / }", k.to.Kind)
	return false
}

// settleHTTP fills in names that depend on each other.
func (k *checkerBlock) settleHTTP(inherited string) {
	to := k.to.HTTP
	to.VirtualHost = inherited
	if k.virtualHost != "" {
		to.VirtualHost = k.virtualHost
	}
	to.ServerName = k.sniName
	if k.sniName == "" && k.enableSNI {
		to.ServerName = to.VirtualHost
	}
}

// url compiles one url block.
func (c *compiler) url(n *syntax.Node) (URL, bool) {
	u := URL{}
	ok := true
	c.once(n)
	for _, s := range n.Children {
		if !c.known("url", s) {
			continue
		}
		switch s.Word.Text {
		case "path":
			c.text(s, &u.Path)
		case "digest":
			if t, is := c.arg(s); is {
				u.Digest, ok = strings.ToLower(t.Text), ok && c.digest(t)
			}
		case "status_code":
			u.Status = append(u.Status, c.statusCodes(s)...)
		case "virtualhost":
			c.text(s, &u.VirtualHost)
		case "tls_compliant":
			u.TLSCompliant = c.flag(s)
		case "regex":
			c.text(s, &u.Regex)
		case "regex_no_match":
			u.RegexNoMatch = c.flag(s)
		case "regex_options":
			u.RegexOptions = append(u.RegexOptions, c.regexOptions(s)...)
		case "regex_min_offset":
			c.int(s, &u.RegexMinOffset, 0, math.MaxInt32)
		case "regex_max_offset":
			c.int(s, &u.RegexMaxOffset, 1, math.MaxInt32)
		default:
			unhandled("url", s)
		}
	}
	if u.Path == "" {
		c.errorf(n.Word.Pos, "url has no path; add path /")
		ok = false
	}
	if len(u.Status) == 0 {
		u.Status = []StatusRange{{200, 299}}
	}
	c.settlePattern(&u, n)
	return u, ok
}

func (c *compiler) digest(t syntax.Token) bool {
	digits := strings.IndexFunc(t.Text, func(r rune) bool { return !strings.ContainsRune("0123456789abcdefABCDEF", r) })
	if len(t.Text) == 32 && digits < 0 {
		return true
	}
	c.errorf(t.Pos, "digest %s is not 32 hexadecimal digits", t.Text)
	return false
}

// statusCodes reads `N|N-M ...`.
func (c *compiler) statusCodes(s *syntax.Node) []StatusRange {
	if len(s.Args) == 0 {
		c.errorf(s.Word.Pos, "status_code needs codes, 100 to 599, or ranges of them")
	}
	var out []StatusRange
	for _, t := range s.Args {
		low, high, isRange := strings.Cut(t.Text, "-")
		if !isRange {
			high = low
		}
		first, err1 := strconv.Atoi(low)
		last, err2 := strconv.Atoi(high)
		if err1 != nil || err2 != nil || first < 100 || last > 599 || first > last {
			c.errorf(t.Pos, "status_code %s is not a code or range; use 100 to 599, as 200 or 200-299", t.Text)
			continue
		}
		out = append(out, StatusRange{first, last})
	}
	return out
}

// regexOptions are keepalived's words for options of PCRE2. Those that RE2 does
// not have change what matches, so they count as not implemented.
func (c *compiler) regexOptions(s *syntax.Node) []string {
	if len(s.Args) == 0 {
		c.errorf(s.Word.Pos, "regex_options needs words; use caseless, multiline, dotall or ungreedy")
	}
	var out []string
	for _, t := range s.Args {
		switch t.Text {
		case "caseless", "multiline", "dotall", "ungreedy", "utf", "ucp", "never_backslash_c", "no_auto_capture", "no_auto_possess",
			"no_dotstar_anchor", "no_start_optimize", "use_offset_limit":
			out = append(out, t.Text)
		case "allow_empty_class", "alt_bsux", "auto_callout", "dollar_endonly", "dupnames", "extended", "firstline",
			"match_unset_backref", "never_ucp", "never_utf", "alt_circumflex", "alt_verbnames":
			c.add(Unsupported, t.Pos, "regex_options %s is known to keepalived, not implemented by hacluster: no effect", t.Text)
		default:
			c.errorf(t.Pos, "regex_options %s is not known; use caseless, multiline, dotall or ungreedy", t.Text)
		}
	}
	return out
}

// settlePattern looks at the words of a pattern together.
func (c *compiler) settlePattern(u *URL, n *syntax.Node) {
	if u.Regex == "" {
		if u.RegexNoMatch || len(u.RegexOptions) > 0 || u.RegexMinOffset != 0 || u.RegexMaxOffset != 0 {
			c.warnf(n.Word.Pos, "words of a pattern have no effect in a url without regex")
			u.RegexNoMatch, u.RegexOptions, u.RegexMinOffset, u.RegexMaxOffset = false, nil, 0, 0
		}
		return
	}
	if _, err := regexp.Compile(u.Regex); err != nil {
		c.errorf(placeOf(n, "regex"), "regex: %v; patterns are RE2's, without look-around and back references", err)
	}
	if u.RegexMaxOffset != 0 && u.RegexMaxOffset <= u.RegexMinOffset {
		c.errorf(placeOf(n, "regex_max_offset"), "regex_max_offset %d is not above regex_min_offset %d, so nothing matches", u.RegexMaxOffset, u.RegexMinOffset)
	}
}
