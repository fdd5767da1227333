package config

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/hacluster/hacluster/config/syntax"
	"github.com/hacluster/hacluster/internal/rules"
)

// Options say how a document is read.
type Options struct {
	Node   string        // whose view; empty: a machine that no condition names
	Files  syntax.Opener // nil: include is refused, as in a cluster document
	Limits syntax.Limits
	// Witness: the node votes and runs nothing, so that only global_defs and
	// cluster are compiled, and what the rest says for it does not matter.
	Witness bool
}

// Compile gives the configuration of one node of a cluster, and everything that
// is wrong with the document for it. The Config is never nil; it may be used
// only when Findings.Err is nil.
func Compile(doc *syntax.Document, node string) (*Config, Findings) {
	return CompileWith(doc, Options{Node: node})
}

// CompileWith is Compile for documents that may include files, such as the
// keepalived.conf of a machine without cluster.
func CompileWith(doc *syntax.Document, o Options) (*Config, Findings) {
	nodes, errs := doc.Expand(syntax.Options{Node: o.Node, Files: o.Files, Limits: o.Limits})
	c := newCompiler(o.Node)
	for _, e := range errs {
		c.add(Error, e.Pos, "%s", e.Msg)
	}
	c.witness = o.Witness
	if o.Witness {
		nodes = slices.DeleteFunc(nodes, func(n *syntax.Node) bool { return n.Word.Text != "global_defs" && n.Word.Text != "cluster" })
	}
	c.document(nodes)
	c.finish()
	return c.cfg, c.findings.sorted()
}

// CheckFile reads and compiles the file of one machine; include is allowed.
func CheckFile(name, node string) (*Config, Findings, error) {
	doc, err := syntax.ReadFile(name)
	if err != nil {
		return nil, nil, err
	}
	cfg, findings := CompileWith(doc, Options{Node: node, Files: syntax.OSFiles{}})
	nothing := idle(doc, findings, cfg)
	if len(nothing) > 0 && len(doc.Nodes()) > 0 {
		nothing[0].Node = node // others may have something to do
	}
	return cfg, append(findings, nothing...).sorted(), nil
}

// compiler is one run over the statements that a node sees.
type compiler struct {
	cfg      *Config
	findings Findings
	errors   int // how many of the findings are errors
	defaults defaults
	facts    map[string]*facts // by name of an instance
	groups   map[string]*syntax.Node
	weighted map[string]bool // groups that may track with weights
	witness  bool            // see Options

	serverGroups map[string]*ServerGroup
	trackFiles   map[string]TrackFile
	services     map[Service]serviceOwner
}

// defaults are the global_defs that instances start from.
type defaults struct {
	version              int // 0: 2, or 3 with IPv6
	announce             Announce
	garpInterval         time.Duration
	gnaInterval          time.Duration
	lowerDelay, lowerRep bool // set by their own words
	smtpAlert            *bool
	smtpAlertVRRP        *bool
	checkUnicastSource   bool
	skipCheckAddresses   bool
	v3ChecksumAsV2       bool
	lowerPrioNoAdvert    bool
	higherPrioSendAdvert bool
	ownerIgnoreAdverts   bool
	downTimerAdverts     int
	smtpAlertChecker     *bool
	logAllFailures       bool
}

// checkerAlert is the default of smtp_alert of virtual and real servers; nil:
// said nowhere.
func (d *defaults) checkerAlert() *bool { return cmp.Or(d.smtpAlertChecker, d.smtpAlert) }

// facts is what the statements of an instance say beside its values.
type facts struct {
	node                           *syntax.Node
	index                          int  // in Config.Instances
	advertised                     bool // virtual_ipaddress was given
	noAddress                      bool // no_virtual_ipaddress was given
	emptyAddresses                 bool // virtual_ipaddress has no lines
	priority, noPreempt            bool
	unicastSource, multicastSource netip.Addr
	unicastPeers                   bool
	splitBrain                     bool
}

