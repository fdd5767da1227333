package realserver

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// need is a setting of the kernel that an address rests on.
type need struct {
	name  string // path below /proc/sys
	value string // to write, unless ok
	ok    func() (bool, error)
}

// needs are the settings that an address on a device rests on.
func needs(a address, tunnel bool) []need {
	if a.Addr.Is6() {
		return nil
	}
	list := []need{
		// 3 is for addresses of scope host, which ours have. 4 to 7 mean nothing.
		{ipv4("all", "arp_ignore"), "1", func() (bool, error) {
			v, err := readInt(ipv4("all", "arp_ignore"))
			return v >= 1 && v <= 3 || v == 8, err
		}},
		{ipv4("all", "arp_announce"), "2", func() (bool, error) {
			v, err := readInt(ipv4("all", "arp_announce"))
			return v >= 2, err
		}},
	}
	if tunnel {
		list = append(list, need{ipv4(a.Device, "rp_filter"), "2", func() (bool, error) {
			all, err := readInt(ipv4("all", "rp_filter"))
			own, err2 := readInt(ipv4(a.Device, "rp_filter"))
			return max(all, own) != 1, errors.Join(err, err2)
		}})
	}
	return list
}

// ipv4 is the path of a setting of an interface.
func ipv4(device, word string) string { return filepath.Join("net/ipv4/conf", device, word) }

func readSetting(name string) (string, error) {
	b, err := os.ReadFile(filepath.Join("/proc/sys", name))
	return strings.TrimSpace(string(b)), err
}

func readInt(name string) (int, error) {
	text, err := readSetting(name)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(text)
}

func writeSetting(name, value string) error {
	if err := os.WriteFile(filepath.Join("/proc/sys", name), []byte(value), 0); err != nil {
		return fmt.Errorf("set %s to %s: %w", dotted(name), value, err)
	}
	return nil
}

// String is the setting's name as sysctl has it.
func (s Setting) String() string { return dotted(s.Name) }

// dotted is a setting's name as sysctl has it; a dot in the name of a device is a
// slash there.
func dotted(name string) string {
	return strings.NewReplacer("/", ".", ".", "/").Replace(name)
}

// restore gives a setting its former value. It tells what became of it.
func (s Setting) restore() (string, error) {
	now, err := readSetting(s.Name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return dotted(s.Name) + " is gone with its device", nil
	case err != nil:
		return "", err
	case now == s.Former:
		return dotted(s.Name) + ": as before already", nil
	case now != s.Value:
		return fmt.Sprintf("%s is %s by somebody else and stays", dotted(s.Name), now), nil
	}
	return fmt.Sprintf("%s: %s, as before", dotted(s.Name), s.Former), writeSetting(s.Name, s.Former)
}
