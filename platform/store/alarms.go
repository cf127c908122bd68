package store

import (
	"context"
	"errors"
	"fmt"
)

// An Alarm is the timetable of a trigger. What Doc means is package alarm's business.
type Alarm struct {
	Namespace string
	Trigger   string
	Doc       []byte // JSON
}

// PutAlarm implements Store.
func (s *Database) PutAlarm(ctx context.Context, a Alarm) error {
	return s.inTx(ctx, func(tx queryer) error {
		_, err := tx.exec(ctx, `INSERT INTO alarms (namespace, trigger_name, doc) VALUES (?, ?, ?)
			ON CONFLICT (namespace, trigger_name) DO UPDATE SET doc = excluded.doc`, a.Namespace, a.Trigger, a.Doc)
		if err != nil {
			return fmt.Errorf("writing an alarm: %w", err)
		}
		return nil
	})
}

// ChangeAlarm implements Store.
func (s *Database) ChangeAlarm(ctx context.Context, a Alarm) error {
	return s.inTx(ctx, func(tx queryer) error {
		res, err := tx.exec(ctx, "UPDATE alarms SET doc = ? WHERE namespace = ? AND trigger_name = ?", a.Doc, a.Namespace, a.Trigger)
		if err != nil {
			return fmt.Errorf("changing an alarm: %w", err)
		}
		if n, err := res.RowsAffected(); err != nil || n == 0 {
			return errors.Join(ErrNotFound, err)
		}
		return nil
	})
}

// HasAlarm implements Store.
func (s *Database) HasAlarm(ctx context.Context, namespace, trigger string) (bool, error) {
	var n int
	err := s.reader().row(ctx, "SELECT count(*) FROM alarms WHERE namespace = ? AND trigger_name = ?", namespace, trigger).Scan(&n)
	if err != nil {
		return false, fmt.Errorf("looking for an alarm: %w", err)
	}
	return n > 0, nil
}

// DeleteAlarm implements Store.
func (s *Database) DeleteAlarm(ctx context.Context, namespace, trigger string) error {
	return s.inTx(ctx, func(tx queryer) error {
		if _, err := tx.exec(ctx, "DELETE FROM alarms WHERE namespace = ? AND trigger_name = ?", namespace, trigger); err != nil {
			return fmt.Errorf("removing an alarm: %w", err)
		}
		return nil
	})
}

// Alarms implements Store.
func (s *Database) Alarms(ctx context.Context) ([]Alarm, error) {
	list, err := all(ctx, s.reader(), func(scan func(...any) error) (a Alarm, err error) {
		err = scan(&a.Namespace, &a.Trigger, &a.Doc)
		return a, err
	}, "SELECT namespace, trigger_name, doc FROM alarms ORDER BY namespace, trigger_name")
	if err != nil {
		return nil, fmt.Errorf("reading the alarms: %w", err)
	}
	return list, nil
}