func newCompiler(node string) *compiler {
	return &compiler{
		cfg: &Config{
			Node:   node,
			places: map[string]syntax.Pos{},
			Global: Global{
				SMTPPort:         25,
				SMTPTimeout:      30 * time.Second,
				MulticastGroup4:  netip.MustParseAddr("224.0.0.18"),
				MulticastGroup6:  netip.MustParseAddr("ff02::12"),
				DefaultInterface: "eth0",
			},
			Cluster: Cluster{
				HeartbeatInterval: rules.DefaultHeartbeat,
				AloneAfter:        rules.DefaultAloneAfter,
				Alerts:            Alerts{Level: LevelWarning},
			},
		},
		facts:    map[string]*facts{},
		groups:   map[string]*syntax.Node{},
		weighted: map[string]bool{},

		serverGroups: map[string]*ServerGroup{},
		trackFiles:   map[string]TrackFile{},
		services:     map[Service]serviceOwner{},
		defaults: defaults{
			announce:         Announce{Repeat: 5, Delay: 5 * time.Second, RefreshRepeat: 1, LowerPrioRepeat: 5, LowerPrioDelay: 5 * time.Second},
			downTimerAdverts: 3,
		},
	}
}

func (c *compiler) add(s Severity, at syntax.Pos, format string, args ...any) {
	if s == Error {
		c.errors++
	}
	c.findings = append(c.findings, Finding{Severity: s, Pos: at, Msg: fmt.Sprintf(format, args...)})
}

func (c *compiler) errorf(at syntax.Pos, format string, args ...any) {
	c.add(Error, at, format, args...)
}

func (c *compiler) warnf(at syntax.Pos, format string, args ...any) {
	c.add(Warning, at, format, args...)
}

// document compiles the top level. global_defs counts for everything, wherever
// it stands, so it goes first; keepalived reads defaults at the end as well.
func (c *compiler) document(nodes []*syntax.Node) {
	var rest []*syntax.Node
	for _, n := range nodes {
		if n.Word.Text == "global_defs" {
			if c.known("top", n) {
				c.global(n)
			}
			continue
		}
		rest = append(rest, n)
	}
	var servers []*syntax.Node
	for _, n := range rest {
		if !c.known("top", n) {
			continue
		}
		switch n.Word.Text {
		case "vrrp_instance":
			c.instance(n)
		case "vrrp_sync_group":
			c.group(n)
		case "vrrp_script":
			c.script(n)
		case "static_ipaddress":
			c.cfg.Addresses = append(c.cfg.Addresses, c.addresses(n)...)
		case "static_routes":
			c.cfg.Routes = append(c.cfg.Routes, c.routes(n)...)
		case "cluster":
			c.cluster(n)
		case "virtual_server":
			servers = append(servers, n)
		case "track_file", "vrrp_track_file":
			c.trackFile(n)
		case "virtual_server_group":
			c.serverGroup(n)
		default:
			unhandled("top", n)
		}
	}
	// They name groups and files, which may stand behind them.
	for _, n := range servers {
		c.virtualServer(n)
	}
}

// unhandled is reached when the table says that a word is implemented and the
// block's switch does not have it: a bug.
func unhandled(block string, n *syntax.Node) {
	panic("config: " + block + " " + n.Word.Text + " is implemented in keywords.tsv but not in the code")
}

