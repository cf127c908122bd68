package test

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// withoutUserNamespaces becomes its arguments, without the right to make a user namespace: a seccomp
// filter answers clone and unshare with EPERM where they ask for one, as on many rented machines.
const withoutUserNamespaces = `
import ctypes, os, struct, sys
def op(code, jt, jf, k): return struct.pack("HBBI", code, jt, jf, k)
LOAD, EQUAL, TEST, RETURN = 0x20, 0x15, 0x45, 0x06
ALLOW, EPERM, ENOSYS = 0x7fff0000, 0x00050001, 0x00050026
program = (op(LOAD, 0, 0, 0) +            # the number of the call
    op(EQUAL, 4, 0, 56) +                 # clone
    op(EQUAL, 3, 0, 272) +                # unshare
    op(EQUAL, 1, 0, 435) +                # clone3, whose flags lie in memory
    op(RETURN, 0, 0, ALLOW) + op(RETURN, 0, 0, ENOSYS) +
    op(LOAD, 0, 0, 16) + op(TEST, 0, 1, 0x10000000) + # CLONE_NEWUSER in the first argument
    op(RETURN, 0, 0, EPERM) + op(RETURN, 0, 0, ALLOW))
buffer = ctypes.create_string_buffer(program)
filters = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(buffer)))
libc = ctypes.CDLL(None, use_errno=True)
if libc.prctl(38, 1, 0, 0, 0) or libc.prctl(22, 2, filters, 0, 0):
    raise OSError(ctypes.get_errno(), "no filter")
os.execv(sys.argv[1], sys.argv[1:])
`

// nobody is the user without any right.
const nobody = 65534

// environments are the machines that can be made of this one, from one where everything is allowed to
// a plain container: each starts a server there.
func environments(t *testing.T) map[string]func(*testing.T, ...string) *solo {
	t.Helper()
	if runtime.GOOS != "linux" || os.Geteuid() != 0 {
		return map[string]func(*testing.T, ...string) *solo{"as we are": startSolo}
	}
	setpriv, err := exec.LookPath("setpriv")
	if err != nil {
		t.Fatal("setpriv is missing; it is in Debian's package util-linux")
	}
	asNobody := []string{setpriv, "--reuid", "65534", "--regid", "65534", "--clear-groups", "--inh-caps=-all"}
	all := map[string]func(*testing.T, ...string) *solo{
		"root": startSolo,
		"nobody": func(t *testing.T, args ...string) *solo {
			return startSoloBehind(t, asNobody, publicDir(t, nobody), args...)
		},
	}
	if runtime.GOARCH == "amd64" { // the numbers in the filter
		forbidden := []string{"/usr/bin/python3", "-c", withoutUserNamespaces}
		all["nobody without user namespaces"] = func(t *testing.T, args ...string) *solo {
			return startSoloBehind(t, slices.Concat(asNobody, forbidden), publicDir(t, nobody), args...)
		}
		all["root without CAP_SYS_ADMIN"] = func(t *testing.T, args ...string) *solo {
			before := []string{setpriv, "--bounding-set", "-sys_admin", "--inh-caps", "-sys_admin"}
			return startSoloBehind(t, slices.Concat(before, forbidden), publicDir(t, 0), args...)
		}
	}
	return all
}

// publicDir is a directory of the user, below others that everybody may pass.
func publicDir(t *testing.T, user int) string {
	t.Helper()
	dir := t.TempDir()
	for parent := filepath.Dir(dir); strings.HasPrefix(parent, os.TempDir()+"/"); parent = filepath.Dir(parent) {
		if err := os.Chmod(parent, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chown(dir, user, user); err != nil {
		t.Fatal(err)
	}
	return dir
}
