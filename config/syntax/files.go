package syntax

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// maxFile is the size of the largest file that is read, in bytes.
const maxFile = 16 << 20

// maxMatches is how many files one include line may name.
const maxMatches = 10_000

// OSFiles opens the files of this machine, as keepalived does: relative names
// count from the including file's directory, and * ? [...] {a,b} are patterns.
type OSFiles struct{}

// Open implements Opener. A directory or unreadable file among the matches is
// an error; no match is none.
func (OSFiles) Open(dir, pattern string) ([]*Document, error) {
	if !filepath.IsAbs(pattern) {
		pattern = filepath.Join(dir, pattern)
	}
	var docs []*Document
	for _, p := range braces(pattern, maxMatches) {
		names, err := filepath.Glob(p)
		if err != nil {
			return nil, fmt.Errorf("pattern %s: %w", p, err)
		}
		for _, name := range names {
			if len(docs) >= maxMatches {
				return nil, fmt.Errorf("%s names more than %d files", pattern, maxMatches)
			}
			d, err := ReadFile(name)
			if err != nil {
				return nil, err
			}
			docs = append(docs, d)
		}
	}
	return docs, nil
}

// ReadFile reads and parses a file of at most 16 MiB.
func ReadFile(name string) (*Document, error) {
	st, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if st.Size() > maxFile {
		return nil, fmt.Errorf("read %s: %d bytes; at most %d", name, st.Size(), maxFile)
	}
	if !st.Mode().IsRegular() {
		return nil, fmt.Errorf("read %s: not a regular file", name)
	}
	b, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	return Parse(name, string(b)), nil
}

// braces expands {a,b} in a pattern, as csh does, to at most limit patterns.
func braces(pattern string, limit int) []string {
	open := strings.IndexByte(pattern, '{')
	if open < 0 {
		return []string{pattern}
	}
	depth, end, from := 0, -1, open+1
	var alternatives []string
	for i := open; i < len(pattern) && end < 0; i++ {
		switch pattern[i] {
		case '{':
			depth++
		case ',':
			if depth == 1 {
				alternatives = append(alternatives, pattern[from:i])
				from = i + 1
			}
		case '}':
			if depth--; depth == 0 {
				alternatives = append(alternatives, pattern[from:i])
				end = i
			}
		}
	}
	if end < 0 {
		return []string{pattern}
	}
	var out []string
	for _, a := range alternatives {
		for _, p := range braces(pattern[:open]+a+pattern[end+1:], limit-len(out)) {
			if len(out) >= limit {
				return out
			}
			out = append(out, p)
		}
	}
	return out
}
