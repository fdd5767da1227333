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
