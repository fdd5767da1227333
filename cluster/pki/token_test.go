package pki

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func testToken(t testing.TB, addrs ...string) Token {
	t.Helper()
	token, err := NewToken(Voter, Pin{1, 2, 3}, addrs)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func TestTokenSurvivesThePaste(t *testing.T) {
	token := testToken(t, "192.0.2.1:7112", "[2001:db8::1]:7112")
	text := token.Text()
	tests := []struct{ name, text string }{
		{"as printed", text},
		{"upper case", strings.ToUpper(text)},
		{"wrapped by a terminal", text[:40] + "\n" + text[40:80] + "\r\n" + text[80:]},
		{"blanks around", "  " + text + " \t"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := ParseToken(test.text)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(token, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestEveryTruncationAndEveryTypoOfATokenIsFoundLocally(t *testing.T) {
	text := testToken(t, "192.0.2.1:7112").Text()
	for n := range len(text) {
		if _, err := ParseToken(text[:n]); !isMalformed(err) {
			t.Fatalf("ParseToken of the first %d characters = %v, want a MalformedTokenError", n, err)
		}
	}
	for i := len(tokenPrefix); i < len(text); i++ {
		for _, c := range "a5=!" {
			if rune(text[i]) == c {
				continue
			}
			typo := text[:i] + string(c) + text[i+1:]
			if token, err := ParseToken(typo); err == nil && token.Text() != text {
				t.Fatalf("ParseToken accepts %q for %q", typo, text)
			}
		}
	}
}

func isMalformed(err error) bool {
	_, ok := errors.AsType[*MalformedTokenError](err)
	return ok
}

func TestTokenNeverLooksLikeAnOptionAndHidesItsSecretInLogs(t *testing.T) {
	token := testToken(t)
	if text := token.Text(); strings.HasPrefix(text, "-") || strings.ContainsAny(text, " $&;'\"\\") {
		t.Errorf("token %q needs quoting", text)
	}
	if secret := lowerBase32.EncodeToString(token.Secret[:]); strings.Contains(token.String(), secret) {
		t.Errorf("String shows the secret: %s", token)
	}
}

func TestHashBelongsToIDAndSecret(t *testing.T) {
	a, b := testToken(t), testToken(t)
	if a.Hash() == b.Hash() {
		t.Error("two tokens have one hash")
	}
	b.Secret = a.Secret
	if a.Hash() == b.Hash() {
		t.Error("the hash does not depend on the id")
	}
	if got, err := HashSecret(a.ID, a.Secret[:]); err != nil || got != a.Hash() {
		t.Errorf("HashSecret = %x, %v, want %x", got, err, a.Hash())
	}
	if _, err := HashSecret(a.ID, a.Secret[:3]); err == nil {
		t.Error("HashSecret accepts a short secret")
	}
}

func TestTokenRefusesWhatDoesNotFit(t *testing.T) {
	eight := make([]string, 8)
	for i := range eight {
		eight[i] = "192.0.2.1:7112"
	}
	for _, addrs := range [][]string{eight, {""}, {strings.Repeat("x", 256)}} {
		if _, err := NewToken(Voter, Pin{}, addrs); err == nil {
			t.Errorf("NewToken accepts %d addresses, the first of %d characters", len(addrs), len(addrs[0]))
		}
	}
	if _, err := NewToken(Role(9), Pin{}, nil); err == nil {
		t.Error("NewToken accepts an unknown role")
	}
}

func FuzzParseToken(f *testing.F) {
	f.Add(testToken(f).Text())
	f.Add(testToken(f, "192.0.2.1:7112", "[2001:db8::1]:7112").Text())
	f.Add("hacl1.")
	f.Add("hacl1.aaaaaaaa")
	f.Add("-----BEGIN")
	f.Fuzz(func(t *testing.T, text string) {
		token, err := ParseToken(text)
		if err != nil {
			if !isMalformed(err) {
				t.Fatalf("ParseToken = %v, want a MalformedTokenError", err)
			}
			return
		}
		again, err := ParseToken(token.Text())
		if err != nil {
			t.Fatalf("what was parsed cannot be printed and parsed: %v", err)
		}
		if diff := cmp.Diff(token, again); diff != "" {
			t.Error(diff)
		}
	})
}
