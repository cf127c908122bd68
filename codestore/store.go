package codestore

import (
	"container/list"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"github.com/whiskaway/whiskaway/function"
)

// MaxCode is the largest code that is taken, in bytes. OpenWhisk takes up to
// 48 MB by default (its CONFIG_whisk_exec limits); twice that leaves room for
// platforms that were configured otherwise.
const MaxCode = 96 << 20

// DefaultMaxBytes bounds a store whose owner names no limit.
const DefaultMaxBytes = 4 << 30

// A Store is a directory of code. Its methods may be called at the same time
// from several goroutines.
type Store struct {
	dir      string
	maxBytes int64

	mu      sync.Mutex // guards everything below; never held while bytes are read or hashed
	entries map[function.Digest]*entry
	byUse   *list.List // of *entry; the most recently used first
	bytes   int64      // the sum of all entries' sizes

	expected map[wanted]*expectation
	waiting  int // callers of Await that wait
}

// An entry is one code on disk.
type entry struct {
	digest   function.Digest
	size     int64
	users    int  // Blobs that are not released yet
	verified bool // since this process opened the store
	owners   map[string]bool
	place    *list.Element
}

// Open opens the store in dir, and makes the directory when it is not there.
// maxBytes bounds the sum of all code; 0 means DefaultMaxBytes. What an
// interrupted upload left is removed.
func Open(dir string, maxBytes int64) (*Store, error) {
	if maxBytes <= 0 {
		maxBytes = DefaultMaxBytes
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("opening the code store: %w", err)
	}
	s := &Store{dir: dir, maxBytes: maxBytes, entries: map[function.Digest]*entry{}, byUse: list.New(), expected: map[wanted]*expectation{}}
	if err := s.load(); err != nil {
		return nil, fmt.Errorf("opening the code store: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.evict(0) // the limit may be lower than last time
	return s, nil
}

// insert makes e known, as the most recently used.
func (s *Store) insert(e *entry) {
	e.place = s.byUse.PushFront(e)
	s.entries[e.digest] = e
	s.bytes += e.size
}

// forget drops e and its files. Nobody may be using it.
func (s *Store) forget(e *entry) error {
	s.byUse.Remove(e.place)
	delete(s.entries, e.digest)
	s.bytes -= e.size
	return os.RemoveAll(s.entryDir(e.digest))
}

// evict makes room for size more bytes, the least recently used code first, and
// reports whether there is room then. Code in use stays.
func (s *Store) evict(size int64) bool {
	for place := s.byUse.Back(); place != nil && s.bytes+size > s.maxBytes; {
		e := place.Value.(*entry)
		place = place.Prev()
		if e.users == 0 {
			s.forget(e)
		}
	}
	return s.bytes+size <= s.maxBytes
}

func (s *Store) entryDir(d function.Digest) string { return filepath.Join(s.dir, d.String()) }

func (s *Store) codePath(d function.Digest) string {
	return filepath.Join(s.entryDir(d), codeFile)
}
