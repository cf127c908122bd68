package codestore

import (
	"bytes"
	"io"
	"os"
	"slices"
	"testing"
	"testing/iotest"

	"github.com/whiskaway/whiskaway/function"
)

// FuzzPut holds a store to a model of it, which is a map: whatever is sent, under
// whichever digest and for whom, only whole code is there, only for who sent it,
// also after a restart; and the limit holds.
func FuzzPut(f *testing.F) {
	f.Add([]byte("def main(args): return args"), []byte{0, 9, 0, 64, 9, 1, 0, 3, 4, 128, 9, 2, 3, 0, 0})
	f.Add([]byte{}, []byte{0, 0, 0, 192, 0, 0})
	f.Add(bytes.Repeat([]byte("x"), 300), []byte{0, 200, 100, 0, 100, 200, 0, 50, 90, 64, 50, 90})
	f.Fuzz(func(t *testing.T, data, plan []byte) {
		const limit = 400
		dir := t.TempDir()
		m := &storeModel{t: t, s: open(t, dir, limit), limit: limit, there: map[string][]byte{}}
		for ; len(plan) >= 3; plan = plan[3:] {
			from := min(int(plan[1]), len(data))
			code := data[from:min(from+int(plan[2]), len(data))]
			m.put([]string{"alice", "bob", ""}[int(plan[0])%3], code, plan[0]>>6)
			m.check()
		}
		m.s = open(t, dir, limit)
		m.check()
	})
}

// A storeModel is a store, and what must be in it.
type storeModel struct {
	t     *testing.T
	s     *Store
	limit int64
	there map[string][]byte // by namespace and digest
}

func modelKey(namespace string, d function.Digest) string { return namespace + " " + d.String() }

// put sends code: 0 as it is, 1 under another digest, 2 cut, 3 with one byte changed.
func (m *storeModel) put(namespace string, code []byte, how byte) {
	m.t.Helper()
	digest := function.DigestOf(code)
	var sent io.Reader = bytes.NewReader(code)
	switch how {
	case 1:
		digest[0] ^= 1
	case 2:
		sent = io.MultiReader(bytes.NewReader(code[:len(code)/2]), iotest.ErrReader(io.ErrUnexpectedEOF))
	case 3:
		changed := append(slices.Clone(code), 'x')
		changed[0] ^= 1
		sent = bytes.NewReader(changed)
	}
	err := m.s.Put(m.t.Context(), namespace, digest, sent)
	if how != 0 {
		if function.CodeOf(err) != function.CodeBadRequest {
			m.t.Fatalf("%d: broken code is answered with %v", how, err)
		}
		return
	}
	if err != nil { // nothing is in use, and each code is below the limit
		m.t.Fatal(err)
	}
	m.there[modelKey(namespace, digest)] = code
	if !has(m.s, namespace, digest) {
		m.t.Fatal("what was just put is not there")
	}
	m.evicted()
}

// evicted forgets what the store has made room by.
func (m *storeModel) evicted() {
	m.t.Helper()
	sizes := map[string]int64{}
	needed := m.sum() > m.limit
	for key, code := range m.there {
		namespace, text, _ := cutKey(key)
		digest, _ := function.ParseDigest(text)
		if _, known := m.s.entries[digest]; !known && needed {
			delete(m.there, key)
			continue
		}
		if !has(m.s, namespace, digest) {
			m.t.Fatalf("%q has lost its code, which is there", namespace)
		}
		sizes[text] = int64(len(code))
	}
	if sum := m.sum(); sum > m.limit || sum != m.s.bytes || len(sizes) != len(m.s.entries) {
		m.t.Fatalf("%d bytes in %d codes, the store counts %d in %d; the limit is %d", sum, len(sizes), m.s.bytes, len(m.s.entries), m.limit)
	}
}

// sum is the size of all codes, each counted once.
func (m *storeModel) sum() (sum int64) {
	sizes := map[string]int64{}
	for key, code := range m.there {
		_, text, _ := cutKey(key)
		sizes[text] = int64(len(code))
	}
	for _, size := range sizes {
		sum += size
	}
	return sum
}

func cutKey(key string) (namespace, digest string, ok bool) {
	i := len(key) - 65
	return key[:i], key[i+1:], key[i] == ' '
}

// check compares all of it, and the directory.
func (m *storeModel) check() {
	m.t.Helper()
	digests := map[string]bool{}
	for key := range m.there {
		_, text, _ := cutKey(key)
		digests[text] = true
	}
	for text := range digests {
		digest, _ := function.ParseDigest(text)
		for _, namespace := range []string{"alice", "bob", "", "carol"} {
			code, mine := m.there[modelKey(namespace, digest)]
			b, err := m.s.Acquire(namespace, digest)
			if !mine {
				if function.CodeOf(err) != function.CodeCodeMissing {
					m.t.Fatalf("%q gets what it never sent: %v", namespace, err)
				}
				continue
			}
			if err != nil {
				m.t.Fatalf("%q does not get its code: %v", namespace, err)
			}
			got, err := os.ReadFile(b.Path)
			if err != nil || !bytes.Equal(got, code) || b.Size != int64(len(code)) {
				m.t.Fatalf("%q gets %q, %v, size %d; it sent %q", namespace, got, err, b.Size, code)
			}
			b.Release()
		}
	}
	if want := 2*len(digests) + len(m.there); len(files(m.t, m.s.dir)) != want {
		m.t.Fatalf("%d files, want %d: %v", len(files(m.t, m.s.dir)), want, files(m.t, m.s.dir))
	}
}
