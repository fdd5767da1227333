package run

import (
	"fmt"
	"os/user"
	"strconv"
	"syscall"
)

// LookupUser finds an account by name or number; an empty group is the user's
// own. Supplementary groups are left out, as keepalived does by default.
func LookupUser(name, group string) (*User, error) {
	u, err := user.Lookup(name)
	if err != nil {
		var byID error
		if u, byID = user.LookupId(name); byID != nil {
			return nil, err
		}
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("user %s: %w", name, err)
	}
	gid := u.Gid
	if group != "" {
		g, err := user.LookupGroup(group)
		if err != nil {
			var byID error
			if g, byID = user.LookupGroupId(group); byID != nil {
				return nil, err
			}
		}
		gid = g.Gid
	}
	n, err := strconv.ParseUint(gid, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("group %s: %w", group, err)
	}
	return &User{Name: u.Username, Home: u.HomeDir, UID: uint32(uid), GID: uint32(n)}, nil
}

// Account finds the account of a script: the one that is named, without a name
// keepalived_script where that exists, else nil, which is the daemon's own.
func Account(name, group string) (*User, error) {
	if name != "" {
		return LookupUser(name, group)
	}
	if u, err := LookupUser("keepalived_script", ""); err == nil {
		return u, nil
	}
	return nil, nil
}

func (u *User) credential() *syscall.Credential {
	if u == nil {
		return nil
	}
	return &syscall.Credential{Uid: u.UID, Gid: u.GID, Groups: u.Groups}
}
