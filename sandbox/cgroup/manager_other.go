//go:build !linux

package cgroup

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"runtime"
)

// Manager cannot be had on this system.
type Manager struct{}

// Group cannot be had on this system.
type Group struct{}

// Open returns ErrNone.
func Open(string, *slog.Logger) (*Manager, error) {
	return nil, fmt.Errorf("%w: %s has none", ErrNone, runtime.GOOS)
}

// Sweep has nothing to do.
func Sweep(string) error { return nil }

// Enforced says which limits really hold: none.
func (m *Manager) Enforced() []string { return nil }

// SetBudget is not supported.
func (m *Manager) SetBudget(int64) error { return errors.ErrUnsupported }

// Restrict is not supported.
func (m *Manager) Restrict([]netip.Addr) error { return errors.ErrUnsupported }

// New is not supported.
func (m *Manager) New(string, Limits) (*Group, error) { return nil, errors.ErrUnsupported }

// Close does nothing.
func (m *Manager) Close() error { return nil }

// Add is not supported.
func (g *Group) Add(int) error { return errors.ErrUnsupported }

// Kill is not supported.
func (g *Group) Kill() error { return errors.ErrUnsupported }

// Usage is not supported.
func (g *Group) Usage() (Usage, error) { return Usage{}, errors.ErrUnsupported }

// SetMemory is not supported.
func (g *Group) SetMemory(int64) error { return errors.ErrUnsupported }

// Freeze is not supported.
func (g *Group) Freeze(bool) error { return errors.ErrUnsupported }

// Close does nothing.
func (g *Group) Close() error { return nil }
