package sandbox

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"
)

// build adds to base what the options ask for and this machine can do.
func (o Options) build(ctx context.Context, base Walls) (Walls, error) {
	var parts []part
	switch {
	case o.Level == LevelFull:
		parts = o.parts(base)
	case o.Guard:
		abi, err := landlockABI()
		parts = []part{{word: wordGuard, add: func(f *fence) { f.Guard = abi }, reason: reason(err)}}
	}
	if len(o.Secrets) > 0 && base.mode() == ModeNamespace { // else Landlock has to do it alone
		parts = append(parts, part{word: wordSecrets, add: func(f *fence) { f.Cover = true }})
	}
	if o.Network != NetworkNone {
		return o.raiseFull(ctx, base, parts), nil
	}
	return o.withoutNetwork(ctx, base, parts)
}

func (o Options) raiseFull(ctx context.Context, base Walls, parts []part) Walls {
	w := raise(ctx, o, base, parts)
	if o.Level == LevelFull && base.mode() != ModeNamespace {
		w.fence.missing = append([]string{"pid namespace: " + base.Refused}, w.fence.missing...)
	}
	return w
}

// withoutNetwork prefers a network namespace, and else refuses sockets.
func (o Options) withoutNetwork(ctx context.Context, base Walls, parts []part) (Walls, error) {
	if base.mode() == ModeNamespace {
		namespace := part{word: "network: none", add: func(f *fence) { f.Network, f.NewNet = NetworkNone, true }}
		w := o.raiseFull(ctx, base, append(slices.Clone(parts), namespace))
		if w.fence.NewNet {
			return w, nil
		}
	}
	filter := part{word: "network: none", add: func(f *fence) { f.Network = NetworkNone }, reason: noSeccomp()}
	w := o.raiseFull(ctx, base, append(slices.Clone(parts), filter))
	if w.fence.Network != NetworkNone {
		return Walls{}, fmt.Errorf("the network none cannot be had here: %v", w.fence.missing)
	}
	return w, nil
}

// parts lists the walls of LevelFull.
func (o Options) parts(base Walls) []part {
	masks := append(standardMasks(), o.Hidden...)
	groups := deviceGroups()
	abi, landlockErr := landlockABI()
	list := []part{
		{word: "no capabilities", add: func(f *fence) { f.Strip = true }},
		{word: wordView, add: func(f *fence) { f.View, f.Masks = true, masks }, reason: noView(base)},
		{word: wordLandlock, add: func(f *fence) { f.Landlock = abi }, reason: reason(landlockErr)},
		{word: wordSeccomp, add: func(f *fence) { f.Seccomp = true }, reason: noSeccomp()},
	}
	if landlockErr == nil && abi < landlockScopes {
		why := fmt.Sprintf("this kernel's Landlock is version %d, and %d is needed", abi, landlockScopes)
		list = append(list, part{word: wordSignals, reason: why})
	}
	noUsers := errors.New("not asked for")
	if o.Users {
		noUsers = canChangeUser()
		list = append(list, part{word: wordUsers, add: func(f *fence) { f.Users, f.Groups = true, groups }, reason: reason(noUsers)})
	}
	if noUsers != nil && noView(base) != "" {
		list = append(list, part{word: wordModes, reason: "with one uid for all and no mount namespace, functions can change the modes and times of each other's files and of ours"})
	}
	return list
}

func reason(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func noView(base Walls) string {
	if base.mode() == ModeNamespace {
		return ""
	}
	return "there is no mount namespace here"
}

func noSeccomp() string {
	if auditArch == 0 {
		return "not on this processor"
	}
	return ""
}

// standardMasks lists the directories of others, and of those that wait to be talked to.
func standardMasks() []string {
	var masks []string
	for _, dir := range []string{"/root", "/home", "/run"} {
		if real, err := filepath.EvalSymlinks(dir); err == nil && !slices.Contains(masks, real) {
			masks = append(masks, real)
		}
	}
	return masks
}

// canChangeUser reports why a command cannot be given a uid of its own. CAP_KILL
// is for the shim, which has to end it.
func canChangeUser() error {
	if os.Geteuid() != 0 {
		return errors.New("not root")
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var sets [2]unix.CapUserData
	if err := unix.Capget(&header, &sets[0]); err != nil {
		return fmt.Errorf("reading our capabilities: %w", err)
	}
	for _, c := range []struct {
		bit  uint
		name string
	}{{unix.CAP_SETUID, "CAP_SETUID"}, {unix.CAP_SETGID, "CAP_SETGID"}, {unix.CAP_KILL, "CAP_KILL"}} {
		if sets[0].Effective&(1<<c.bit) == 0 {
			return errors.New("root without " + c.name)
		}
	}
	return nil
}

// deviceGroups lists the groups that open GPU devices which not everybody may.
func deviceGroups() []uint32 {
	var groups []uint32
	for _, path := range gpuDevices("/dev/dri/*") {
		var st syscall.Stat_t
		if err := syscall.Stat(path, &st); err != nil || st.Mode&syscall.S_IFMT != syscall.S_IFCHR {
			continue
		}
		everybody, group := st.Mode&0o006 == 0o006, st.Mode&0o060 == 0o060
		if !everybody && group && st.Gid != 0 && !slices.Contains(groups, st.Gid) {
			groups = append(groups, st.Gid)
		}
	}
	return groups
}

// gpuDevices lists the device files of NVIDIA's and AMD's drivers, WSL's, and of
// the patterns.
func gpuDevices(patterns ...string) []string {
	var found []string
	for _, pattern := range append(patterns, "/dev/nvidia*", "/dev/kfd", "/dev/dxg") {
		paths, _ := filepath.Glob(pattern)
		found = append(found, paths...)
	}
	return found
}
