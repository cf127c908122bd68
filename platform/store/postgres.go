package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
)

const (
	// oldestPostgres is the oldest major version that is still looked after.
	oldestPostgres = 14
	// connections is how many the platform opens at most. A server has 100 as it is
	// delivered.
	connections = 16
	// connectWithin is how long a server may take to answer at first.
	connectWithin = 5 * time.Second
	// silentFor is how long a server may acknowledge nothing before it counts as gone.
	silentFor = 30 * time.Second
	// idleFor is how long a connection is kept that nobody needs.
	idleFor = 5 * time.Minute
)

// SQLSTATEs, see PostgreSQL's documentation, appendix A.
const (
	statePassword       = "28P01"
	stateUser           = "28000"
	stateNoDatabase     = "3D000"
	stateNoSchema       = "3F000"
	stateNotAllowed     = "42501"
	stateTableExists    = "42P07"
	stateNotUTF8        = "22021" // also for a NUL byte
	stateTooBig         = "54000"
	classData           = "22"
	classConstraint     = "23"
	stateDiskFull       = "53100"
	stateTooMany        = "53300"
	stateAdminShutdown  = "57P01"
	stateCrashShutdown  = "57P02"
	stateCannotConnect  = "57P03"
	classConnection     = "08"
	stateReadOnly       = "25006"
	postgresURLExample  = "postgres://USER:PASSWORD@HOST:5432/DATABASE"
	migrationLock       = 0x57686973
	passwordAlternative = "PGPASSWORD or the file ~/.pgpass"
)

// OpenPostgres opens the database that url names and brings it to today's layout.
// No error has the password in it.
func OpenPostgres(ctx context.Context, url string, log *slog.Logger) (*Database, error) {
	cfg, err := pgx.ParseConfig(url)
	if err != nil {
		return nil, fmt.Errorf("the database's URL is not understood: it looks like %s", postgresURLExample)
	}
	prepare(cfg)
	db := stdlib.OpenDB(*cfg)
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	db.SetConnMaxIdleTime(idleFor)
	d := postgresDialect{cfg}
	where := fmt.Sprintf("the database %s at %s", cfg.Database, net.JoinHostPort(cfg.Host, strconv.Itoa(int(cfg.Port))))
	if err := d.check(ctx, queryer{db, d}); err != nil {
		db.Close()
		return nil, fmt.Errorf("%s: %w%s", where, plain(err), d.advice(err))
	}
	s, err := newDatabase(ctx, d, db, db, log)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", where, err)
	}
	return s, nil
}

// prepare sets what the URL does not say.
func prepare(cfg *pgx.ConnConfig) {
	if cfg.ConnectTimeout == 0 {
		cfg.ConnectTimeout = connectWithin
	}
	alive := net.KeepAliveConfig{Enable: true, Idle: silentFor / 2, Interval: silentFor / 6, Count: 3}
	dialer := net.Dialer{KeepAliveConfig: alive, Control: giveUp}
	cfg.DialFunc = dialer.DialContext
	for name, value := range map[string]string{
		"application_name": "whiskaway",
		// So that the server, too, finds out that we are gone: it holds our locks.
		"tcp_keepalives_idle": "15", "tcp_keepalives_interval": "5", "tcp_keepalives_count": "3",
	} {
		if cfg.RuntimeParams[name] == "" {
			cfg.RuntimeParams[name] = value
		}
	}
	cfg.RuntimeParams["default_transaction_isolation"] = "read committed" // see Database.inTx
}

// plain makes one short line of the errors of a connection that could not be
// made: pgx tells every attempt at every address.
func plain(err error) error {
	var refused *pgconn.PgError
	if errors.As(err, &refused) {
		return refused
	}
	var lookup *net.DNSError
	if errors.As(err, &lookup) {
		return lookup
	}
	var network *net.OpError
	if errors.As(err, &network) {
		return network
	}
	var connect *pgconn.ConnectError
	if errors.As(err, &connect) {
		return errors.New(strings.Join(strings.Fields(connect.Unwrap().Error()), " "))
	}
	return err
}

// postgresDialect keeps the layout in a table of its own.
type postgresDialect struct {
	config *pgx.ConnConfig
}

