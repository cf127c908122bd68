package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/whiskaway/whiskaway/test/postgres"
)

// Who names a database wrongly is told what to do, and no password is told to anybody.
func TestPostgresSaysWhatIsWrong(t *testing.T) {
	good := server.Database(t)
	parts, err := url.Parse(good)
	if err != nil {
		t.Fatal(err)
	}
	secret, _ := parts.User.Password()
	change := func(do func(u *url.URL)) string {
		u := *parts
		do(&u)
		return u.String()
	}
	exec := func(database, statement, undo string) {
		t.Helper()
		if err := server.Server(t).Exec(t.Context(), database, statement); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := server.Server(t).Exec(context.Background(), "postgres", undo); err != nil {
				t.Error(err)
			}
		})
	}
	exec("postgres", "CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0", "DROP DATABASE latin WITH (FORCE)")
	exec("postgres", "CREATE ROLE poor LOGIN PASSWORD 'p@ss/word?'", "DROP ROLE poor")
	exec("postgres", "CREATE DATABASE crowded", "DROP DATABASE crowded WITH (FORCE)")
	exec("crowded", "CREATE TABLE entities (x INT)", "SELECT 1")
	for _, c := range []struct{ url, want string }{
		{"postgres://whiskaway:" + secret + "@[::1/db", "it looks like postgres://USER:PASSWORD@HOST:5432/DATABASE"},
		{"postgres://whiskaway:p%zzword@localhost/db", "it looks like postgres://"},
		{"postgres://whiskaway:p%40ss@127.0.0.1:1/db", "is the server running"},
		{"postgres://whiskaway:p%40ss@no-such-host.invalid/db", "is the address right?"},
		{change(func(u *url.URL) { u.User = url.UserPassword("whiskaway", "wr0ng-p@ss") }), "PGPASSWORD"},
		{change(func(u *url.URL) { u.User = url.UserPassword("nobody", "wr0ng-p@ss") }), "the user or the password is wrong"},
		{change(func(u *url.URL) { u.Path = "/missing" }), "CREATE DATABASE missing OWNER whiskaway"},
		{change(func(u *url.URL) { u.Path = "/latin" }), "ENCODING 'UTF8'"},
		{change(func(u *url.URL) { u.Path = "/crowded" }), "a database of its own"},
		{change(func(u *url.URL) { u.User = url.UserPassword("poor", secret) }), "OWNER TO poor"},
		{change(func(u *url.URL) {
			q := u.Query()
			q.Set("search_path", "nowhere")
			u.RawQuery = q.Encode()
		}), "search_path"},
	} {
		s, err := OpenPostgres(t.Context(), c.url, slog.New(slog.DiscardHandler))
		if err == nil {
			s.Close()
			t.Errorf("%s was opened", c.url)
			continue
		}
		text := err.Error()
		if !strings.Contains(text, c.want) || strings.Contains(text, "\n") {
			t.Errorf("%s: %s; want %q", c.url, text, c.want)
		}
		for _, part := range []string{secret, "p%40ss", "p@ss", "p%zz"} {
			if strings.Contains(text, part) {
				t.Errorf("%s: the password is in %s", c.url, text)
			}
		}
	}
}

