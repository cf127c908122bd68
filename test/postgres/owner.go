package postgres

import (
	"fmt"
	"os"
	"os/user"
	"strconv"
	"syscall"
)

// An owner is whom the server runs as: root must not, so then it is another user.
type owner struct {
	credential *syscall.Credential // nil: we ourselves
}

func newOwner() (*owner, error) {
	if os.Getuid() != 0 {
		return &owner{}, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, errUID := strconv.ParseUint(u.Uid, 10, 32)
		gid, errGID := strconv.ParseUint(u.Gid, 10, 32)
		if errUID == nil && errGID == nil {
			return &owner{&syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}, nil
		}
	}
	return nil, fmt.Errorf("PostgreSQL refuses to run as root, and there is neither a user postgres nor nobody")
}

// give makes path the owner's.
func (o *owner) give(path string) error {
	if o.credential == nil {
		return nil
	}
	if err := os.Chown(path, int(o.credential.Uid), int(o.credential.Gid)); err != nil {
		return fmt.Errorf("giving a file to PostgreSQL's user: %w", err)
	}
	return nil
}

// attr starts a process as the owner, one that ends with us.
func (o *owner) attr() *syscall.SysProcAttr {
	attr := endWithUs()
	attr.Credential = o.credential
	return attr
}
