package main

import (
	"fmt"
	"io"

	"github.com/hacluster/hacluster/config"
)

// checkDocument writes all findings to w and returns the exit code: 0 unless
// there is an error. What is missing on this machine is an error only with
// onThisNode.
func checkDocument(w io.Writer, file, node string, onThisNode bool) int {
	cfg, findings, err := config.CheckFile(file, node)
	if err != nil {
		return fail(exitFailed, err)
	}
	findings = append(findings, config.CheckOnNode(cfg, config.Machine{}, onThisNode)...)
	for _, f := range findings {
		fmt.Fprintln(w, f)
	}
	if findings.Err() != nil {
		return exitFailed
	}
	return exitOK
}
