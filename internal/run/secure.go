package run

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// CheckSecure reports why a program that runs as root is not safe: a component
// of its path that somebody else than root may change (keepalived's
// enable_script_security). A directory with the sticky bit is safe: others
// cannot replace what root has there.
func CheckSecure(path string) error {
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return err
	}
	if real, err = filepath.Abs(real); err != nil {
		return err
	}
	for at := real; ; at = filepath.Dir(at) {
		info, err := os.Lstat(at)
		if err != nil {
			return err
		}
		if why := changeable(info); why != "" {
			return fmt.Errorf("script %s is not secure: %s %s; "+
				"make it root's and writable by root only, or run the script as another user", path, at, why)
		}
		if at == "/" {
			return nil
		}
	}
}

// changeable says how somebody else than root may change it, or nothing.
func changeable(info fs.FileInfo) string {
	st, ok := info.Sys().(*syscall.Stat_t)
	switch mode := info.Mode(); {
	case !ok:
		return "has no owner"
	case st.Uid != 0:
		return fmt.Sprintf("belongs to user %d", st.Uid)
	case mode.IsDir() && mode&fs.ModeSticky != 0:
		return ""
	case mode&0o002 != 0:
		return "is writable by everybody"
	case mode&0o020 != 0 && st.Gid != 0:
		return fmt.Sprintf("is writable by group %d", st.Gid)
	default:
		return ""
	}
}
