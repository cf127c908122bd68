//go:build !linux

package docker

import "errors"

func enter(string) error { return errors.New("these tests need Linux's namespaces") }
