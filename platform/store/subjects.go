package store

import (
	"context"
	"fmt"
)

// Subject implements Store.
func (s *Database) Subject(ctx context.Context, uuid string) (Subject, error) {
	sub := Subject{UUID: uuid}
	err := s.reader().row(ctx, "SELECT name, namespace, key_hash FROM subjects WHERE uuid = ?", uuid).
		Scan(&sub.Name, &sub.Namespace, &sub.KeyHash)
	if err != nil {
		return Subject{}, fmt.Errorf("looking for a subject: %w", err)
	}
	return sub, nil
}

// SetSubject implements Store.
func (s *Database) SetSubject(ctx context.Context, sub Subject) error {
	return s.inTx(ctx, func(tx queryer) error {
		if _, err := tx.exec(ctx, "DELETE FROM subjects WHERE namespace = ?", sub.Namespace); err != nil {
			return fmt.Errorf("removing old keys: %w", err)
		}
		_, err := tx.exec(ctx, "INSERT INTO subjects (uuid, name, namespace, key_hash) VALUES (?, ?, ?, ?)",
			sub.UUID, sub.Name, sub.Namespace, sub.KeyHash)
		if err != nil {
			return fmt.Errorf("adding a key: %w", err)
		}
		return nil
	})
}
