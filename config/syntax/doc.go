// Package syntax reads the language of keepalived.conf into a tree.
//
// The language is made of lines. Reading goes in the order that keepalived
// uses: a comment starts with # or ! outside quotes, include lines are replaced
// by the files they name, definitions ($NAME=VALUE) are collected and used,
// ~SEQ and ~LST repeat their line, and a line that starts with @NODE or @^NODE
// counts only on that node, or only on the others. What is left is statements:
// words up to the end of the line or a brace. A brace may stand on the line of
// its statement, on the next one, or between others.
//
// Lines is the source as it stands, comments kept: what edits and printing work
// on. Expand gives the tree that one node sees. Both know file, line and column
// of everything.
//
// Double quotes hold a word together. Only in commands (script, notify_master and
// the like) single quotes do so too and a backslash stands for special
// characters: `auth_pass it's` is read as it is written. Beyond these words
// nothing here knows a keyword; that is package config.
//
// Every expansion is bounded (Limits), so a document cannot exhaust memory,
// stack or time.
package syntax
