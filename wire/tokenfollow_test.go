package wire

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/whiskaway/whiskaway/function"
)

// A logged keeps what was logged.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// followed opens tokens and follows them until the test ends.
func followed(t *testing.T) (*Tokens, TokenDir, *logged) {
	t.Helper()
	dir, log := t.TempDir(), &logged{}
	tokens, err := OpenTokens(dir, "")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var following sync.WaitGroup
	following.Go(func() { tokens.Follow(ctx, slog.New(slog.NewTextHandler(log, nil))) })
	t.Cleanup(func() {
		cancel()
		following.Wait()
	})
	return tokens, TokenDir(dir), log
}

// soon waits until ok returns true.
func soon(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited too long for %s", what)
		}
	}
}

func TestAChangeOfTheTokensIsFollowed(t *testing.T) {
	noLeaks(t)
	tokens, dir, log := followed(t)
	created, err := dir.CreateToken(t.Context(), TokenSpec{Role: RoleClient})
	if err != nil {
		t.Fatal(err)
	}
	var p Principal
	soon(t, "a new token to be good", func() bool {
		p, err = tokens.Authorize(created.Text)
		return err == nil
	})
	join, err := tokens.Token(RoleJoin)
	if err != nil {
		t.Fatal(err)
	}
	other, err := tokens.Authorize(join.Secret)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	p.onEnd(func() { close(ended) })
	if err := dir.RevokeToken(t.Context(), created.ID, false); err != nil {
		t.Fatal(err)
	}
	within(t, ended, "the end of what goes on with a revoked token")
	if _, err := tokens.Authorize(created.Text); function.CodeOf(err) != function.CodeUnauthorized {
		t.Errorf("a revoked token: %v", err)
	}
	if other.valid.Err() != nil {
		t.Error("another token's things have ended too")
	}
	soon(t, "the uses to be written", func() bool {
		list, err := dir.ListTokens(t.Context())
		return err == nil && !list[0].Used.IsZero()
	})
	if strings.Contains(log.String(), created.Text) || strings.Contains(log.String(), join.Secret) {
		t.Error("the log tells a secret")
	}
}

func TestATokenEndsWithItsTime(t *testing.T) {
	noLeaks(t)
	tokens, _, _ := followed(t)
	created, err := tokens.CreateToken(t.Context(), TokenSpec{Role: RoleClient, TTL: 2 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	p, err := tokens.Authorize(created.Text)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	p.onEnd(func() { close(ended) })
	within(t, ended, "the end of what goes on with an expired token")
	if time.Now().Before(created.Expires) {
		t.Error("it ended before its time")
	}
	_, err = tokens.Authorize(created.Text)
	if function.CodeOf(err) != function.CodeUnauthorized || !strings.Contains(err.Error(), created.ID+" has expired") {
		t.Errorf("an expired token: %v", err)
	}
	if list, _ := tokens.ListTokens(t.Context()); !list[3].Expired(time.Now()) {
		t.Errorf("it is not listed as expired: %+v", list[3])
	}
}

// Half a file, or none, makes no token good and none bad.
func TestTokensThatCannotBeReadChangeNothing(t *testing.T) {
	tokens, dir, log := followed(t)
	admin, err := tokens.Token(RoleAdmin)
	if err != nil {
		t.Fatal(err)
	}
	p, err := tokens.Authorize(admin.Secret)
	if err != nil {
		t.Fatal(err)
	}
	good, err := os.ReadFile(dir.hashes())
	if err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func() error{
		"half of it": func() error { return writeSecret(dir.hashes(), good[:len(good)/2]) },
		"nothing":    func() error { return os.Remove(dir.hashes()) },
	} {
		before := strings.Count(log.String(), "level=ERROR")
		if err := spoil(); err != nil {
			t.Fatal(err)
		}
		soon(t, name+" to be seen", func() bool { return strings.Count(log.String(), "level=ERROR") > before })
		if _, err := tokens.Authorize(admin.Secret); err != nil || p.valid.Err() != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := writeSecret(dir.hashes(), good); err != nil {
			t.Fatal(err)
		}
		soon(t, "the file that is whole again", func() bool {
			changed, failed := tokens.changed()
			return !changed && failed == nil
		})
		if p.valid.Err() != nil {
			t.Errorf("%s: what goes on was ended", name)
		}
	}
	if n := strings.Count(log.String(), "level=ERROR"); n != 2 {
		t.Errorf("two changes were logged %d times:\n%s", n, log)
	}
}
