package process

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
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

// A running is the process of a server that runs.
type running struct {
	record
	recorded time.Time // when it was started; zero: not known
}

// record writes down which process the server is.
func (d *Driver) record(name string, pid int) error {
	started, err := startOf(pid)
	if err != nil {
		return nil // it has ended already; its log says why
	}
	data, err := json.Marshal(record{PID: pid, Started: started})
	if err != nil {
		return err
	}
	path := filepath.Join(d.cfg.Dir, name, recordFile)
	if err := os.WriteFile(path+".new", data, 0o600); err != nil {
		return fmt.Errorf("recording its process: %w", err)
	}
	return os.Rename(path+".new", path)
}

// running returns the servers whose processes run, by name.
func (d *Driver) running() (map[string]running, error) {
	entries, err := os.ReadDir(d.cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("looking for servers: %w", err)
	}
	all := map[string]running{}
	for _, e := range entries {
		if !e.IsDir() {
			continue
		}
		r, err := d.find(e.Name())
		if err != nil {
			return nil, fmt.Errorf("looking for server %s: %w", e.Name(), err)
		}
		if r.PID != 0 {
			all[e.Name()] = r
		}
	}
	return all, nil
}

// find returns the process of a server. Its PID is 0 when none runs.
func (d *Driver) find(name string) (running, error) {
	path := filepath.Join(d.cfg.Dir, name, recordFile)
	data, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return running{}, err
	}
	var r running
	if err == nil && json.Unmarshal(data, &r.record) == nil {
		if started, err := startOf(r.PID); err == nil && started == r.Started {
			if info, err := os.Stat(path); err == nil {
				r.recorded = info.ModTime()
			}
			return r, nil
		}
	}
	pid, err := findByArgument(d.data(name)) // its balancer was killed before it could write
	if err != nil || pid == 0 {
		return running{}, err
	}
	started, err := startOf(pid)
	if err != nil {
		return running{}, nil // it has just ended
	}
	return running{record: record{PID: pid, Started: started}}, nil
}
