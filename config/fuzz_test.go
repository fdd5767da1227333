package config_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/hacluster/hacluster/config"
	"github.com/hacluster/hacluster/config/syntax"
)

func FuzzCompile(f *testing.F) {
	files, err := filepath.Glob("testdata/*/*")
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(b))
	}
	f.Fuzz(func(t *testing.T, text string) {
		limits := syntax.Limits{Lines: 2000, Bytes: 1 << 18, Depth: 16, Nesting: 8, Errors: 20}
		cfg, _ := config.CompileWith(syntax.Parse("f", text), config.Options{Node: "lb01", Limits: limits})
		if cfg == nil {
			t.Fatal("no Config")
		}
	})
}
