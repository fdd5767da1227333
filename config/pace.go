package config

import (
	"cmp"
	"time"

	"github.com/hacluster/hacluster/config/syntax"
)

// pace is the words that virtual_server, real_server and checkers share. Each
// hands down to the next what that does not say itself. Nil: not given.
type pace struct {
	delayLoop, connectTimeout, delayBeforeRetry, warmup *time.Duration
	retry                                               *int
	alpha                                               *bool
}

// over gives what p says, and parent's where it says nothing.
func (p pace) over(parent pace) pace {
	return pace{
		delayLoop:        cmp.Or(p.delayLoop, parent.delayLoop),
		connectTimeout:   cmp.Or(p.connectTimeout, parent.connectTimeout),
		delayBeforeRetry: cmp.Or(p.delayBeforeRetry, parent.delayBeforeRetry),
		warmup:           cmp.Or(p.warmup, parent.warmup),
		retry:            cmp.Or(p.retry, parent.retry),
		alpha:            cmp.Or(p.alpha, parent.alpha),
	}
}

// pace compiles the words of p and reports whether s is one. A checker may say
// retry 0, a real or virtual server may not.
func (c *compiler) pace(p *pace, s *syntax.Node, leastRetry int) bool {
	switch s.Word.Text {
	case "delay_loop":
		p.delayLoop = c.timer(s, 0.001)
	case "connect_timeout":
		p.connectTimeout = c.timer(s, 0.001)
	case "delay_before_retry":
		p.delayBeforeRetry = c.timer(s, 0)
	case "warmup":
		p.warmup = c.timer(s, 0)
	case "retry":
		if v, ok := c.integer(s, leastRetry, 1<<31-1); ok {
			p.retry = &v
		}
	case "alpha":
		p.alpha = new(c.boolean(s))
	default:
		return false
	}
	return true
}

// timer reads a time in seconds with decimals; nil when there is none.
func (c *compiler) timer(s *syntax.Node, low float64) *time.Duration {
	if v, ok := c.seconds(s, low, longest); ok {
		return &v
	}
	return nil
}

// valueOr is the value that p points to, or otherwise when there is none.
func valueOr[T any](p *T, otherwise T) T {
	if p != nil {
		return *p
	}
	return otherwise
}

// settle fills in a checker's pace with keepalived's defaults of its kind.
func (p pace) settle(k *Checker) {
	k.Alpha = valueOr(p.alpha, false)
	if k.Kind == FileCheck {
		return
	}
	retry, between := 1, time.Second
	k.DelayLoop = valueOr(p.delayLoop, 60*time.Second)
	switch k.Kind {
	case HTTPGet, SSLGet:
		between = 3 * time.Second
	case DNSCheck:
		retry, between = 3, k.DelayLoop
	case MiscCheck:
		retry = 0
	}
	k.Retry = valueOr(p.retry, retry)
	k.DelayBeforeRetry = valueOr(p.delayBeforeRetry, between)
	k.Warmup = valueOr(p.warmup, k.DelayLoop)
	if k.Kind != MiscCheck {
		k.ConnectTimeout = valueOr(p.connectTimeout, 5*time.Second)
	}
}
