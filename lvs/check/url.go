package check

import (
	"bufio"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
)

// URL is one request of an HTTP check, and what its answer must be.
type URL struct {
	Path        string
	VirtualHost string // "": the checker's
	// Status are the status codes that are right; none: 200 to 299.
	Status []StatusRange
	Digest string // MD5 of the body in hexadecimal, as genhash says it; "": any
	// Pattern must be found in the first MiB of the body, or with NoMatch must
	// not; nil: any.
	Pattern *regexp.Regexp
	NoMatch bool
	// MinOffset bytes of the body are not searched. MaxOffset is where a match
	// may not begin any more; 0: anywhere.
	MinOffset, MaxOffset int
	// TLSCompliant is TLS.Compliant for this url.
	TLSCompliant bool
}

// StatusRange are status codes from First to Last, both included.
type StatusRange struct{ First, Last int }

// CompilePattern makes a pattern of the words of regex and regex_options. It
// knows the options of PCRE2 that RE2 has too, and those that change nothing
// here.
func CompilePattern(pattern string, options []string) (*regexp.Regexp, error) {
	var flags []byte
	for _, o := range options {
		switch o {
		case "caseless":
			flags = append(flags, 'i')
		case "multiline":
			flags = append(flags, 'm')
		case "dotall":
			flags = append(flags, 's')
		case "ungreedy":
			flags = append(flags, 'U')
		case "utf", "ucp", "never_backslash_c", "no_auto_capture", "no_auto_possess", "no_dotstar_anchor", "no_start_optimize", "use_offset_limit":
		default:
			return nil, fmt.Errorf("regex_options %s is not supported; use caseless, multiline, dotall or ungreedy", o)
		}
	}
	if len(flags) > 0 {
		pattern = "(?" + string(flags) + ")" + pattern
	}
	re, err := regexp.Compile(pattern)
	if err != nil {
		return nil, fmt.Errorf("regex: %w (patterns are RE2's: no look-around and no back references)", err)
	}
	return re, nil
}

// judge looks at an answer and says what is right about it, or what is wrong. It
// keeps a few kilobytes of the body at a time.
func (u URL) judge(status int, body io.Reader) (seen string, err error) {
	if !u.accepts(status) {
		return "", fmt.Errorf("status %d, want %s", status, u.statusWords())
	}
	hash := md5.New()
	bounded := limit(body, httpBodyLimit, "a body")
	content := io.TeeReader(bounded, hash)
	found, err := u.search(content)
	if err == nil {
		_, err = io.Copy(io.Discard, content)
	}
	_, tooLong := errors.AsType[errTooLong](err)
	switch {
	case tooLong && u.Digest == "":
		// Enough was seen.
	case errors.Is(err, io.ErrUnexpectedEOF):
		// Shorter than it said. keepalived takes it, and the digest tells.
	case err != nil:
		return "", fmt.Errorf("body: %w", err)
	}
	seen = fmt.Sprintf("status %d", status)
	if u.Digest != "" {
		if got := hex.EncodeToString(hash.Sum(nil)); !strings.EqualFold(got, u.Digest) {
			return "", fmt.Errorf("the digest of the body (%d bytes) is %s, want %s", httpBodyLimit-bounded.left, got, strings.ToLower(u.Digest))
		}
		seen += ", digest as wanted"
	}
	switch {
	case u.Pattern == nil:
	case found && u.NoMatch:
		return "", fmt.Errorf("the body has %q, which it must not", u.Pattern)
	case !found && !u.NoMatch:
		return "", fmt.Errorf("the body (%d bytes) does not have %q", httpBodyLimit-bounded.left, u.Pattern)
	default:
		seen += ", content as wanted"
	}
	return seen, nil
}

// search looks for the pattern. An error of the body ends it as its end does,
// and is met again by whoever reads on.
func (u URL) search(body io.Reader) (found bool, err error) {
	if u.Pattern == nil {
		return false, nil
	}
	if _, err := io.CopyN(io.Discard, body, int64(u.MinOffset)); err != nil {
		if errors.Is(err, io.EOF) {
			return false, nil
		}
		return false, err
	}
	keep := &errorReader{r: io.LimitReader(body, httpPatternLimit)}
	at := u.Pattern.FindReaderIndex(bufio.NewReader(keep))
	if at == nil {
		return false, keep.err
	}
	return u.MaxOffset == 0 || u.MinOffset+at[0] < u.MaxOffset, keep.err
}

// errorReader remembers the error that a regexp does not tell of.
type errorReader struct {
	r   io.Reader
	err error
}

// Read implements io.Reader.
func (e *errorReader) Read(b []byte) (int, error) {
	n, err := e.r.Read(b)
	if err != nil && !errors.Is(err, io.EOF) {
		e.err = err
	}
	return n, err
}

func (u URL) accepts(status int) bool {
	if len(u.Status) == 0 {
		return status >= 200 && status <= 299
	}
	return slices.ContainsFunc(u.Status, func(r StatusRange) bool { return status >= r.First && status <= r.Last })
}

func (u URL) statusWords() string {
	if len(u.Status) == 0 {
		return "200-299"
	}
	var words []string
	for _, r := range u.Status {
		word := fmt.Sprint(r.First)
		if r.Last != r.First {
			word = fmt.Sprintf("%d-%d", r.First, r.Last)
		}
		words = append(words, word)
	}
	return strings.Join(words, " ")
}
