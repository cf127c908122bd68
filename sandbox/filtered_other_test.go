//go:build !linux

package sandbox_test

import "errors"

func playFiltered(string, []string) error { return errors.New("on Linux only") }
