package debian

import (
	"archive/tar"
	"bytes"
	"debug/elf"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hacluster/hacluster/e2e/lab"
)

const top = "../.."

// packageFile is the path of the package that make package left.
func packageFile(t *testing.T) string {
	t.Helper()
	found, _ := filepath.Glob(filepath.Join(top, "dist", "haclusterd_*.deb"))
	if len(found) != 1 {
		t.Fatalf("dist/ has %d packages of haclusterd, want one; run make package", len(found))
	}
	return found[0]
}

// fileInPackage is one file of the package.
type fileInPackage struct {
	*tar.Header
	data []byte
}

// filesInPackage are all files of the package, by their absolute path.
func filesInPackage(t *testing.T, deb string) map[string]fileInPackage {
	t.Helper()
	files := make(map[string]fileInPackage)
	archive := tar.NewReader(strings.NewReader(host(t, time.Minute, "dpkg-deb", "--fsys-tarfile", deb)))
	for {
		h, err := archive.Next()
		if err == io.EOF {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(archive)
		if err != nil {
			t.Fatal(err)
		}
		files[strings.TrimSuffix(strings.TrimPrefix(h.Name, "."), "/")] = fileInPackage{h, data}
	}
}

func TestPackageHoldsThisBuild(t *testing.T) {
	t.Parallel()
	files := filesInPackage(t, packageFile(t))
	for path, name := range map[string]string{"/usr/sbin/haclusterd": "haclusterd", "/usr/bin/haclusterctl": "haclusterctl"} {
		want, err := os.ReadFile(lab.Binary(t, name))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(files[path].data, want) {
			t.Errorf("%s in the package is not bin/%s; run make package", path, name)
			continue
		}
		program, err := elf.NewFile(bytes.NewReader(want))
		if err != nil {
			t.Fatal(err)
		}
		if slices.ContainsFunc(program.Progs, func(p *elf.Prog) bool { return p.Type == elf.PT_INTERP }) {
			t.Errorf("%s is not static", path)
		}
	}
}

func TestPackageIsRootsAndReadable(t *testing.T) {
	t.Parallel()
	for path, f := range filesInPackage(t, packageFile(t)) {
		want := int64(0o644)
		if f.Typeflag == tar.TypeDir || strings.HasSuffix(filepath.Dir(path), "bin") {
			want = 0o755
		}
		if f.Mode&0o7777 != want || f.Uid != 0 || f.Gid != 0 {
			t.Errorf("%s has mode %o, owner %d:%d; want %o, 0:0", path, f.Mode, f.Uid, f.Gid, want)
		}
	}
}

func TestPackageIsTheSameWhenMadeAgain(t *testing.T) {
	t.Parallel()
	deb := packageFile(t)
	madeAt := filesInPackage(t, deb)["/usr/sbin/haclusterd"].ModTime
	field := func(name string) string {
		return strings.TrimSpace(host(t, time.Minute, "dpkg-deb", "--field", deb, name))
	}
	again := filepath.Join(t.TempDir(), "again.deb")
	cmd := exec.Command("go", "tool", "-modfile=tools/go.mod", "nfpm", "package",
		"--config", "deploy/deb/nfpm.yaml", "--packager", "deb", "--target", again)
	cmd.Dir = top
	cmd.Env = append(os.Environ(), "VERSION="+field("Version"), "GOARCH="+field("Architecture"),
		"SOURCE_DATE_EPOCH="+strconv.FormatInt(madeAt.Unix(), 10))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("nfpm: %v\n%s", err, out)
	}
	if first, second := host(t, time.Minute, "sha256sum", deb)[:64], host(t, time.Minute, "sha256sum", again)[:64]; first != second {
		t.Errorf("the package made again has other bytes: %s, then %s", first, second)
	}
}
