package lab

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// stepEnv names the file with the seconds by which a daemon's wall clock is ahead.
const stepEnv = "LAB_CLOCK_STEP"

// steppable is added to the standard library's package time. Where the clock is
// read nothing can be done but to load a number.
const steppable = `package time

import (
	"sync/atomic"
	"syscall"
)

// ahead is by how many seconds the wall clock has been stepped.
var ahead atomic.Int64

func init() {
	if path, ok := syscall.Getenv("` + stepEnv + `"); ok {
		go followSteps(path)
	}
}

// followSteps reads the file again and again, for ever.
func followSteps(path string) {
	for ; ; Sleep(100 * Millisecond) {
		fd, err := syscall.Open(path, syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
		if err != nil {
			continue
		}
		var text [20]byte
		n, _ := syscall.Read(fd, text[:])
		syscall.Close(fd)
		if sec, err := atoi(text[:max(n, 0)]); err == nil {
			ahead.Store(int64(sec))
		}
	}
}
`

// BuildSteppable builds a haclusterd whose wall clock can be stepped. The kernel
// has one such clock for all namespaces, and a program without a C library takes
// it from no other library; so the function that reads it is another one. All
// that the daemon does is as it is with the kernel's clock stepped.
func BuildSteppable(t T) (binary string) {
	t.Helper()
	dir, err := os.MkdirTemp(memory(), namePrefix+self().String()+"-steppable-")
	if err != nil {
		t.Fatalf("lab: %v", err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatalf("lab: go env GOROOT: %v", err)
	}
	std := filepath.Join(strings.TrimSpace(string(root)), "src", "time")
	const reading = "sec, nsec, mono := runtimeNow()\n\tif mono == 0 {"
	source, err := os.ReadFile(filepath.Join(std, "time.go"))
	if err != nil || strings.Count(string(source), reading) != 1 {
		t.Fatalf("lab: %s does not read the clock with %q, once (%v)", filepath.Join(std, "time.go"), reading, err)
	}
	replaced := strings.Replace(string(source), reading, strings.Replace(reading, "\n", "\n\tsec += ahead.Load()\n", 1), 1)
	overlay := map[string]map[string]string{"Replace": {
		filepath.Join(std, "time.go"):      filepath.Join(dir, "time.go"),
		filepath.Join(std, "steppable.go"): filepath.Join(dir, "steppable.go"),
	}}
	list, err := json.Marshal(overlay)
	for name, text := range map[string]string{"time.go": replaced, "steppable.go": steppable, "overlay.json": string(list)} {
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600)
		}
	}
	if err != nil {
		t.Fatalf("lab: %v", err)
	}
	binary = filepath.Join(dir, "haclusterd")
	_, here, _, _ := runtime.Caller(0)
	build := exec.Command("go", "build", "-overlay", filepath.Join(dir, "overlay.json"), "-o", binary, "./cmd/haclusterd")
	build.Dir = filepath.Join(filepath.Dir(here), "..", "..")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("lab: build haclusterd with a wall clock that can be stepped: %v\n%s", err, out)
	}
	return binary
}

// StartSteppable is StartMember with the binary of BuildSteppable. The function
// sets by how much the daemon's wall clock is ahead; it knows within 100 ms.
func (n *Node) StartSteppable(binary string, mesh Network) (d *Daemon, step func(ahead time.Duration)) {
	n.t.Helper()
	dir := n.tempDir("haclusterd")
	d = n.daemon(dir, []string{"--advertise=" + n.Addr4(mesh).String()})
	d.args[0] = binary
	file := filepath.Join(dir, "ahead")
	d.args = append([]string{"env", stepEnv + "=" + file}, d.args...)
	d.start()
	return d, func(ahead time.Duration) {
		n.t.Helper()
		n.write(dir, "ahead", strconv.Itoa(int(ahead.Seconds())))
	}
}
