package config

import (
	_ "embed"
	"strings"
	"sync"
)

//go:embed keywords.tsv
var keywordTable string

// Status is what hacluster does with a keyword.
type Status string

// Statuses. They decide the severity of a finding: none, Warning, Unsupported.
const (
	StatusImplemented Status = "implemented"
	StatusIgnored     Status = "ignored"
	StatusUnsupported Status = "unsupported"
)

// Keyword is one row of the table of all words: keepalived's and hacluster's own.
type Keyword struct {
	Block     string // "top", "vrrp_instance", ...; "address", "route", "rule", "peer" are lines of words
	Word      string
	Arguments string // "flag", "block:NAME", "list:NAME", or in words, with the range
	Default   string
	Tier      string // core, common, rare; own for hacluster's words
	Status    Status
}

// opens returns the kind of block that the word opens: its name, and whether
// its lines start with a keyword (block) or with something else (list).
func (k Keyword) opens() (block string, list bool) {
	if b, ok := strings.CutPrefix(k.Arguments, "block:"); ok {
		return b, false
	}
	if b, ok := strings.CutPrefix(k.Arguments, "list:"); ok {
		return b, true
	}
	return "", false
}

// Keywords returns the table, in its order.
func Keywords() []Keyword { return append([]Keyword(nil), table().rows...) }

// keywords is the table with its indexes; it is never changed.
type keywords struct {
	rows   []Keyword
	byName map[[2]string]Keyword
	blocks map[string][]string // words of a block
	homes  map[string][]string // blocks of a word
}

var table = sync.OnceValue(func() keywords {
	t := keywords{
		byName: map[[2]string]Keyword{},
		blocks: map[string][]string{},
		homes:  map[string][]string{},
	}
	for line := range strings.Lines(keywordTable) {
		f := strings.Split(strings.TrimRight(line, "\n"), "\t")
		if len(f) != 6 || f[0] == "block" {
			continue
		}
		k := Keyword{f[0], f[1], f[2], f[3], f[4], Status(f[5])}
		t.rows = append(t.rows, k)
		t.byName[[2]string{k.Block, k.Word}] = k
		t.blocks[k.Block] = append(t.blocks[k.Block], k.Word)
		t.homes[k.Word] = append(t.homes[k.Word], k.Block)
	}
	return t
})

// inherits returns the block whose words a block takes as well, or "".
func inherits(block string) string {
	switch block {
	case "TCP_CHECK", "PING_CHECK", "HTTP_GET", "SMTP_CHECK", "host", "DNS_CHECK", "MISC_CHECK", "UDP_CHECK", "FILE_CHECK", "BFD_CHECK":
		return "checker"
	case "SSL_GET":
		return "HTTP_GET"
	}
	return ""
}

// lookup finds a word in a block.
func (t keywords) lookup(block, word string) (Keyword, bool) {
	for b := block; b != ""; b = inherits(b) {
		if k, ok := t.byName[[2]string{b, word}]; ok {
			return k, true
		}
	}
	return Keyword{}, false
}

// nearest returns the word of a block that is most like the given one, or "".
func (t keywords) nearest(block, word string) string {
	best, bestAt := "", len(word)/3+2
	for b := block; b != ""; b = inherits(b) {
		for _, w := range t.blocks[b] {
			if d := distance(word, w, bestAt); d < bestAt {
				best, bestAt = w, d
			}
		}
	}
	return best
}

// distance counts the bytes to insert, delete, replace or swap with the next to
// turn a into b; limit when it is not below that.
func distance(a, b string, limit int) int {
	if len(a)-len(b) >= limit || len(b)-len(a) >= limit || len(a) > 64 {
		return limit
	}
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			d := min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				d = min(d, rows[i-2][j-2]+1)
			}
			rows[i][j] = d
		}
	}
	return min(rows[len(a)][len(b)], limit)
}
