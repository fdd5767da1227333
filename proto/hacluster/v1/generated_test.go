package haclusterv1_test

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

func TestGeneratedCodeIsWhatTheSourcesSay(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	out := t.TempDir()
	cmd := exec.CommandContext(ctx, "go", "run", "-C", "../../../tools", "./protogen", "-out", out)
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("protogen: %v\n%s", err, text)
	}

	fresh, err := filepath.Glob(filepath.Join(out, "hacluster", "v1", "*.pb.go"))
	if err != nil || len(fresh) == 0 {
		t.Fatalf("protogen wrote %d files, %v", len(fresh), err)
	}
	made := map[string]bool{}
	for _, path := range fresh {
		name := filepath.Base(path)
		made[name] = true
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(name); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s differs from what its source generates (%v); run make generate", name, err)
		}
	}
	committed, err := filepath.Glob("*.pb.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range committed {
		if !made[name] {
			t.Errorf("%s has no source any more; remove it", name)
		}
	}
}
