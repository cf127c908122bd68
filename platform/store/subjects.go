package store

import (
	"context"
	"database/sql"
	"fmt"
)

// Subject implements Store.
func (s *SQLite) Subject(ctx context.Context, uuid string) (Subject, error) {
	sub := Subject{UUID: uuid}
	err := s.read.QueryRowContext(ctx,
		"SELECT name, namespace, key_hash FROM subjects WHERE uuid = ?", uuid).
		Scan(&sub.Name, &sub.Namespace, &sub.KeyHash)
	if err != nil {
		return Subject{}, fmt.Errorf("looking for a subject: %w", found(err))
	}
	return sub, nil
}

// SetSubject implements Store.
func (s *SQLite) SetSubject(ctx context.Context, sub Subject) error {
	return s.inTx(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, "DELETE FROM subjects WHERE namespace = ?", sub.Namespace); err != nil {
			return fmt.Errorf("removing old keys: %w", err)
		}
		_, err := tx.ExecContext(ctx, "INSERT INTO subjects (uuid, name, namespace, key_hash) VALUES (?, ?, ?, ?)",
			sub.UUID, sub.Name, sub.Namespace, sub.KeyHash)
		if err != nil {
			return fmt.Errorf("adding a key: %w", err)
		}
		return nil
	})
}
