//go:build !linux

package main

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"syscall"
)

var errLinux = errors.New("this needs Linux: it makes network namespaces")

func runApart(context.Context) error { return errLinux }

func again(context.Context, string, ...string) (*exec.Cmd, error) { return nil, errLinux }

func openTUN(string) (*os.File, error) { return nil, errLinux }

func giveTo(string, int) error { return errLinux }

func setUp(_, _, _, _ string) error { return errLinux }

func retrySoon(_, _ string, _ syscall.RawConn) error { return errLinux }
