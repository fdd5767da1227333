package guest

import (
	"encoding/json"
	"os"
	"path/filepath"
)

// stateVar is the kernel parameter that names the state directory; the kernel
// hands it on to process 1 as a variable of its environment.
const stateVar = "hacluster_guest"

// A state directory has the job, the result when there is one, and what the
// command and the guest itself said.
const (
	jobFile     = "job"
	resultFile  = "result"
	stdoutFile  = "stdout"
	stderrFile  = "stderr"
	consoleFile = "console"
)

// job is what the guest is to do.
type job struct {
	Argv, Env []string
	Dir       string
	Umask     int
}

// result is what came of it.
type result struct {
	Status int    // the command's exit status, 128 + the number of a signal
	Err    string // why it could not be run; empty: it was
}

func readFile(dir, name string, v any) error {
	b, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		return err
	}
	return json.Unmarshal(b, v)
}

// writeFile makes the file in one step: who sees it sees all of it.
func writeFile(dir, name string, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path+".new", b, 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}
