package cgroup

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// write writes to a control file, which must be there already.
func write(dir, file, value string) error {
	f, err := os.OpenFile(filepath.Join(dir, file), os.O_WRONLY|os.O_TRUNC, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(value)
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	return err
}

func read(dir, file string) (string, error) {
	data, err := os.ReadFile(filepath.Join(dir, file))
	return strings.TrimSpace(string(data)), err
}

func readNumber(dir, file string) (int64, error) {
	text, err := read(dir, file)
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("read %s: %w", filepath.Join(dir, file), err)
	}
	return n, nil
}

// readTable reads a file of lines "key number". Other lines are left out.
func readTable(dir, file string) (map[string]int64, error) {
	text, err := read(dir, file)
	if err != nil {
		return nil, err
	}
	table := map[string]int64{}
	for line := range strings.Lines(text) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		if n, err := strconv.ParseInt(value, 10, 64); err == nil {
			table[key] = n
		}
	}
	return table, nil
}

func exists(dir, file string) bool {
	_, err := os.Stat(filepath.Join(dir, file))
	return err == nil
}

// subgroups lists dir and every group below it, the deepest first.
func subgroups(dir string) []string {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil
	}
	var all []string
	for _, entry := range entries {
		if entry.IsDir() {
			all = append(all, subgroups(filepath.Join(dir, entry.Name()))...)
		}
	}
	return append(all, dir)
}

// patience is how long we wait for killed processes to go. A process that is
// inside a driver's call, say a GPU's, takes seconds.
const patience = 10 * time.Second

// poll asks until done says yes or patience is over, and tells whether it did.
func poll(done func() bool) bool {
	pause, end := 500*time.Microsecond, time.Now().Add(patience)
	for !done() {
		if time.Now().After(end) {
			return false
		}
		time.Sleep(pause)
		pause = min(2*pause, 50*time.Millisecond)
	}
	return true
}
