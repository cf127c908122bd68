package codestore

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/whiskaway/whiskaway/function"
)

// On disk each code has a directory named by its digest. It holds the bytes,
// and an empty file for each namespace that uploaded them, named by a hash of
// the namespace. The age of the bytes' file tells when it was last used.
const (
	codeFile   = "code"
	ownerStart = "owner-"
	tempStart  = "upload-"
)

// ownerMark is the name of the file that says: this namespace uploaded it.
func ownerMark(namespace string) string {
	sum := sha256.Sum256([]byte(namespace))
	return ownerStart + hex.EncodeToString(sum[:])
}

// load reads what an earlier process left, and removes what is not whole.
func (s *Store) load() error {
	names, err := os.ReadDir(s.dir)
	if err != nil {
		return err
	}
	type found struct {
		*entry
		used time.Time
	}
	var all []found
	for _, name := range names {
		e, used, err := readEntry(s.dir, name.Name())
		if err != nil {
			if err := s.sweep(name.Name()); err != nil {
				return err
			}
			continue
		}
		all = append(all, found{e, used})
	}
	slices.SortFunc(all, func(a, b found) int {
		return cmp.Or(a.used.Compare(b.used), slices.Compare(a.digest[:], b.digest[:]))
	})
	for _, f := range all {
		s.insert(f.entry)
	}
	return nil
}

// sweep removes what is ours and not whole. A name that is not ours is left
// alone: dir may have been given by mistake.
func (s *Store) sweep(name string) error {
	_, err := function.ParseDigest(name)
	if err != nil && !strings.HasPrefix(name, tempStart) {
		return nil
	}
	return os.RemoveAll(filepath.Join(s.dir, name))
}

// readEntry reads one directory. Its error means that there is no code in it.
func readEntry(dir, name string) (*entry, time.Time, error) {
	digest, err := function.ParseDigest(name)
	if err != nil {
		return nil, time.Time{}, err
	}
	info, err := os.Lstat(filepath.Join(dir, name, codeFile))
	if err != nil {
		return nil, time.Time{}, err
	}
	if !info.Mode().IsRegular() {
		return nil, time.Time{}, fmt.Errorf("%s is not a file", codeFile)
	}
	e := &entry{digest: digest, size: info.Size(), owners: map[string]bool{}}
	files, err := os.ReadDir(filepath.Join(dir, name))
	if err != nil {
		return nil, time.Time{}, err
	}
	for _, f := range files {
		if strings.HasPrefix(f.Name(), ownerStart) {
			e.owners[f.Name()] = true
		}
	}
	return e, info.ModTime(), nil
}
