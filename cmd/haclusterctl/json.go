package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// jsonTime is how times stand in JSON: RFC 3339, UTC, milliseconds.
const jsonTime = "2006-01-02T15:04:05.000Z07:00"

// printJSON prints a message with the names and in the order of its .proto
// file. Every field is there, but for members of a oneof that are not set:
// numbers are numbers, times RFC 3339 in UTC or null, durations seconds, and
// enum values go without their prefix.
func (a *app) printJSON(m proto.Message) error {
	return a.printIndented(appendMessage(nil, m.ProtoReflect()))
}

// printIndented prints JSON for programs and for people.
func (a *app) printIndented(text []byte) error {
	var out bytes.Buffer
	if err := json.Indent(&out, text, "", "  "); err != nil {
		return err
	}
	out.WriteByte('\n')
	_, err := a.out.Write(out.Bytes())
	return err
}

// printJSONLine prints a message of a stream on one line.
func (a *app) printJSONLine(m proto.Message) error {
	_, err := a.out.Write(append(appendMessage(nil, m.ProtoReflect()), '\n'))
	return err
}

func appendMessage(b []byte, m protoreflect.Message) []byte {
	switch v := m.Interface().(type) {
	case *timestamppb.Timestamp:
		return append(b, v.AsTime().UTC().Format(`"`+jsonTime+`"`)...)
	case *durationpb.Duration:
		return fmt.Appendf(b, "%g", v.AsDuration().Round(time.Microsecond).Seconds())
	}
	b = append(b, '{')
	fields := m.Descriptor().Fields()
	first := true
	for i := range fields.Len() {
		fd := fields.Get(i)
		if fd.ContainingOneof() != nil && !m.Has(fd) {
			continue
		}
		if !first {
			b = append(b, ',')
		}
		first = false
		b = fmt.Appendf(b, "%q:", fd.Name())
		b = appendField(b, m, fd)
	}
	return append(b, '}')
}

func appendField(b []byte, m protoreflect.Message, fd protoreflect.FieldDescriptor) []byte {
	value := m.Get(fd)
	switch {
	case fd.IsMap():
		object := make(map[string]json.RawMessage)
		value.Map().Range(func(k protoreflect.MapKey, v protoreflect.Value) bool {
			object[k.String()] = appendValue(nil, fd.MapValue(), v)
			return true
		})
		text, err := json.Marshal(object) // sorts the keys
		if err != nil {
			panic(err) // every value is JSON that was made here
		}
		return append(b, text...)
	case fd.IsList():
		b = append(b, '[')
		list := value.List()
		for i := range list.Len() {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendValue(b, fd, list.Get(i))
		}
		return append(b, ']')
	case fd.Message() != nil && !m.Has(fd):
		return append(b, "null"...)
	}
	return appendValue(b, fd, value)
}

func appendValue(b []byte, fd protoreflect.FieldDescriptor, v protoreflect.Value) []byte {
	switch fd.Kind() {
	case protoreflect.MessageKind:
		return appendMessage(b, v.Message())
	case protoreflect.EnumKind:
		return appendString(b, enumName(fd.Enum(), v.Enum()))
	case protoreflect.StringKind:
		return appendString(b, v.String())
	default: // numbers and booleans print as JSON has them; there are no bytes
		return fmt.Appendf(b, "%v", v.Interface())
	}
}

func appendString(b []byte, s string) []byte {
	text, err := json.Marshal(s)
	if err != nil {
		panic(err) // a string always marshals
	}
	return append(b, text...)
}

// enumName is the value's name without the enum's: VERDICT_AT_RISK is AT_RISK.
// The unspecified value is the empty string.
func enumName(ed protoreflect.EnumDescriptor, n protoreflect.EnumNumber) string {
	values := ed.Values()
	v := values.ByNumber(n)
	if v == nil {
		return fmt.Sprint(n) // of a newer daemon
	}
	prefix := strings.TrimSuffix(string(values.ByNumber(0).Name()), "UNSPECIFIED")
	name := strings.TrimPrefix(string(v.Name()), prefix)
	if n == 0 {
		return ""
	}
	return name
}

// word is an enum value for people: AT RISK.
func word(e interface {
	Descriptor() protoreflect.EnumDescriptor
	Number() protoreflect.EnumNumber
}) string {
	return strings.ReplaceAll(enumName(e.Descriptor(), e.Number()), "_", " ")
}