// check sees to it that the server is one that this package can use.
func (d postgresDialect) check(ctx context.Context, q queryer) error {
	var version int
	var encoding string
	var standby bool
	err := q.row(ctx, "SELECT current_setting('server_version_num')::int, current_setting('server_encoding'), pg_is_in_recovery()").
		Scan(&version, &encoding, &standby)
	switch {
	case err != nil:
		return err
	case version < oldestPostgres*10000:
		return fmt.Errorf("it is PostgreSQL %d; %d or newer is needed", version/10000, oldestPostgres)
	case encoding != "UTF8":
		return fmt.Errorf("its encoding is %s; make one with CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0", encoding)
	case standby:
		return errors.New("it is a standby, which nobody can write to; name the primary server")
	}
	return nil
}

// rebind writes $1, $2 … for each ?.
func (postgresDialect) rebind(statement string) string {
	if !strings.Contains(statement, "?") {
		return statement
	}
	b := make([]byte, 0, len(statement)+16)
	for n, rest := 1, statement; ; n++ {
		before, after, more := strings.Cut(rest, "?")
		b = append(b, before...)
		if !more {
			return string(b)
		}
		b = strconv.AppendInt(append(b, '$'), int64(n), 10)
		rest = after
	}
}

func (postgresDialect) script(m migration) string { return m.postgres }

func (postgresDialect) layout(ctx context.Context, tx queryer) (int, error) {
	if _, err := tx.exec(ctx, "SELECT pg_advisory_xact_lock(?, hashtext(current_schema()))", migrationLock); err != nil {
		return 0, err
	}
	var known bool
	if err := tx.row(ctx, "SELECT to_regclass('whiskaway_layout') IS NOT NULL").Scan(&known); err != nil {
		return 0, err
	}
	if !known {
		_, err := tx.exec(ctx, "CREATE TABLE whiskaway_layout (layout BIGINT NOT NULL); INSERT INTO whiskaway_layout VALUES (0)")
		return 0, err
	}
	var layout int
	err := tx.row(ctx, "SELECT layout FROM whiskaway_layout").Scan(&layout)
	return layout, err
}

func (postgresDialect) setLayout(ctx context.Context, tx queryer, layout int) error {
	_, err := tx.exec(ctx, "UPDATE whiskaway_layout SET layout = ?", layout)
	return err
}

func (d postgresDialect) advice(err error) string {
	switch state(err) {
	case statePassword, stateUser:
		return "; the user or the password is wrong: give them in the URL, or the password by " + passwordAlternative
	case stateNoDatabase:
		return "; make it first: CREATE DATABASE " + d.config.Database + " OWNER " + d.config.User
	case stateNotAllowed:
		return "; this user must be able to make tables there: ALTER DATABASE " + d.config.Database + " OWNER TO " + d.config.User
	case stateNoSchema:
		return "; the schema that search_path names must be there"
	case stateTableExists:
		return "; something else has its tables there: give Whiskaway a database of its own"
	case stateTooMany:
		return "; its max_connections is too small"
	case stateDiskFull:
		return "; make room on its disk"
	case "":
		if unreachable(err) {
			return "; is the server running, and is the address right?"
		}
	}
	return ""
}

func (postgresDialect) explain(err error) error {
	switch {
	case err == nil:
		return nil
	case state(err) == stateDiskFull:
		return fmt.Errorf("%w: %w", ErrDiskFull, err)
	case state(err) == stateNotUTF8:
		return fmt.Errorf("%w: %w", errNoText, err)
	case unreachable(err):
		return fmt.Errorf("%w: %w", ErrUnreachable, plain(err))
	}
	return err
}

func (postgresDialect) refuses(err error) bool {
	s := state(err)
	return strings.HasPrefix(s, classData) || strings.HasPrefix(s, classConstraint) || s == stateTooBig
}

// state returns an error's SQLSTATE; empty: the server did not answer it.
func state(err error) string {
	var of *pgconn.PgError
	if !errors.As(err, &of) {
		return ""
	}
	return of.Code
}

// unreachable reports whether an error says that there is no connection, or none any more.
func unreachable(err error) bool {
	switch s := state(err); s {
	case stateAdminShutdown, stateCrashShutdown, stateCannotConnect, stateTooMany:
		return true
	case "":
	default:
		return strings.HasPrefix(s, classConnection)
	}
	var connect *pgconn.ConnectError
	var network *net.OpError
	return errors.Is(err, ErrUnreachable) || errors.As(err, &connect) || errors.As(err, &network) || errors.Is(err, pgconn.ErrConnClosed) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}
