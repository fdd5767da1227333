package store

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func FuzzDecodeCommand(f *testing.F) {
	for _, cmd := range []Command{
		{Machine: "revisions", Name: "propose", Version: 1, RequestID: "r", Body: []byte("{}")},
		{},
		{Machine: "tokens", Name: "redeem", Version: 255, Body: bytes.Repeat([]byte{0xff}, 300)},
	} {
		data, err := cmd.Encode()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte{1, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1})
	f.Fuzz(func(t *testing.T, data []byte) {
		cmd, err := DecodeCommand(data)
		if err != nil {
			return
		}
		encoded, err := cmd.Encode()
		if err != nil {
			return // longer names than Encode writes
		}
		again, err := DecodeCommand(encoded)
		if err != nil || !cmp.Equal(cmd, again) {
			t.Fatalf("%+v comes back as %+v, %v", cmd, again, err)
		}
	})
}

func FuzzApply(f *testing.F) {
	f.Add("tokens", "redeem", []byte(`{"ID":"t1","Hash":"aA==","Node":"c","Now":"2026-11-21T12:00:00Z"}`))
	f.Add("members", "add", []byte(`{"Name":"c","ID":"c#1"}`))
	f.Add("revisions", "propose", []byte(`{"Base":2,"Hash":"00"}`))
	f.Add("secrets", "put", []byte(`{"Name":"x"}`))
	f.Fuzz(func(t *testing.T, machine, name string, body []byte) {
		for _, m := range filled(t) {
			if m.Name() != machine || m.Commands()[name] == 0 {
				continue
			}
			before, err := m.Snapshot()
			if err != nil {
				t.Fatal(err)
			}
			_, err = m.Apply(Command{Machine: machine, Name: name, Version: 1, Body: body})
			if err != nil && refusalCode(err) == "" {
				t.Fatalf("Apply = %v: this would halt every node", err)
			}
			after, snapErr := m.Snapshot()
			if snapErr != nil {
				t.Fatal(snapErr)
			}
			if err != nil && !bytes.Equal(before, after) {
				t.Fatalf("a refused command changed the state: %v", err)
			}
			if err := m.Restore(after); err != nil {
				t.Fatalf("the state cannot be restored: %v", err)
			}
		}
	})
}
