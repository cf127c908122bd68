package main

import (
	"fmt"
	"os"
	"sync"
)

// A scratch is a temporary directory that is made when it is first needed: a
// runtime whose function runs elsewhere has none, so that it leaves none when it is killed.
type scratch struct {
	mu   sync.Mutex
	path string
}

// dir returns the directory, and makes it if need be.
func (s *scratch) dir() (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.path != "" {
		return s.path, nil
	}
	path, err := os.MkdirTemp("", "whiskaway-runtime-")
	if err != nil {
		return "", fmt.Errorf("making a temporary directory: %w", err)
	}
	s.path = path
	return path, nil
}

// remove removes the directory and all that is in it, if it was made.
func (s *scratch) remove() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.path == "" {
		return nil
	}
	return os.RemoveAll(s.path)
}