// known reports whether a statement is to be compiled. If it is not, it says
// why: the word is unknown here, or known and not implemented.
func (c *compiler) known(block string, n *syntax.Node) bool {
	k, ok := table().lookup(block, n.Word.Text)
	if !ok {
		c.unknown(block, n)
		return false
	}
	if opens, _ := k.opens(); opens != "" && !n.Block {
		c.errorf(n.Word.Pos, "%s needs a block in braces", n.Word.Text)
		return false
	} else if opens == "" && n.Block {
		c.errorf(n.Word.Pos, "%s takes no block", n.Word.Text)
		return false
	}
	c.place(block, n)
	if k.Status == StatusImplemented {
		return true
	}
	severity := Warning
	if k.Status == StatusUnsupported {
		severity = Unsupported
	}
	if k.Tier == "own" {
		c.add(severity, n.Word.Pos, "%s is not implemented yet: no effect", n.Word.Text)
	} else {
		c.add(severity, n.Word.Pos, "%s is known to keepalived, not implemented by hacluster: no effect", n.Word.Text)
	}
	c.inside(k, n)
	return false
}

// inside looks for unknown words in a block that is not implemented.
func (c *compiler) inside(k Keyword, n *syntax.Node) {
	block, list := k.opens()
	switch {
	case block == "":
		return
	case list:
		if block == "rule" {
			for _, line := range n.Children {
				c.rule(line)
			}
		}
		return
	}
	for _, child := range n.Children {
		k, ok := table().lookup(block, child.Word.Text)
		if !ok {
			if block != "fence_agent" { // its words are the agent's
				c.unknown(block, child)
			}
			continue
		}
		c.inside(k, child)
	}
}

// unknown reports a word that the block does not have: a warning when another
// block has it, as keepalived carries on there, an error when none has.
func (c *compiler) unknown(block string, n *syntax.Node) {
	t, w := table(), n.Word.Text
	in := blockName(block)
	if homes := t.homes[w]; len(homes) > 0 {
		c.warnf(n.Word.Pos, "%s has no effect %s; it belongs to %s", w, in, blockList(homes))
		return
	}
	if near := t.nearest(block, w); near != "" {
		c.errorf(n.Word.Pos, "%s is not known %s; did you mean %s?", w, in, near)
		return
	}
	c.errorf(n.Word.Pos, "%s is not known %s", w, in)
}

// blockName says where a word stands.
func blockName(block string) string {
	switch block {
	case "top":
		return "outside blocks"
	case "checker":
		return "in a checker"
	}
	return "in " + block
}

// blockList names up to three blocks.
func blockList(blocks []string) string {
	var names []string
	for _, b := range blocks[:min(len(blocks), 3)] {
		switch b {
		case "top":
			b = "the top level"
		case "checker":
			b = "checkers"
		case "address", "route", "rule":
			b += " lines"
		}
		names = append(names, b)
	}
	return strings.Join(names, ", ")
}

// place notes where a statement stands, for findings made later and elsewhere.
func (c *compiler) place(block string, n *syntax.Node) {
	if block == "top" {
		key := n.Path()
		if _, ok := c.cfg.places[key]; !ok {
			c.cfg.places[key] = n.Word.Pos
		}
	}
}

// placeIn notes where a statement of a named block stands.
func (c *compiler) placeIn(parent, n *syntax.Node) {
	c.cfg.places[parent.Path()+"\x00"+n.Word.Text] = n.Word.Pos
}

// name returns the single name that a block takes.
func (c *compiler) name(n *syntax.Node) (string, bool) {
	if len(n.Args) != 1 || n.Args[0].Text == "" {
		c.errorf(n.Word.Pos, "%s takes one name: %s NAME { ... }", n.Word.Text, n.Word.Text)
		return "", false
	}
	return n.Args[0].Text, true
}

// once reports statements that stand in a block twice: the last one counts.
func (c *compiler) once(n *syntax.Node, repeated ...string) {
	first := map[string]syntax.Pos{}
	for _, s := range n.Children {
		w := s.Word.Text
		if slices.Contains(repeated, w) {
			continue
		}
		if p, ok := first[w]; ok {
			if _, known := table().lookup(n.Word.Text, w); known {
				c.warnf(s.Word.Pos, "%s is given twice in %s, first at line %d; the last one counts", w, n.Path(), p.Line)
			}
			continue
		}
		first[w] = s.Word.Pos
	}
}
