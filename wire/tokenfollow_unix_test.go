//go:build unix

package wire

import (
	"log/slog"
	"strings"
	"syscall"
	"testing"

	"github.com/whiskaway/whiskaway/function"
)

// A host that has no file descriptor left at that moment learns later that a token was revoked.
func TestAlwaysTrue9ARevocationThatCannotBeReadAtOnceIsReadLater(t *testing.T) {
	dir, log := t.TempDir(), &logged{}
	tokens, err := OpenTokens(dir, "")
	if err != nil {
		t.Fatal(err)
	}
	id, secret := secretFor(t, tokens, TokenSpec{Role: RoleClient})
	if err := TokenDir(dir).RevokeToken(t.Context(), id, false); err != nil {
		t.Fatal(err)
	}
	logger := slog.New(slog.NewTextHandler(log, nil))
	withoutDescriptors(t, func() {
		tokens.lookAgain(logger)
		tokens.lookAgain(logger)
	})
	if n := strings.Count(log.String(), "too many open files"); n != 1 {
		t.Fatalf("it was logged %d times that nothing could be read: %s", n, log)
	}
	if _, err := tokens.Authorize(secret); err != nil {
		t.Fatalf("nothing was read, and yet: %v", err)
	}
	tokens.lookAgain(logger)
	if _, err := tokens.Authorize(secret); function.CodeOf(err) != function.CodeUnauthorized {
		t.Errorf("the revoked token: %v", err)
	}
}

// withoutDescriptors calls f while this process can open nothing.
func withoutDescriptors(t *testing.T, f func()) {
	t.Helper()
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	none := limit
	none.Cur = 0
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &none); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
			t.Fatal(err)
		}
	}()
	f()
}
