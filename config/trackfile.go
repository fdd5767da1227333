package config

import (
	"math"
	"strings"

	"github.com/hacluster/hacluster/config/syntax"
)

// trackFile compiles track_file and vrrp_track_file, which are one.
func (c *compiler) trackFile(n *syntax.Node) {
	name, ok := c.name(n)
	if !ok {
		return
	}
	f := TrackFile{Name: name, Weight: 1}
	c.once(n)
	for _, s := range n.Children {
		if !c.known("track_file", s) {
			continue
		}
		switch s.Word.Text {
		case "file":
			if t, ok := c.arg(s); ok {
				f.File = t.Text
				if !strings.HasPrefix(t.Text, "/") {
					c.errorf(t.Pos, "file %q is no path from the root; use /DIRECTORY/FILE", t.Text)
				}
			}
		case "weight":
			f.Weight, f.Reverse = c.weightOf(s.Word.Text, s.Word.Pos, s.Args, 254)
		default:
			unhandled("track_file", s)
		}
	}
	switch _, twice := c.trackFiles[name]; {
	case twice:
		c.errorf(n.Word.Pos, "%s %s is defined twice", n.Word.Text, name)
	case f.File == "":
		c.errorf(n.Word.Pos, "%s %s has no file; add file /DIRECTORY/FILE", n.Word.Text, name)
	}
	c.trackFiles[name] = f
	c.cfg.TrackFiles = append(c.cfg.TrackFiles, f)
}

// fileWords compiles FILE_CHECK, which has no other words. The weight is the
// file's until it says its own.
func (c *compiler) fileWords(k *checkerBlock, s *syntax.Node) bool {
	switch s.Word.Text {
	case "track_file":
		if t, ok := c.arg(s); ok {
			f, found := c.trackFiles[t.Text]
			if !found {
				c.errorf(t.Pos, "no track_file has the name %s on this node", t.Text)
			}
			k.to.File.Path = f.File
			if !k.ownWeight {
				k.to.File.Weight, k.to.File.Reverse = f.Weight, f.Reverse
			}
		}
	case "weight":
		k.to.File.Weight, k.to.File.Reverse = c.weightOf(s.Word.Text, s.Word.Pos, s.Args, math.MaxInt32)
		k.ownWeight = true
	default:
		c.warnf(s.Word.Pos, "%s has no effect in FILE_CHECK: the file is followed all the time", s.Word.Text)
	}
	return true
}

// hasFile refuses a check that checks nothing.
func (c *compiler) hasFile(k *checkerBlock) bool {
	if placeOf(k.node, "track_file") == k.node.Word.Pos {
		c.errorf(k.node.Word.Pos, "FILE_CHECK has no track_file; add the name of one")
		return false
	}
	return true
}
