package lab

import (
	"fmt"
	"os"
	"path/filepath"
)

// tempDir is a new directory of the node for one program; it goes with the
// test. It is short, because socket names have only 108 bytes.
func (n *Node) tempDir(purpose string) string {
	n.t.Helper()
	dir, err := os.MkdirTemp(memory(), fmt.Sprintf("%s%v-%s-%s-", namePrefix, self(), n.Name, purpose))
	if err != nil {
		n.t.Fatalf("lab: node %s: %v", n.Name, err)
	}
	n.t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// memory is where the directories of a lab are: in memory, because a disk that
// several clusters write to at once stalls for longer than a store waits.
func memory() string {
	if info, err := os.Stat("/dev/shm"); err == nil && info.IsDir() {
		return "/dev/shm"
	}
	return os.TempDir()
}

// TempDir is a new directory that goes with the test.
func (n *Node) TempDir() string { n.t.Helper(); return n.tempDir("files") }

// WriteFile writes a file into a new directory and returns its path.
func (n *Node) WriteFile(name, text string) string {
	n.t.Helper()
	return n.write(n.tempDir("files"), name, text)
}

// WriteScript writes an executable shell script and returns its path.
func (n *Node) WriteScript(name, body string) string {
	n.t.Helper()
	path := n.WriteFile(name, "#!/bin/sh\n"+body+"\n")
	err := os.Chmod(filepath.Dir(path), 0o755) // scripts may run as another user
	if err == nil {
		err = os.Chmod(path, 0o755)
	}
	if err != nil {
		n.t.Fatalf("lab: node %s: %v", n.Name, err)
	}
	return path
}

func (n *Node) write(dir, name, text string) string {
	n.t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		n.t.Fatalf("lab: node %s: %v", n.Name, err)
	}
	return path
}
