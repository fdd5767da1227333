package splitbrain

import (
	"encoding/json"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// views are views of every shape that the tables of this package have.
func views() map[string]*View {
	elsewhere := view(ownView(Backup))
	elsewhere.Elsewhere = &Elsewhere{Node: "n2", Unit: "VI_2", At: now.Add(-50 * ms), Interval: 200 * ms}
	disarmed := asked(nil)
	disarmed.Disarmed = true
	return map[string]*View{
		"a holder is heard":    view(ownView(Backup), peer(Master)),
		"two holders":          view(ownView(Master), peer(Master)),
		"a hand-over is due":   requested(nil),
		"an answer came":       asked(nil),
		"disarmed":             disarmed,
		"an address elsewhere": elsewhere,
	}
}

func TestATracedDecisionIsTheSameAfterItsJourney(t *testing.T) {
	for name, v := range views() {
		t.Run(name, func(t *testing.T) {
			d := Decide(v.clone())
			was := Traced{View: *v.clone(), Was: d.Words(v.Now)}
			data, err := json.Marshal(&was)
			if err != nil {
				t.Fatal(err)
			}
			var got Traced
			if err := json.Unmarshal(data, &got); err != nil {
				t.Fatal(err)
			}
			if replayed := got.Replay(); !slices.Equal(replayed, was.Was) {
				t.Errorf("replayed = %q, was %q\n%s", replayed, was.Was, data)
			}
		})
	}
}

// fill sets every field below v to something that is not zero.
func fill(rng *rand.Rand, v reflect.Value) {
	switch x := v.Addr().Interface().(type) {
	case *time.Time:
		*x = now.Add(time.Duration(rng.IntN(1e9)) + 1)
		return
	case interface{ UnmarshalText([]byte) error }:
		if x.UnmarshalText([]byte("192.0.2.7")) != nil && x.UnmarshalText([]byte("192.0.2.0/24")) != nil {
			panic("no text for " + v.Type().String())
		}
		return
	}
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(true)
	case reflect.String:
		v.SetString("x\"\n" + string(rune('a'+rng.IntN(26))))
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(int64(rng.IntN(100) + 1))
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(uint64(rng.IntN(100) + 1))
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(rng, v.Elem())
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		fallthrough
	case reflect.Array:
		for i := range v.Len() {
			fill(rng, v.Index(i))
		}
	case reflect.Struct:
		for _, field := range v.Fields() {
			fill(rng, open(field))
		}
	default:
		panic("no value for a " + v.Kind().String())
	}
}

func TestEveryFieldOfAViewTravels(t *testing.T) {
	var v View
	fill(rand.New(rand.NewPCG(1, 2)), reflect.ValueOf(&v).Elem())
	v.Now = now
	for i := range v.Requests {
		v.Requests[i].Peer = i
	}
	data, err := json.Marshal(&Traced{View: v, Was: []string{"nothing"}})
	if err != nil {
		t.Fatal(err)
	}
	var got Traced
	if err := json.Unmarshal(data, &got); err != nil {
		t.Fatalf("%v\n%s", err, data)
	}
	if !reflect.DeepEqual(got.View, v) {
		t.Errorf("got\n%+v\nwant\n%+v\nfrom %s", got.View, v, data)
	}
}

func TestOnlyDecisionsThatDifferAreTraced(t *testing.T) {
	c := newCore(Backup)
	c.SetTracing(true)
	total := 0
	for i := range 50 {
		out := c.Step(t0.Add(time.Duration(i)*100*ms), 0)
		c.allDirty()
		total += len(out.Traced)
	}
	if total != 1 {
		t.Errorf("%d decisions of 50 traced in a steady state, want the first", total)
	}
	u := *ownView(Fault)
	c.SetUnits([]UnitView{u})
	if out := c.Step(t0.Add(6*time.Second), 0); len(out.Traced) != 1 || out.Traced[0].View.Unit.State != Fault {
		t.Errorf("traced = %v, want the change to FAULT", out.Traced)
	}
}

func TestATraceThatNobodyCouldHaveMadeIsRefused(t *testing.T) {
	for text, why := range map[string]string{
		`{}`: "unexpected end", `{"view":{}}`: "without a unit", `{"view":{"Unit":{},"Peers":[{"Node":"n2"}]}}`: "without a claim",
		`{"view":{"Unit":{},"Requests":[{"Peer":3}]}}`: "of peer 3", `{"view":{"Unit":{"Since":"x"}}}`: "Since",
	} {
		var got Traced
		if err := json.Unmarshal([]byte(text), &got); err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("%s: %v, want %q", text, err, why)
		}
	}
}

func FuzzReplay(f *testing.F) {
	for _, v := range views() {
		data, err := json.Marshal(&Traced{View: *v})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var traced Traced
		if json.Unmarshal(data, &traced) == nil {
			traced.Replay()
		}
	})
}
