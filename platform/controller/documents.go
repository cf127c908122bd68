package controller

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/whiskaway/whiskaway/platform/store"
)

// get reads an entity of one collection.
func get[T any](ctx context.Context, c *Controller, in store.Collection, name Name) (*Entity[T], error) {
	row, err := c.store.Get(ctx, name)
	if err != nil {
		return nil, stored(err)
	}
	if row.Collection != in {
		return nil, errCollection
	}
	return decode[T](row)
}

func decode[T any](row store.Entity) (*Entity[T], error) {
	e := &Entity[T]{row: row}
	if err := json.Unmarshal(row.Doc, &e.Doc); err != nil {
		return nil, fmt.Errorf("the stored document of %s: %w", fullName(row.Key), err)
	}
	return e, nil
}

// getToPut reads what a PUT is about: the entity if it is there and may be
// overwritten, or an empty one.
func getToPut[T any](ctx context.Context, c *Controller, in store.Collection, name Name, overwrite bool) (*Entity[T], error) {
	e, err := get[T](ctx, c, in, name)
	switch {
	case errors.Is(err, errNotFound):
		return &Entity[T]{row: store.Entity{Key: name, Collection: in}}, nil
	case err != nil:
		return nil, err
	case !overwrite:
		return nil, errExists
	}
	return e, nil
}

func (e *Entity[T]) isNew() bool { return e.row.Revision == 0 }

// putEntity writes e; code nil: as it was.
func putEntity[T any](ctx context.Context, c *Controller, e *Entity[T], code *string) error {
	doc, err := store.Encode(e.Doc)
	if err != nil {
		return fmt.Errorf("encoding %s: %w", fullName(e.row.Key), err)
	}
	e.row.Doc = doc
	row, err := c.store.Put(ctx, e.row, code)
	if err != nil {
		return stored(err)
	}
	e.row = row
	c.resolved.forget()
	return nil
}

func remove[T any](ctx context.Context, c *Controller, e *Entity[T]) error {
	if err := c.store.Delete(ctx, e.row); err != nil {
		return stored(err)
	}
	c.resolved.forget()
	return nil
}

// A Page chooses a part of a list; Limit 0: all.
type Page struct{ Limit, Skip int }

func list[T any](ctx context.Context, c *Controller, l store.Listing) ([]T, error) {
	rows, err := c.store.List(ctx, l)
	if err != nil {
		return nil, err
	}
	docs := make([]T, 0, len(rows))
	for _, row := range rows {
		e, err := decode[T](row)
		if err != nil {
			return nil, err
		}
		docs = append(docs, e.Doc)
	}
	return docs, nil
}

// Count returns how many entities a collection has, less skip; pkg nil: in any package.
func (c *Controller) Count(ctx context.Context, namespace string, in store.Collection, pkg *string, skip int) (int, error) {
	n, err := c.store.Count(ctx, store.Listing{Namespace: namespace, Collection: in, Package: pkg})
	return max(n-skip, 0), err
}

// checkSizes refuses parameters without a name, and too many of them, or annotations.
func (c *Controller) checkSizes(put Put) error {
	for _, param := range put.Parameters {
		if param.Key == "" {
			return Malformed("a parameter needs a 'key'")
		}
	}
	if size := put.Parameters.size(); size > c.cfg.Limits.Payload {
		return TooLarge("parameters", size, c.cfg.Limits.Payload)
	}
	if size := put.Annotations.size(); size > c.cfg.Limits.Payload {
		return TooLarge("annotations", size, c.cfg.Limits.Payload)
	}
	return nil
}

// size is in bytes.
func (p Parameters) size() (n int64) {
	for _, param := range p {
		n += int64(len(param.Key) + len(param.Value))
	}
	return n
}
