package hacluster

import (
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/hacluster/hacluster"

var (
	// below stand under the leaves and import nothing of ours but each other.
	below = []string{"internal/gate", "internal/journal", "internal/kclock", "internal/mmsg", "internal/nlmsg", "internal/preflight", "internal/realserver", "internal/rules", "internal/run", "internal/stages", "internal/supervisor", "internal/version"}

	// leaves never import each other.
	leaves = []string{
		"config", "vrrp", "lvs", "splitbrain", "internal/netif",
		"cluster", "cluster/store", "cluster/mesh", "cluster/pki", "cluster/rollout", "cluster/upgrade", "cluster/clustertest",
	}
)

// mayImport is the import table: what a tree of packages may import beside
// itself. A new edge is a new word here, to be seen in review. A tree is the
// longest row that is a prefix of a package's path.
var mayImport = map[string][]string{
	"internal/gate":       below,
	"internal/kclock":     below,
	"internal/journal":    nil,
	"internal/mmsg":       nil,
	"internal/nlmsg":      nil,
	"internal/preflight":  nil,
	"internal/realserver": nil,
	"internal/rules":      nil,
	"internal/run":        below,
	"internal/stages":     nil,
	"internal/supervisor": below,
	"internal/version":    nil,

	"config":              below,
	"vrrp":                below,
	"lvs":                 below,
	"splitbrain":          below,
	"internal/netif":      below,
	"cluster/store":       below,
	"cluster/mesh":        below,
	"cluster/pki":         below,
	"cluster/rollout":     below,
	"cluster/upgrade":     below,
	"cluster/clustertest": below,
	// The root of cluster composes its children.
	"cluster": join(below, "proto", "cluster/store", "cluster/mesh", "cluster/pki", "cluster/rollout", "cluster/upgrade", "cluster/clustertest"),

	"desired":  join(below, leaves...),
	"observed": join(below, leaves...),
	"alert":    join(below, join(leaves, "desired", "observed")...),
	"api":      join(below, join(leaves, "desired", "observed", "alert", "proto")...),
	// Under node stands what knows several leaves and is one idea each.
	"node/arbitrate":  join(below, join(leaves, "desired", "observed")...),
	"node/balance":    join(below, join(leaves, "desired", "observed")...),
	"node/directors":  join(below, join(leaves, "desired", "observed")...),
	"node/examine":    join(below, join(leaves, "desired", "node/plane", "node/rival")...),
	"node/fencing":    join(below, join(leaves, "desired", "node/arbitrate")...),
	"node/membership": join(below, join(leaves, "desired", "observed", "node/arbitrate", "node/fencing", "node/neighbours", "node/plane", "node/runner", "node/will")...),
	"node/neighbours": join(below, join(leaves, "desired", "observed", "node/arbitrate", "node/plane")...),
	"node/runner":     join(below, "cluster/store", "config", "desired", "observed", "vrrp"),
	"node/rival":      {"config", "desired", "vrrp"},
	"node/will":       join(below, "splitbrain", "vrrp"),
	"node/plane":      join(below, join(leaves, "desired", "observed", "alert", "node/rival", "node/will")...),
	"node":            join(below, join(leaves, "desired", "observed", "alert", "api", "proto", "node/arbitrate", "node/balance", "node/directors", "node/examine", "node/fencing", "node/membership", "node/neighbours", "node/plane", "node/rival", "node/runner", "node/will")...),

	"cmd/haclusterd": join(below, "node", "config"),
	// Real servers run no daemon, so the client has the mechanics of its own machine.
	"cmd/haclusterctl": {"proto", "config", "internal/realserver", "internal/version"},

	"sim":   join(below, "vrrp", "splitbrain"),
	"e2e":   {"proto"},
	"proto": nil,

	"internal/compatdoc": {"config"},
	"internal/testcount": nil,
	"internal/fuzzsmoke": nil,
	"internal/pins":      nil,
	"tools":              nil,
}

func join(a []string, b ...string) []string { return slices.Concat(a, b) }

// tree is the row of the table that counts for a package.
func tree(pkg string) (row string, ok bool) {
	for p := pkg; p != "."; p = path.Dir(p) {
		if _, ok := mayImport[p]; ok {
			return p, true
		}
	}
	return "", false
}

// allowed reports whether a package may import another one.
func allowed(from, to string) bool {
	row, _ := tree(from)
	target, known := tree(to)
	if known && target == row {
		return true
	}
	return slices.ContainsFunc(mayImport[row], func(may string) bool {
		// A row allows its subtree, but for the parts that have rows of their own.
		return to == may || strings.HasPrefix(to, may+"/") && target == may
	})
}

func TestImportsFollowTheTable(t *testing.T) {
	edges := make(map[string]map[string]string) // package → import → file
	err := filepath.WalkDir(".", func(file string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (strings.HasPrefix(d.Name(), ".") && file != "." || d.Name() == "testdata" || d.Name() == "dist" || d.Name() == "bin"):
			return filepath.SkipDir
		case d.IsDir() || !strings.HasSuffix(file, ".go"):
			return nil
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		pkg := filepath.ToSlash(filepath.Dir(file))
		if edges[pkg] == nil {
			edges[pkg] = make(map[string]string)
		}
		for _, spec := range parsed.Imports {
			name, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			if to, ours := strings.CutPrefix(name, module+"/"); ours {
				edges[pkg][to] = file
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, pkg := range slices.Sorted(maps.Keys(edges)) {
		if _, ok := tree(pkg); !ok && pkg != "." {
			t.Errorf("package %s has no row in the import table", pkg)
			continue
		}
		for _, to := range slices.Sorted(maps.Keys(edges[pkg])) {
			if !allowed(pkg, to) {
				t.Errorf("%s imports %s, which the table does not allow", edges[pkg][to], to)
			}
		}
	}
}

func TestImportTableHoldsTheDesign(t *testing.T) {
	tests := []struct {
		from, to string
		want     bool
	}{
		{"vrrp", "vrrp/packet", true},
		{"vrrp", "internal/kclock", true},
		{"vrrp", "splitbrain", false},
		{"splitbrain", "vrrp", false},
		{"lvs/director", "lvs/check", true},
		{"lvs/director", "config", false},
		{"cluster", "cluster/store", true},
		{"cluster/store", "cluster/mesh", false},
		{"cluster/mesh", "cluster", false},
		{"desired", "config", true},
		{"desired", "cluster/store", true},
		{"config", "desired", false},
		{"api", "node", false},
		{"node", "api", true},
		{"sim", "vrrp", true},
		{"sim", "config", false},
		{"cmd/haclusterctl", "proto/hacluster/v1", true},
		{"cmd/haclusterctl", "internal/realserver", true},
		{"cmd/haclusterctl", "vrrp", false},
		{"e2e", "e2e/lab", true},
		{"e2e/lab", "vrrp/packet", false},
		{"internal/run", "vrrp", false},
	}
	for _, tt := range tests {
		t.Run(tt.from+" to "+tt.to, func(t *testing.T) {
			if got := allowed(tt.from, tt.to); got != tt.want {
				t.Errorf("allowed = %v, want %v", got, tt.want)
			}
		})
	}
}
