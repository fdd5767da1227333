package check

import (
	"fmt"
	"time"
)

// Kind is a kind of check.
type Kind uint8

// Kinds of check, in keepalived's words.
const (
	TCPCheck Kind = iota
	HTTPGet
	SSLGet
	SMTPCheck
	DNSCheck
	MiscCheck
	UDPCheck
	PingCheck
	FileCheck
)

var kindNames = [...]string{"TCP_CHECK", "HTTP_GET", "SSL_GET", "SMTP_CHECK", "DNS_CHECK", "MISC_CHECK", "UDP_CHECK", "PING_CHECK", "FILE_CHECK"}

// String is the keyword.
func (k Kind) String() string {
	if int(k) >= len(kindNames) {
		panic(fmt.Sprintf("check: kind %d", k))
	}
	return kindNames[k]
}

// DefaultDelayLoop and DefaultTimeout are keepalived's defaults of delay_loop and
// connect_timeout.
const (
	DefaultDelayLoop = 60 * time.Second
	DefaultTimeout   = 5 * time.Second
)

// Settings are what every check has, whatever its kind.
type Settings struct {
	// DelayLoop is from the start of one attempt to the start of the next; 0: 60 s.
	DelayLoop time.Duration
	// Warmup bounds how long the first attempt waits: a part of it, another
	// one for each check.
	Warmup time.Duration
	// DelayBeforeRetry is from the end of a failed attempt to its retry.
	DelayBeforeRetry time.Duration
	// Retry is how many failed attempts of a server that is up are tried again
	// before it is down.
	Retry int
	// Rise is how many attempts in a row must succeed before a server that is
	// down is up; 0: 1, as in keepalived.
	Rise int
	// Alpha makes a new check down until an attempt succeeds, instead of up
	// until attempts fail.
	Alpha bool
	// LogAllFailures logs each failed attempt of a server that is up, not only
	// the last.
	LogAllFailures bool
}

// Defaults are keepalived's settings of a kind where neither the checker nor its
// real or virtual server has words of its own. delayLoop is the check's; 0: 60 s.
func Defaults(k Kind, delayLoop time.Duration) Settings {
	if delayLoop <= 0 {
		delayLoop = DefaultDelayLoop
	}
	s := Settings{DelayLoop: delayLoop, Warmup: delayLoop, DelayBeforeRetry: time.Second, Retry: 1}
	switch k {
	case TCPCheck, SMTPCheck, UDPCheck, PingCheck:
	case HTTPGet, SSLGet:
		s.DelayBeforeRetry = 3 * time.Second
	case DNSCheck:
		s.DelayBeforeRetry, s.Retry = delayLoop, 3
	case MiscCheck:
		s.Retry = 0
	case FileCheck:
		// keepalived hears of each change of the file and has no words for
		// this: the file is read often instead.
		s.DelayLoop, s.Warmup, s.Retry = time.Second, 0, 0
	default:
		panic(fmt.Sprintf("check: kind %d", k))
	}
	return s
}
