package main

import (
	"bytes"
	"strings"
	"testing"
)

func TestJournalLinesCarryTheirPriorityAndNoTime(t *testing.T) {
	t.Setenv("JOURNAL_STREAM", "8:1")
	var out bytes.Buffer
	log, err := newLogger(&out, "info", "text")
	if err != nil {
		t.Fatal(err)
	}
	log.With("instance", "VI_1").Warn("interface is down", "iface", "eth0")
	log.Error("no address")
	log.Debug("packet")

	want := "<4>level=WARN msg=\"interface is down\" instance=VI_1 iface=eth0\n<3>level=ERROR msg=\"no address\"\n"
	if out.String() != want {
		t.Errorf("log = %q, want %q", out.String(), want)
	}
}

func TestLinesOutsideTheJournalCarryUTCWithMilliseconds(t *testing.T) {
	t.Setenv("JOURNAL_STREAM", "")
	var out bytes.Buffer
	log, err := newLogger(&out, "info", "json")
	if err != nil {
		t.Fatal(err)
	}
	log.Info("state changed")
	if s := out.String(); !strings.Contains(s, `Z","level":"INFO","msg":"state changed"`) {
		t.Errorf("log = %q, want a UTC time", s)
	}
}

func TestUnknownLogSettingsSayWhatIsKnown(t *testing.T) {
	if _, err := newLogger(nil, "loud", "text"); err == nil || !strings.Contains(err.Error(), "use debug, info, warn or error") {
		t.Errorf("level: err = %v", err)
	}
	if _, err := newLogger(nil, "info", "xml"); err == nil || !strings.Contains(err.Error(), "use text or json") {
		t.Errorf("format: err = %v", err)
	}
}
