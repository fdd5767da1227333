package check

import (
	"context"
	"fmt"
)

// Checker is one kind of check of one target. Checkers are plain values: two
// that reflect.DeepEqual calls equal are the same check.
type Checker interface {
	// Check makes one attempt. It returns within the bounds that its kind
	// documents, and soon after the end of ctx. It may be called from several
	// goroutines.
	Check(ctx context.Context) Result
	// String is the keyword and the target: "TCP_CHECK 192.0.2.7:80".
	String() string
}

// Result is what one attempt found.
type Result struct {
	Up bool
	// Void is an attempt that could not be made, because of this machine or
	// of its configuration: it says nothing of the server, and Up does not
	// count.
	Void   bool
	Weight Weight // what it says of the server's weight; counts when Up
	// Reason is what was seen, for a person who does not know the
	// configuration by heart. It names the target.
	Reason string
}

// Weight is what a check says of the weight of its server. The zero value says
// nothing: the weight stays as it is.
type Weight struct {
	Op    WeightOp
	Value int
}

// WeightOp is how a Weight counts.
type WeightOp uint8

// Weight operations.
const (
	WeightKeep   WeightOp = iota // no say
	WeightSet                    // the weight is Value, 0 or more
	WeightAdjust                 // Value is added to the configured weight
)

// String is the weight for people: "10", "+5", or nothing.
func (w Weight) String() string {
	switch w.Op {
	case WeightKeep:
		return ""
	case WeightSet:
		return fmt.Sprint(w.Value)
	case WeightAdjust:
		return fmt.Sprintf("%+d", w.Value)
	default:
		panic(fmt.Sprintf("check: weight operation %d", w.Op))
	}
}

// up and down are the results of a checker, with what it says of itself before.
func up(c Checker, format string, args ...any) Result {
	return Result{Up: true, Reason: c.String() + ": " + fmt.Sprintf(format, args...)}
}

func down(c Checker, format string, args ...any) Result {
	return Result{Reason: c.String() + ": " + fmt.Sprintf(format, args...)}
}

func void(c Checker, format string, args ...any) Result {
	r := down(c, format, args...)
	r.Void = true
	return r
}
