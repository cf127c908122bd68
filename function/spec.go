package function

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash"
	"maps"
	"slices"
)

// A Spec is everything that makes a function what it is. Two functions with
// different Specs never share a process, a directory or a secret.
type Spec struct {
	Namespace string `json:"namespace"`
	// Action is the platform's name of it within the namespace, "hello" or "package/hello".
	Action string `json:"action"`
	// Kind is the language and version, "python:3".
	Kind string `json:"kind"`
	// Main is the function's name in the code, without any target.
	Main string `json:"main"`
	// Code is the SHA-256 of the code's raw bytes.
	Code Digest `json:"code"`
	// Binary says that the code is an archive or an executable, not source text.
	Binary bool `json:"binary,omitempty"`
	// Env is the init environment; names beginning "__OW_" do not belong here.
	Env map[string]string `json:"env,omitempty"`
	// APIHost is the platform's own address, which functions see as
	// __OW_API_HOST. It belongs to the identity: the same namespace of
	// another platform is another tenant.
	APIHost string `json:"apiHost,omitempty"`
	// Require is what the function needs of its machine.
	Require Requirements `json:"require,omitzero"`
}

// Requirements are what a function needs of the machine that runs it. The zero
// value needs nothing in particular.
type Requirements struct {
	Labels      []string `json:"labels,omitempty"`      // all of them; sorted, without duplicates
	Memory      int64    `json:"memory,omitempty"`      // bytes a worker may use; 0: not declared
	GPUs        int      `json:"gpus,omitempty"`        // how many
	GPUMemory   int64    `json:"gpuMemory,omitempty"`   // bytes on each GPU
	Workers     int      `json:"workers,omitempty"`     // at most; 0: the server's default
	Warm        int      `json:"warm,omitempty"`        // at least so many kept
	Concurrency int      `json:"concurrency,omitempty"` // runs at a time in one worker; 0 means 1
}

// IsZero reports whether nothing is required.
func (r Requirements) IsZero() bool {
	return len(r.Labels) == 0 && r.Memory == 0 && r.GPUs == 0 && r.GPUMemory == 0 &&
		r.Workers == 0 && r.Warm == 0 && r.Concurrency == 0
}

// A Digest is the SHA-256 of some code. Its text form is 64 hex digits.
type Digest [sha256.Size]byte

// An ID tells functions apart: a SHA-256 over the Spec. Its text form is 64 hex
// digits. Knowing an ID gives no right.
type ID [sha256.Size]byte

// DigestOf returns the digest of code.
func DigestOf(code []byte) Digest { return sha256.Sum256(code) }

// ID returns the function's identity. The side that holds the code's bytes must
// have verified Spec.Code against them.
func (s Spec) ID() ID {
	h := sha256.New()
	put(h, "whiskaway function 1", s.Namespace, s.Action, s.Kind, s.Main, string(s.Code[:]), fmt.Sprint(s.Binary), s.APIHost)
	put(h, fmt.Sprint(len(s.Env)))
	for _, name := range slices.Sorted(maps.Keys(s.Env)) {
		put(h, name, s.Env[name])
	}
	r := s.Require
	put(h, fmt.Sprint(len(r.Labels)))
	put(h, r.Labels...)
	put(h, fmt.Sprint(r.Memory, r.GPUs, r.GPUMemory, r.Workers, r.Warm, r.Concurrency))
	return ID(h.Sum(nil))
}

// put writes each text with its length before it, so that no two lists of
// texts give the same bytes.
func put(h hash.Hash, texts ...string) {
	var n [8]byte
	for _, t := range texts {
		binary.BigEndian.PutUint64(n[:], uint64(len(t)))
		h.Write(n[:])
		h.Write([]byte(t))
	}
}

// FullName is the namespace and the action, "/guest/hello".
func (s Spec) FullName() string { return "/" + s.Namespace + "/" + s.Action }

// NewLeaseID returns a random id of 128 bits, as hex digits.
func NewLeaseID() string {
	var b [16]byte
	rand.Read(b[:]) // never fails, see crypto/rand
	return hex.EncodeToString(b[:])
}

// String returns the digest as 64 hex digits.
func (d Digest) String() string { return hex.EncodeToString(d[:]) }

// MarshalText returns the digest as 64 hex digits.
func (d Digest) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads 64 hex digits.
func (d *Digest) UnmarshalText(text []byte) error { return unhex(d[:], text, "digest") }

// ParseDigest reads 64 hex digits.
func ParseDigest(text string) (Digest, error) {
	var d Digest
	return d, d.UnmarshalText([]byte(text))
}

// String returns the ID as 64 hex digits.
func (id ID) String() string { return hex.EncodeToString(id[:]) }

// MarshalText returns the ID as 64 hex digits.
func (id ID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText reads 64 hex digits.
func (id *ID) UnmarshalText(text []byte) error { return unhex(id[:], text, "function id") }

// ParseID reads 64 hex digits.
func ParseID(text string) (ID, error) {
	var id ID
	return id, id.UnmarshalText([]byte(text))
}

func unhex(dst, text []byte, what string) error {
	if len(text) != 2*len(dst) {
		return Errorf(CodeBadRequest, "a %s has %d hex digits, this has %d characters", what, 2*len(dst), len(text))
	}
	if _, err := hex.Decode(dst, text); err != nil {
		return Errorf(CodeBadRequest, "a %s has hex digits only: %v", what, err)
	}
	return nil
}
