package config

import "github.com/hacluster/hacluster/config/syntax"

// idle says of a document that is right, and by which no node has anything to do,
// that this is so: most often another file was meant, or an editor has truncated it.
func idle(doc *syntax.Document, found Findings, cfgs ...*Config) Findings {
	if found.Err() != nil {
		return nil // what was meant cannot be told
	}
	for _, cfg := range cfgs {
		if len(cfg.Instances) > 0 || len(cfg.VirtualServers) > 0 {
			return nil
		}
	}
	what := "the document is empty"
	for _, l := range doc.Lines {
		if l.Code < l.Comment {
			what = "there is no vrrp_instance and no virtual_server"
			break
		}
	}
	return Findings{{
		Severity: Warning, Pos: syntax.Pos{File: doc.File, Line: 1, Col: 1},
		Msg: what + ": nothing in it is to be held or served",
	}}
}
