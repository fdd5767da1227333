package syntax_test

import (
	"testing"

	"github.com/hacluster/hacluster/config/syntax"
)

// small keeps one execution short; the limits are what is tested.
var small = syntax.Limits{Lines: 2000, Bytes: 1 << 18, Depth: 16, Nesting: 8, Errors: 20}

func FuzzExpand(f *testing.F) {
	for _, s := range []string{
		"a { b c\n}\n", "@n x 1\n@^n y \"2 3\"\n", "$A= \\\n x ${B} \\\n y\n$B=1\n$A\n",
		"~SEQ(A,1,3) ~LST({B,C},{1,2},{3,4}) x ${A} $B ${C}{", "include /etc/passwd", `s "\x41\101\cA" 'b`, "a\n{ } }",
		"$A=${A} ${A}\n$A",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		doc := syntax.Parse("f", text)
		nodes, _ := doc.Expand(syntax.Options{Node: "n", Limits: small})
		printed := syntax.Print(nodes)
		again, errs := syntax.Parse("f", printed).Expand(syntax.Options{Node: "n", Limits: syntax.Limits{Nesting: 16}})
		if len(errs) > 0 {
			t.Fatalf("the printed tree is refused: %v\n%s", errs[0], printed)
		}
		if got := syntax.Print(again); got != printed {
			t.Fatalf("printing twice differs:\n%q\n%q", printed, got)
		}
	})
}
