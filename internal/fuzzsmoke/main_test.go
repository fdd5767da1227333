package main

import (
	"slices"
	"testing"
)

func TestListKeepsFuzzTargetsOnly(t *testing.T) {
	got := parseList([]byte(`{"Action":"start","Package":"p"}
{"Action":"output","Package":"p","Output":"FuzzA\n"}
{"Action":"output","Package":"p","Output":"ok  \tp\t0.1s\n"}
{"Action":"output","Package":"q","Output":"FuzzB\n"}
`))
	if want := []target{{"p", "FuzzA"}, {"q", "FuzzB"}}; !slices.Equal(got, want) {
		t.Errorf("targets = %v, want %v", got, want)
	}
}

func TestOnlyTheEndOfTheTimeIsTriedAgain(t *testing.T) {
	for out, want := range map[string]bool{
		"--- FAIL: FuzzX (3.42s)\n    context deadline exceeded\n":                                                      true,
		"--- FAIL: FuzzX (3.42s)\n    got 1, want context deadline exceeded\n    Failing input written to testdata/x\n": false,
		"--- FAIL: FuzzX (3.42s)\n    panic\n":                                                                          false,
	} {
		if got := endedLate([]byte(out)); got != want {
			t.Errorf("endedLate(%q) = %t", out, got)
		}
	}
}
