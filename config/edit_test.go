package config_test

import (
	"errors"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/hacluster/hacluster/config"
	"github.com/hacluster/hacluster/config/syntax"
)

const editDoc = `# the pair
vrrp_instance VI_1 {   # outer
    interface eth0
    virtual_router_id 51
@lb01     priority 150    # preferred
@^lb01    priority 100
    advert_int 1          # seconds
    authentication {
        auth_type PASS
        auth_pass old
    }
    virtual_ipaddress {
        192.0.2.1
    }
}
$N=VI_2
vrrp_instance $N { interface eth1 }
`

func TestSetChangesOneValueAndKeepsTheRest(t *testing.T) {
	tests := []struct {
		name, path, keyword, value, node string
		from, to                         string // in the document
	}{{
		name: "for all nodes, the comment stays",
		path: "vrrp_instance VI_1", keyword: "advert_int", value: "2",
		from: "    advert_int 1          # seconds\n", to: "    advert_int 2  # seconds\n",
	}, {
		name: "a node's own line",
		path: "vrrp_instance VI_1", keyword: "priority", value: "200", node: "lb01",
		from: "@lb01     priority 150    # preferred\n", to: "@lb01 priority 200  # preferred\n",
	}, {
		name: "a node that shares a line gets its own",
		path: "vrrp_instance VI_1", keyword: "advert_int", value: "3", node: "lb02",
		from: "    advert_int 1          # seconds\n", to: "    @^lb02 advert_int 1  # seconds\n    @lb02 advert_int 3\n",
	}, {
		name: "one line for all replaces several",
		path: "vrrp_instance VI_1", keyword: "priority", value: "120",
		from: "@lb01     priority 150    # preferred\n@^lb01    priority 100\n", to: "priority 120  # preferred\n",
	}, {
		name: "a new word goes to the end of its block",
		path: "vrrp_instance VI_1", keyword: "nopreempt",
		from: "        192.0.2.1\n    }\n", to: "        192.0.2.1\n    }\n    nopreempt\n",
	}, {
		name: "in an inner block, with quotes",
		path: "vrrp_instance VI_1 authentication", keyword: "auth_pass", value: `"a b"`,
		from: "auth_pass old\n", to: "auth_pass \"a b\"\n",
	}, {
		name: "a block that is missing is added",
		path: "vrrp_instance VI_1 split_brain", keyword: "policy", value: "off",
		from: "        192.0.2.1\n    }\n", to: "        192.0.2.1\n    }\n    split_brain {\n        policy off\n    }\n",
	}, {
		name: "a top-level block that is missing is added, for one node",
		path: "cluster", keyword: "mesh_interface", value: "eth1", node: "lb01",
		from: "{ interface eth1 }\n", to: "{ interface eth1 }\n\ncluster {\n    @lb01 mesh_interface eth1\n}\n",
	}}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := config.Set(syntax.Parse("f", editDoc), tt.path, tt.keyword, tt.value, tt.node)
			if err != nil {
				t.Fatal(err)
			}
			if want := strings.Replace(editDoc, tt.from, tt.to, 1); got != want {
				t.Errorf("%s", config.Diff("want", want, "got", got))
			}
		})
	}
}

func TestSetRefusesWhatItCannotDoAlone(t *testing.T) {
	tests := []struct{ name, path, keyword, value, node, want string }{
		{"no such block", "vrrp_instance VI_9", "priority", "1", "", "no block vrrp_instance VI_9"},
		{"derived block", "vrrp_instance VI_2", "priority", "1", "", "f:17:1: vrrp_instance VI_2 stands on one line or comes from a definition"},
		{"block", "vrrp_instance VI_1", "virtual_ipaddress", "1.2.3.4", "", "virtual_ipaddress is a block"},
		{"braces in the value", "vrrp_instance VI_1", "priority", "1 } x {", "", "is not one statement"},
		{"comment in the value", "vrrp_instance VI_1", "priority", "# 1", "", "is not one statement"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := config.Set(syntax.Parse("f", editDoc), tt.path, tt.keyword, tt.value, tt.node)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want one with %q", err, tt.want)
			}
		})
	}
}

