package config

import (
	"math/rand/v2"
	"slices"
	"testing"
)

func TestMatchFindsEqualLinesInOrder(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	text := func(letters int) []string {
		out := make([]string, rng.IntN(20))
		for i := range out {
			out[i] = string(rune('a' + rng.IntN(letters)))
		}
		return out
	}
	for range 5000 {
		letters := 2 + rng.IntN(20)
		a, b := text(letters), text(letters)
		last := [2]int{-1, -1}
		for _, p := range match(a, b) {
			if p[0] <= last[0] || p[1] <= last[1] || a[p[0]] != b[p[1]] {
				t.Fatalf("match(%v, %v) has the pair %v after %v", a, b, p, last)
			}
			last = p
		}
		if got, want := len(shortestEdit(a, b)), common(a, b); got != want {
			t.Fatalf("shortestEdit(%v, %v) matches %d lines, want %d", a, b, got, want)
		}
	}
}

func TestMatchOfEqualTextsIsComplete(t *testing.T) {
	a := []string{"x", "}", "}", "y", "}", "x"}
	if got := len(match(a, slices.Clone(a))); got != len(a) {
		t.Errorf("%d lines match, want %d", got, len(a))
	}
}

// common is the length of the longest common subsequence, the plain way.
func common(a, b []string) int {
	row := make([]int, len(b)+1)
	for i := range a {
		prev := 0
		for j := range b {
			old := row[j+1]
			if a[i] == b[j] {
				row[j+1] = prev + 1
			} else {
				row[j+1] = max(row[j+1], row[j])
			}
			prev = old
		}
	}
	return row[len(b)]
}
