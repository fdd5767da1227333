package config_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/hacluster/hacluster/config"
)

// samples returns the sample files of the installed keepalived package.
func samples(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("/usr/share/doc/keepalived/samples/keepalived.conf.*")
	if err != nil || len(files) != 25 {
		t.Fatalf("%d sample files of keepalived found (%v), want 25; install the package keepalived", len(files), err)
	}
	return files
}

func TestSamplesOfKeepalivedPassButTheMalformedOne(t *testing.T) {
	for _, f := range samples(t) {
		t.Run(filepath.Base(f), func(t *testing.T) {
			_, findings, err := config.CheckFile(f, "lb01")
			if err != nil {
				t.Fatal(err)
			}
			err = findings.Err()
			if strings.HasSuffix(f, ".vrrp.rules") {
				if err == nil || !strings.Contains(err.Error(), "192.168.100./24") {
					t.Errorf("findings %v, want its malformed address refused", findings)
				}
				return
			}
			if err != nil {
				t.Errorf("refused:\n%v", err)
			}
			for _, f := range findings {
				t.Log(f)
			}
		})
	}
}