func TestMergeJoinsEditsOfDifferentLines(t *testing.T) {
	const base = "a\nb\nc\nd\ne\n"
	got, err := config.Merge3(base, "a\nB\nc\nd\ne\n", "a\nb\nc\nd\nE\nf\n")
	if want := "a\nB\nc\nd\nE\nf\n"; err != nil || got != want {
		t.Errorf("merged %q, %v; want %q", got, err, want)
	}
	if got, err := config.Merge3(base, base, "x\n"); err != nil || got != "x\n" {
		t.Errorf("an edit against nothing gives %q, %v", got, err)
	}
	if got, err := config.Merge3(base, "x\n", "x\n"); err != nil || got != "x\n" {
		t.Errorf("equal edits give %q, %v", got, err)
	}
}

func TestMergeShowsBothSidesOfAConflict(t *testing.T) {
	_, err := config.Merge3("a\npriority 1\nc\n", "a\npriority 2\nc\n", "a\npriority 3\nauth_pass secret\nc\n")
	var conflict *config.ConflictError
	if !errors.As(err, &conflict) {
		t.Fatalf("error %v, want a conflict", err)
	}
	want := "both edits change line 2:\n<<<<<<< yours\npriority 2\n=======\npriority 3\nauth_pass ***\n>>>>>>> theirs"
	if err.Error() != want {
		t.Errorf("conflict:\n%s\nwant:\n%s", err, want)
	}
}

// Whatever one side does to a text that the other leaves alone, the merge is it.
func TestMergeWithAnUntouchedSideGivesTheOther(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	text := func() string {
		var b strings.Builder
		for range rng.IntN(12) {
			b.WriteString(string(rune('a'+rng.IntN(3))) + "\n")
		}
		return b.String()
	}
	for range 5000 {
		base, edit := text(), text()
		if got, err := config.Merge3(base, base, edit); err != nil || got != edit {
			t.Fatalf("Merge3(%q, same, %q) = %q, %v", base, edit, got, err)
		}
		if got, err := config.Merge3(base, edit, base); err != nil || got != edit {
			t.Fatalf("Merge3(%q, %q, same) = %q, %v", base, edit, got, err)
		}
	}
}

func TestRedactHidesSecrets(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"statement", "  auth_pass secret # x\n", "  auth_pass *** # x\n"},
		{"quotes", "auth_pass \"a b\"\nauth_pass 'c d'x\n", "auth_pass ***\nauth_pass ***\n"},
		{"comment and difference", "# auth_pass old\n-    auth_pass old\n+@lb01 auth_pass new\n", "# auth_pass ***\n-    auth_pass ***\n+@lb01 auth_pass ***\n"},
		{"one line", "authentication { auth_type PASS\nauth_pass s}", "authentication { auth_type PASS\nauth_pass ***}"},
		{"parameter", "$P=${Q}x\n@a $Q=secret\n$R=1\nauth_pass ${P}\n", "$P=***\n@a $Q=***\n$R=1\nauth_pass ***\n"},
		{"parameter over lines", "$P= \\\n  secret \\\n  more\nauth_pass $P\n", "$P=***\nauth_pass ***\n"},
		{"repetition", "~SEQ(A,1,2) ~LST(P, one, two) auth_pass $P\n", "~SEQ(***) ~LST(***) auth_pass ***\n"},
		{"hmac key", "key 1 hex:00ff\npassword foo\n", "key 1 ***\npassword ***\n"},
		{"nothing", "priority 100\n", "priority 100\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := config.Redact(tt.text); got != tt.want {
				t.Errorf("Redact = %q, want %q", got, tt.want)
			}
		})
	}
}
