package store

import (
	"context"
	"database/sql"
	"sync"
)

// maxPrepared bounds the statements that are kept; there are some dozens.
const maxPrepared = 256

// A prepared is a pool that keeps what it has been asked ready: to parse a small
// question takes SQLite as long as to answer it.
type prepared struct {
	*sql.DB

	mu         sync.RWMutex
	statements map[string]*sql.Stmt // they end with the pool
}

func newPrepared(db *sql.DB) *prepared { return &prepared{DB: db, statements: map[string]*sql.Stmt{}} }

// statement returns the statement; nil: it is to be asked as it is.
func (p *prepared) statement(ctx context.Context, text string) (*sql.Stmt, error) {
	p.mu.RLock()
	stmt, full := p.statements[text], len(p.statements) >= maxPrepared
	p.mu.RUnlock()
	if stmt != nil || full {
		return stmt, nil
	}
	stmt, err := p.DB.PrepareContext(ctx, text)
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if other := p.statements[text]; other != nil {
		stmt.Close()
		return other, nil
	}
	p.statements[text] = stmt
	return stmt, nil
}

func (p *prepared) QueryContext(ctx context.Context, text string, args ...any) (*sql.Rows, error) {
	stmt, err := p.statement(ctx, text)
	if err != nil {
		return nil, err
	}
	if stmt == nil {
		return p.DB.QueryContext(ctx, text, args...)
	}
	return stmt.QueryContext(ctx, args...)
}

func (p *prepared) QueryRowContext(ctx context.Context, text string, args ...any) *sql.Row {
	stmt, err := p.statement(ctx, text)
	if err != nil || stmt == nil {
		return p.DB.QueryRowContext(ctx, text, args...) // which says what is wrong
	}
	return stmt.QueryRowContext(ctx, args...)
}