// A server that crashes is said, and found again by itself; no record is lost
// that was taken meanwhile.
func TestPostgresComesBack(t *testing.T) {
	server.Server(t) // or skip
	own, err := postgres.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { own.Stop() })
	url, err := own.Database(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s := place{func(ctx context.Context, log *slog.Logger) (*Database, error) { return OpenPostgres(ctx, url, log) }}.open(t)
	ctx := t.Context()
	if err := s.Claim(ctx, time.Minute, func(err error) { t.Error(err) }); err != nil {
		t.Fatal(err)
	}
	e := put(t, s, Entity{Key: Key{"guest", "", "hello"}, Collection: Actions, Doc: []byte("{}")}, nil)
	own.Kill()
	if _, err := s.Get(ctx, e.Key); !errors.Is(err, ErrUnreachable) {
		t.Errorf("reading: %v", err)
	}
	if _, err := s.Put(ctx, e, nil); !errors.Is(err, ErrUnreachable) {
		t.Errorf("writing: %v", err)
	}
	for i := range 10 {
		if err := s.PutActivation(ctx, activation(i)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Activations(ctx, Filter{Namespace: "guest"}); !errors.Is(err, ErrUnreachable) {
		t.Errorf("listing: %v", err)
	}
	if a, err := s.Activation(ctx, "guest", activation(1).ID); err != nil || a.Start != 1001 {
		t.Errorf("a record that waits: %+v, %v", a, err)
	}
	if err := own.Run(ctx); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the records are written", func() bool {
		n, err := s.CountActivations(ctx, Filter{Namespace: "guest"})
		return err == nil && n == 10
	})
	if got, err := s.Get(ctx, e.Key); err != nil || got.Revision != e.Revision {
		t.Errorf("after the restart: %+v, %v", got, err)
	}
	eventually(t, "the claim is renewed", func() bool {
		other := &claim{cfg: s.dialect.(postgresDialect).config}
		err := other.take(ctx)
		if err == nil {
			other.close()
		}
		return errors.Is(err, errClaimed)
	})
}

// One platform has a database. A second one is refused; and who has lost its claim
// to another one is told.
func TestPostgresIsOnePlatforms(t *testing.T) {
	at := newPostgres(t)
	one, two, ctx := at.open(t), at.open(t), t.Context()
	lost := make(chan error, 1)
	if err := one.Claim(ctx, 0, func(err error) { lost <- err }); err != nil {
		t.Fatal(err)
	}
	if err := two.Claim(ctx, 0, nil); !errors.Is(err, errClaimed) {
		t.Fatalf("a second claim: %v", err)
	}
	// A third one waits in line, so that it has the lock as soon as the first one's session ends.
	conn, err := pgx.ConnectConfig(ctx, one.dialect.(postgresDialect).config)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	got := make(chan error, 1)
	go func() {
		_, err := conn.Exec(ctx, "SELECT pg_advisory_lock($1, hashtext(current_schema()))", claimKey)
		got <- err
	}()
	const holders = "FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
	eventually(t, "the third waits", func() bool {
		n, err := two.reader().count(ctx, " "+holders+" AND NOT granted")
		return err == nil && n == 1
	})
	if _, err := two.write.ExecContext(ctx, "SELECT pg_terminate_backend(pid) "+holders+" AND granted"); err != nil {
		t.Fatal(err)
	}
	if err := <-got; err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-lost:
		if !strings.Contains(err.Error(), "another platform uses this database") {
			t.Error(err)
		}
	case <-time.After(time.Minute):
		t.Error("the loss was not told")
	}
	conn.Close(ctx)
	if err := two.Claim(ctx, time.Minute, func(err error) { t.Error(err) }); err != nil {
		t.Errorf("nobody has it now: %v", err)
	}
	two.Close()
	if err := one.Claim(ctx, time.Minute, func(err error) { t.Error(err) }); err != nil {
		t.Errorf("it was given back: %v", err)
	}
}

func TestPostgresWritesItsOwnParameters(t *testing.T) {
	for statement, want := range map[string]string{"SELECT 1": "SELECT 1", "?": "$1", "a = ? AND b = ?": "a = $1 AND b = $2", strings.Repeat("?", 11): "$1$2$3$4$5$6$7$8$9$10$11"} {
		if got := (postgresDialect{}).rebind(statement); got != want {
			t.Errorf("%s: %s", statement, got)
		}
	}
}

// eventually waits until ok.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("waited in vain: ", what)
		}
	}
}

// unstorable are texts that PostgreSQL takes in no TEXT.
func unstorable() []string { return []string{"a\x00b", "a\xffb"} }

// Any byte comes back as it was in what may hold any; nothing is found by a name
// that can be nobody's.
func TestAnyByteIsKept(t *testing.T) { onEach(t, testAnyByteIsKept) }

