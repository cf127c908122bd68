package process

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// recordFile holds which process a server is.
const recordFile = "process.json"

// A record names a process for ever: its number may be another's later, but not
// with the same time of its start.
type record struct {
	PID     int    `json:"pid"`
	Started string `json:"started"` // as the system tells it, see startOf
}

// A server is one that was started and not stopped.
type server struct {
	record
	recorded time.Time // when it was started; zero: not known
	ended    bool      // by itself: there is a record and no process
}

// record writes down which process the server is.
func (d *Driver) record(name string, pid int) error {
	started, _ := startOf(pid) // empty when it has ended already
	data, err := json.Marshal(record{PID: pid, Started: started})
	if err != nil {
		return err
	}
	path := d.recordPath(name)
	if err := os.WriteFile(path+".new", data, 0o600); err != nil {
		return fmt.Errorf("recording its process: %w", err)
	}
	return os.Rename(path+".new", path)
}

// servers returns all that were started and not stopped, by name.
func (d *Driver) servers() (map[string]server, error) {
	entries, err := os.ReadDir(d.cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("looking for servers: %w", err)
	}
	all := map[string]server{}
	for _, e := range entries {
		if !e.IsDir() {
			continue
		}
		s, there, err := d.find(e.Name())
		if err != nil {
			return nil, fmt.Errorf("looking for server %s: %w", e.Name(), err)
		}
		if there {
			all[e.Name()] = s
		}
	}
	return all, nil
}

// find returns a server, and whether there is one of that name.
func (d *Driver) find(name string) (s server, there bool, err error) {
	path := d.recordPath(name)
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return d.findUnrecorded(name)
	}
	if err != nil {
		return s, false, err
	}
	if err := json.Unmarshal(data, &s.record); err != nil {
		return s, false, fmt.Errorf("%s is damaged: %w; end the server, if it runs, and remove the file", path, err)
	}
	if info, err := os.Stat(path); err == nil {
		s.recorded = info.ModTime()
	}
	started, err := startOf(s.PID)
	s.ended = err != nil || started != s.Started
	return s, true, nil
}

// findUnrecorded finds a server whose balancer was killed before it could write the record.
func (d *Driver) findUnrecorded(name string) (s server, there bool, err error) {
	pid, err := findByArgument(d.data(name))
	if err != nil || pid == 0 {
		return s, false, err
	}
	started, err := startOf(pid)
	if err != nil {
		return s, false, nil // it has just ended
	}
	return server{record: record{PID: pid, Started: started}}, true, nil
}

func (d *Driver) recordPath(name string) string { return filepath.Join(d.cfg.Dir, name, recordFile) }

// forget removes the record of a server that has ended.
func (d *Driver) forget(name string) error {
	err := os.Remove(d.recordPath(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// logTail is how much of a log's end is looked at for its last line, in bytes.
const logTail = 1000

// lastWords is the last line of a server's log.
func (d *Driver) lastWords(name string) string {
	f, err := os.Open(filepath.Join(d.cfg.Dir, name, "log"))
	if err != nil {
		return "it ended, and its log cannot be read"
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil {
		f.Seek(max(0, info.Size()-logTail), io.SeekStart)
	}
	data, _ := io.ReadAll(io.LimitReader(f, logTail))
	lines := strings.Split(strings.TrimSpace(strings.ToValidUTF8(string(data), "")), "\n")
	return "it ended with the words: " + lines[len(lines)-1]
}
