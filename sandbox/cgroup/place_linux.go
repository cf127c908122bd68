package cgroup

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// host is the machine as we see it. Tests put a directory of plain files in
// its place.
type host struct {
	root   string // before every path; empty for the real one
	mkdir  func(dir string) error
	rmdir  func(dir string) error
	wanted []string // controllers that we use where they are there
}

func realHost() host {
	return host{
		mkdir:  func(dir string) error { return os.Mkdir(dir, 0o755) },
		rmdir:  rmdir,
		wanted: []string{"memory", "pids", "cpu"},
	}
}

// place is a mounted hierarchy and the group in it that this process is in.
type place struct {
	v2          bool
	controllers []string // version 1: those bound to this hierarchy
	own         string   // directory of our own group
	path        string   // the same as /proc/PID/cgroup names it
}

func (p place) String() string {
	if p.v2 {
		return "v2"
	}
	return "v1 " + strings.Join(p.controllers, ",")
}

// places finds every mounted hierarchy in which our own group can be seen. The
// words tell of the others.
func (h host) places() (found []place, unseen []string, err error) {
	mounts, err := os.ReadFile(filepath.Join(h.root, "/proc/self/mountinfo"))
	if err != nil {
		return nil, nil, fmt.Errorf("find the mounted cgroup hierarchies: %w", err)
	}
	groups, err := os.ReadFile(filepath.Join(h.root, "/proc/self/cgroup"))
	if err != nil {
		return nil, nil, fmt.Errorf("find our own control group: %w", err)
	}
	for line := range strings.Lines(string(groups)) {
		p, ok := parseGroup(strings.TrimSpace(line))
		if !ok {
			continue
		}
		dir, ok := p.findMount(string(mounts))
		if !ok {
			unseen = append(unseen, fmt.Sprintf("%s: our group %s is not in any mounted hierarchy", p, p.path))
			continue
		}
		p.own = filepath.Join(h.root, dir)
		found = append(found, p)
	}
	return found, unseen, nil
}

// parseGroup reads a line of /proc/self/cgroup: ID:CONTROLLERS:PATH. Version 2
// has ID 0 and no controllers; a name=... hierarchy has none that limit.
// Source: cgroups(7).
func parseGroup(line string) (p place, ok bool) {
	fields := strings.SplitN(line, ":", 3)
	if len(fields) != 3 || strings.HasPrefix(fields[1], "name=") {
		return place{}, false
	}
	if fields[1] == "" {
		return place{v2: true, path: fields[2]}, fields[0] == "0"
	}
	return place{controllers: strings.Split(fields[1], ","), path: fields[2]}, true
}

// findMount looks for a mount of the hierarchy that shows our own group, and
// says where.
// Fields of /proc/self/mountinfo: id, parent, device, root, mount point,
// options, optional fields, "-", type, source, options of the hierarchy.
// Source: proc_pid_mountinfo(5).
func (p place) findMount(mountinfo string) (dir string, ok bool) {
	if isOutside(p.path) {
		return "", false
	}
	for line := range strings.Lines(mountinfo) {
		before, after, ok := strings.Cut(line, " - ")
		mount, kind := strings.Fields(before), strings.Fields(after)
		if !ok || len(mount) < 6 || len(kind) < 3 || !p.isMounted(kind[0], kind[2]) || isOutside(mount[3]) {
			continue
		}
		below, err := filepath.Rel(unescape(mount[3]), p.path)
		if err != nil || !filepath.IsLocal(below) {
			continue
		}
		return filepath.Join(unescape(mount[4]), below), true
	}
	return "", false
}

// isOutside tells of a path that it leads out of our cgroup namespace, so that
// nothing says where it lies from here. Source: cgroup_namespaces(7).
func isOutside(path string) bool { return path == "/.." || strings.HasPrefix(path, "/../") }

func (p place) isMounted(kind, options string) bool {
	if p.v2 {
		return kind == "cgroup2"
	}
	return kind == "cgroup" && slices.Contains(strings.Split(options, ","), p.controllers[0])
}

// unescape undoes what mountinfo does to blanks and backslashes.
func unescape(path string) string {
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(path)
}