func testAnyByteIsKept(t *testing.T, at place) {
	s, ctx := at.open(t), t.Context()
	var every strings.Builder
	for i := range 256 {
		every.WriteByte(byte(i))
	}
	text := every.String()
	e := put(t, s, Entity{Key: Key{"guest", "", "naïve 名"}, Collection: Actions, Doc: []byte(text)}, &text)
	if got, err := s.Get(ctx, e.Key); err != nil || string(got.Doc) != text {
		t.Errorf("document: %q, %v", got.Doc, err)
	}
	if got, err := s.Code(ctx, e.CodeID); err != nil || got != text {
		t.Errorf("code: %q, %v", got, err)
	}
	a := activation(1)
	a.Head, a.Response, a.Logs = []byte(text), []byte(text), []byte(text)
	if err := s.PutActivation(ctx, a); err != nil {
		t.Fatal(err)
	}
	list, err := s.Activations(ctx, Filter{Namespace: "guest", Docs: true})
	if err != nil || len(list) != 1 || string(list[0].Response) != text || string(list[0].Logs) != text || string(list[0].Head) != text {
		t.Errorf("record: %+v, %v", list, err)
	}
	for _, name := range unstorable() {
		if _, err := s.Get(ctx, Key{"guest", "", name}); !errors.Is(err, ErrNotFound) {
			t.Errorf("Get %q: %v", name, err)
		}
		if _, err := s.Subject(ctx, name); !errors.Is(err, ErrNotFound) {
			t.Errorf("Subject %q: %v", name, err)
		}
		if _, err := s.Activation(ctx, "guest", name); !errors.Is(err, ErrNotFound) {
			t.Errorf("Activation %q: %v", name, err)
		}
		if list, err := s.Activations(ctx, Filter{Namespace: "guest", Path: name}); err != nil || len(list) > 0 {
			t.Errorf("Activations %q: %v, %v", name, list, err)
		}
		if n, err := s.CountActivations(ctx, Filter{Namespace: "guest", Path: name}); err != nil || n > 0 {
			t.Errorf("CountActivations %q: %v, %v", name, n, err)
		}
	}
}

// A record that the database can never take is lost, and keeps no other waiting.
func TestARefusedRecordKeepsNoOtherWaiting(t *testing.T) {
	s, ctx := newPostgres(t).open(t), t.Context()
	for i := range 20 {
		a := activation(i)
		if i == 7 {
			a.Path = "a\x00b"
		}
		if err := s.PutActivation(ctx, a); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := s.CountActivations(ctx, Filter{Namespace: "guest"}); err != nil || n != 19 {
		t.Errorf("%d records, %v", n, err)
	}
}

// The largest code that OpenWhisk takes, 48 MB.
func TestLargeCode(t *testing.T) { onEach(t, testLargeCode) }

func testLargeCode(t *testing.T, at place) {
	s := at.open(t)
	code := strings.Repeat("0123456789abcdef", 3<<20)
	e := put(t, s, Entity{Key: Key{"guest", "", "large"}, Collection: Actions, Doc: []byte("{}")}, &code)
	if got, err := s.Code(t.Context(), e.CodeID); err != nil || got != code {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

// Many who write the same entity at once, from two platforms: one wins each time,
// and no revision comes twice.
func TestWritersTakeTurns(t *testing.T) { onEach(t, testWritersTakeTurns) }

func testWritersTakeTurns(t *testing.T, at place) {
	both := []*Database{at.open(t), at.open(t)}
	key := Key{"guest", "", "e"}
	put(t, both[0], Entity{Key: key, Collection: Triggers, Doc: []byte("{}")}, nil)
	const writers, rounds = 4, 10
	revisions := make(chan int64, writers*rounds)
	failed := make(chan error, writers)
	for i := range writers {
		go func() {
			failed <- func() error {
				s := both[i%2]
				for range rounds {
					for {
						e, err := s.Get(t.Context(), key)
						if err != nil {
							return err
						}
						e, err = s.Put(t.Context(), e, nil)
						if errors.Is(err, ErrConflict) {
							continue
						}
						if err != nil {
							return err
						}
						revisions <- e.Revision
						break
					}
				}
				return nil
			}()
		}()
	}
	for range writers {
		if err := <-failed; err != nil {
			t.Fatal(err)
		}
	}
	close(revisions)
	seen := map[int64]bool{}
	for r := range revisions {
		if seen[r] {
			t.Errorf("revision %d came twice", r)
		}
		seen[r] = true
	}
	if len(seen) != writers*rounds {
		t.Error(fmt.Sprint(len(seen), " revisions"))
	}
}
