package config_test

import (
	"strings"
	"testing"

	"github.com/hacluster/hacluster/config"
	"github.com/hacluster/hacluster/config/syntax"
)

// Whatever the texts are, edits and imports refuse or keep their promises; they
// prove these themselves, so here it is only the refusals that are looked at.
func FuzzEdit(f *testing.F) {
	f.Add("vrrp_instance A {\n@n priority 1\n interface eth0\n virtual_router_id 5\n virtual_ipaddress { 192.0.2.1 }\n}\n", "priority", "3")
	f.Add("virtual_server group G {\n protocol TCP\n@n weight 2\n real_server 10.0.0.1 80 { TCP_CHECK { } }\n}\nvirtual_server_group G { 192.0.2.1-9 80 }\n", "quorum", "2")
	f.Add("cluster { alone_after 3 }\n$A= \\\n x \\\n y\n", "x", "\"a b\"")
	f.Fuzz(func(t *testing.T, text, keyword, value string) {
		if len(text) > 2000 {
			return
		}
		doc := syntax.Parse("f", text)
		// Long repetitions are bounded elsewhere; here they would only take time.
		if nodes, _ := doc.Expand(syntax.Options{Node: "n", Limits: syntax.Limits{Lines: 2000, Bytes: 1 << 18}}); len(nodes) > 500 {
			return
		}
		for _, node := range []string{"", "n"} {
			if got, err := config.Set(doc, "vrrp_instance A", keyword, value, node); err == nil {
				if again, err := config.Set(syntax.Parse("f", got), "vrrp_instance A", keyword, value, node); err != nil || again != got {
					t.Errorf("setting it again: %v\n%s", err, config.Diff("once", got, "twice", again))
				}
			}
		}
		plain, err := config.Render(doc, "n")
		if err != nil {
			return
		}
		if again, err := config.Render(syntax.Parse("f", plain), "n"); err != nil || again != plain && syntaxTree(again) != syntaxTree(plain) {
			t.Errorf("rendering again: %v\n%s", err, config.Diff("once", plain, "twice", again))
		}
		if text, _, err := config.Import(map[string]config.ImportSource{"n": {File: "n", Text: plain}, "m": {File: "m", Text: text}}); err == nil {
			if _, err := config.Render(syntax.Parse("f", text), "m"); err != nil {
				t.Errorf("an imported document cannot be rendered: %v", err)
			}
		}
	})
}

// A password that stands behind auth_pass is never shown, whatever is around it.
func FuzzRedact(f *testing.F) {
	f.Add("vrrp_instance A {\n", "    ", "\n}\n")
	f.Add("$P=\"", "# ", "")
	f.Fuzz(func(t *testing.T, before, indent, after string) {
		const secret = "hunter2"
		if strings.Contains(before+indent+after, "unter") {
			return
		}
		for _, text := range []string{
			before + "\n" + indent + " auth_pass " + secret + "\n" + after,
			before + "\n$P=" + secret + "\n" + after + "\n auth_pass $P\n",
		} {
			if got := config.Redact(text); strings.Contains(got, secret) {
				t.Errorf("Redact(%q) = %q", text, got)
			}
		}
	})
}

func syntaxTree(text string) string {
	nodes, _ := syntax.Parse("f", text).Expand(syntax.Options{Node: "n"})
	return syntax.Print(nodes)
}
