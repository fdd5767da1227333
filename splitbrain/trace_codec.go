package splitbrain

import (
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"time"
	"unsafe"
)

// A Traced travels as JSON. Every field of a View counts, those that only this
// package sees too, and those that are added later: so the codec walks the types
// instead of listing fields. Times are nanoseconds from View.Now, as the monotonic
// clock counted them: a step of the wall clock in between changes nothing.

// tracedJSON is the envelope.
type tracedJSON struct {
	Now  time.Time       `json:"now"`
	Was  []string        `json:"was"`
	View json.RawMessage `json:"view"`
}

// MarshalJSON implements json.Marshaler.
func (t *Traced) MarshalJSON() ([]byte, error) {
	view := *t.View.clone()
	return json.Marshal(tracedJSON{Now: view.Now.Round(0).UTC(), Was: t.Was, View: appendValue(nil, reflect.ValueOf(&view).Elem(), view.Now)})
}

// UnmarshalJSON implements json.Unmarshaler. What this program does not know is
// left out, as are fields of another type.
func (t *Traced) UnmarshalJSON(data []byte) error {
	var in tracedJSON
	if err := json.Unmarshal(data, &in); err != nil {
		return err
	}
	out := Traced{Was: in.Was}
	if err := readValue(in.View, reflect.ValueOf(&out.View).Elem(), in.Now); err != nil {
		return fmt.Errorf("view: %w", err)
	}
	out.View.Now = in.Now
	if err := out.View.check(); err != nil {
		return err
	}
	*t = out
	return nil
}

// check refuses what no arbiter gives to Decide.
func (v *View) check() error {
	if v.Unit == nil {
		return errors.New("view without a unit")
	}
	for _, p := range v.Peers {
		if p.Claim == nil {
			return fmt.Errorf("peer %s without a claim", p.Node)
		}
	}
	for _, r := range v.Requests {
		if r.Peer < 0 || r.Peer >= len(v.Peers) {
			return fmt.Errorf("request %d of peer %d; there are %d", r.ID, r.Peer, len(v.Peers))
		}
	}
	return nil
}

// open lets an unexported field be read and set.
func open(f reflect.Value) reflect.Value {
	return reflect.NewAt(f.Type(), unsafe.Pointer(f.UnsafeAddr())).Elem()
}

// appendValue writes an addressable value. Zero fields are left out.
func appendValue(b []byte, v reflect.Value, now time.Time) []byte {
	switch x := v.Interface().(type) {
	case time.Time:
		return strconv.AppendInt(b, int64(x.Sub(now)), 10)
	case encoding.TextMarshaler: // addresses
		text, err := x.MarshalText()
		if err != nil {
			return append(b, "null"...)
		}
		return strconv.AppendQuote(b, string(text))
	}
	switch v.Kind() {
	case reflect.Bool:
		return strconv.AppendBool(b, v.Bool())
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return strconv.AppendInt(b, v.Int(), 10)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return strconv.AppendUint(b, v.Uint(), 10)
	case reflect.String:
		text, err := json.Marshal(v.String())
		if err != nil {
			return append(b, "null"...)
		}
		return append(b, text...)
	case reflect.Pointer:
		return appendValue(b, v.Elem(), now) // nil is zero, and left out
	case reflect.Slice, reflect.Array:
		b = append(b, '[')
		for i := range v.Len() {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendValue(b, open(v.Index(i)), now)
		}
		return append(b, ']')
	case reflect.Struct:
		b = append(b, '{')
		first := true
		for i := range v.NumField() {
			f := open(v.Field(i))
			if f.IsZero() {
				continue
			}
			if !first {
				b = append(b, ',')
			}
			first = false
			b = append(strconv.AppendQuote(b, v.Type().Field(i).Name), ':')
			b = appendValue(b, f, now)
		}
		return append(b, '}')
	default:
		panic("splitbrain: a view holds a " + v.Kind().String())
	}
}

// readValue reads what appendValue wrote into an addressable value.
func readValue(data json.RawMessage, v reflect.Value, now time.Time) error {
	switch x := v.Addr().Interface().(type) {
	case *time.Time:
		var after int64
		if err := json.Unmarshal(data, &after); err != nil {
			return err
		}
		*x = now.Add(time.Duration(after))
		return nil
	case encoding.TextUnmarshaler:
		var text string
		if err := json.Unmarshal(data, &text); err != nil {
			return err
		}
		return x.UnmarshalText([]byte(text))
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		return readValue(data, v.Elem(), now)
	case reflect.Slice, reflect.Array:
		var items []json.RawMessage
		if err := json.Unmarshal(data, &items); err != nil {
			return err
		}
		if v.Kind() == reflect.Slice {
			v.Set(reflect.MakeSlice(v.Type(), len(items), len(items)))
		}
		for i := range min(len(items), v.Len()) {
			if err := readValue(items[i], open(v.Index(i)), now); err != nil {
				return err
			}
		}
		return nil
	case reflect.Struct:
		var fields map[string]json.RawMessage
		if err := json.Unmarshal(data, &fields); err != nil {
			return err
		}
		for i := range v.NumField() {
			name := v.Type().Field(i).Name
			if text, ok := fields[name]; ok {
				if err := readValue(text, open(v.Field(i)), now); err != nil {
					return fmt.Errorf("%s: %w", name, err)
				}
			}
		}
		return nil
	default:
		return json.Unmarshal(data, v.Addr().Interface())
	}
}
