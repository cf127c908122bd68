package server

import (
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// diskSize is what a file takes on the disk, in bytes: a sparse one takes less than its length.
func diskSize(info fs.FileInfo) int64 {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return stat.Blocks * 512 // see stat(2)
	}
	return info.Size()
}

func lastUse(info fs.FileInfo) time.Time {
	used := info.ModTime()
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		if read := time.Unix(stat.Atim.Unix()); read.After(used) {
			return read
		}
	}
	return used
}

// sizeOf is what a directory takes on the disk, in bytes. It stops counting above enough.
func sizeOf(dir string, enough int64) int64 {
	var sum int64
	filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil {
			return nil // what vanishes while we look is no matter
		}
		if info, err := d.Info(); err == nil {
			sum += diskSize(info)
		}
		if sum > enough {
			return fs.SkipAll
		}
		return nil
	})
	return sum
}

// diskUsed is how many bytes of the file system that holds dir are taken.
func diskUsed(dir string) int64 {
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil {
		return 0
	}
	return int64(s.Blocks-s.Bfree) * int64(s.Bsize)
}

// highestUser is the highest user ID that can be used here; see user_namespaces(7).
func highestUser() int64 {
	text, err := os.ReadFile("/proc/self/uid_map")
	if err != nil {
		return 0
	}
	var highest int64
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if len(fields) != 3 {
			continue
		}
		inside, err1 := strconv.ParseInt(fields[0], 10, 64)
		size, err2 := strconv.ParseInt(fields[2], 10, 64)
		if err1 == nil && err2 == nil {
			highest = max(highest, inside+size-1)
		}
	}
	return highest
}
