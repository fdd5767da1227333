// Package config turns a document in keepalived's language into the typed
// configuration of one node, and edits such documents.
//
// A cluster has one document. Lines that start with @NODE or @^NODE differ from
// node to node, so Compile gives each member its own Config; CompileCluster does
// it for all of them and compares the results. Two blocks are hacluster's own:
// cluster, and split_brain in a vrrp_instance or vrrp_sync_group.
//
// All mistakes are reported at once, as Findings of three severities: an Error
// refuses the document, Unsupported is known to keepalived but not implemented
// here although its loss changes who holds, who is believed or what is
// reachable, and a Warning is what keepalived would report and carry on with.
// keywords.tsv is the table of all words and what becomes of them. Those of
// virtual servers have the status checked: they are compiled, and each
// virtual_server is Unsupported until something runs it.
//
// Nothing here reads the machine but CheckOnNode, and that only through Env.
// The package starts no goroutine and keeps no state.
package config
