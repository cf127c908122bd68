//go:build !linux

package server

import (
	"io/fs"
	"time"
)

func diskSize(info fs.FileInfo) int64    { return info.Size() }
func lastUse(info fs.FileInfo) time.Time { return info.ModTime() }
func sizeOf(string, int64) int64         { return 0 }
func diskUsed(string) int64              { return 0 }
func highestUser() int64                 { return 0 }
