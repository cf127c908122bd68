package sandbox

// A Mode is a means against survivors.
type Mode string

// The modes, strongest first. See the package's comment.
const (
	ModeNamespace Mode = "namespace"
	ModeSubreaper Mode = "subreaper"
	ModeGroup     Mode = "group"
)

// Walls are what stands around a command on this machine.
type Walls struct {
	// Mode is empty for the one that needs no privilege here.
	Mode Mode
	// User says that ModeNamespace needs a user namespace as well: we are
	// not root.
	User bool
	// Refused says why a stronger mode is not used, for the log.
	Refused string
	// fence is what Find adds; nil: nothing. It is shared and never changed.
	fence *fence
}

// A fence is what stands around a command besides its Mode. Each part works
// without the others. The shim gets it in its order.
type fence struct {
	Strip    bool     // no capabilities, and none to be gained
	View     bool     // a read-only system, private temporary directories, Masks
	Masks    []string // directories that look empty; real paths
	Hidden   []string // those of Masks, or of where there is no View, that are the caller's
	Users    bool     // a uid of its own
	Groups   []uint32 // groups that open GPU devices, for a command with a uid of its own
	Landlock int      // the kernel's ABI that is used; 0: none
	Guard    int      // the same for a domain that only keeps the command from looking into others; 0: none
	Secrets  []string // files that the command may not read
	Cover    bool     // Secrets look empty
	Seccomp  bool
	Network  Network
	NewNet   bool // NetworkNone by a network namespace; else by refused sockets

	missing []string
}

// IsZero reports whether these are no walls at all, the zero value.
func (w Walls) IsZero() bool { return w == Walls{} }

// OwnUser reports whether a command runs with the uid of its Config.
func (w Walls) OwnUser() bool { return w.fence != nil && w.fence.Users }

// PrivateTemp reports whether a command's /tmp is its own: Config.Temp, or what is
// gone with it.
func (w Walls) PrivateTemp() bool { return w.fence != nil && w.fence.View }

// Hides reports whether a command sees nothing of Options.Hidden.
func (w Walls) Hides() bool { return w.fence != nil && (w.fence.View || w.fence.Landlock > 0) }

// Words lists what is really enforced, for a status.
func (w Walls) Words() []string {
	words := w.mode().words()
	if w.User {
		words = append(words, "user namespace")
	}
	if w.fence != nil {
		words = append(words, w.fence.words()...)
	}
	return words
}

// Missing lists what was asked for and cannot be had here, each with the reason.
func (w Walls) Missing() []string {
	if w.fence == nil {
		return nil
	}
	return w.fence.missing
}

func (w Walls) mode() Mode {
	if w.Mode == "" {
		return fallbackMode
	}
	return w.Mode
}

func (m Mode) words() []string {
	switch m {
	case ModeNamespace:
		return []string{"pid namespace", "mount namespace", "ipc namespace"}
	case ModeSubreaper:
		return []string{"subreaper shim"}
	}
	return []string{"process group only"}
}

// The landlockABI from which on it does more than guard files.
const landlockScopes = 6

func (f *fence) words() []string {
	var words []string
	add := func(is bool, w ...string) {
		if is {
			words = append(words, w...)
		}
	}
	add(f.View, wordView, "private /tmp", "private /dev/shm")
	add(f.Users, wordUsers)
	add(f.Strip, "no capabilities")
	add(f.Strip || f.Guard > 0 || f.filtered(), "no new privileges")
	add(f.Guard > 0, wordGuard)
	add(len(f.Secrets) > 0 && (f.Cover || f.Guard > 0 || f.Landlock > 0), wordSecrets)
	add(f.Landlock > 0, wordLandlock)
	add(f.Landlock >= landlockScopes, wordSignals)
	add(f.Seccomp, wordSeccomp)
	add(f.Network != NetworkHost, "network: "+string(f.Network))
	return words
}

// What a wall is called when it is there and when it is missing.
const (
	wordView     = "read-only system"
	wordUsers    = "own uid"
	wordLandlock = "landlock files"
	wordSignals  = "landlock signals"
	wordModes    = "files' modes" // of which Landlock knows nothing
	wordSeccomp  = "seccomp"
	wordGuard    = "landlock guard" // nobody looks into us
	wordSecrets  = "hidden secrets"
)

// filtered reports whether a seccomp filter is needed.
func (f *fence) filtered() bool { return f.Seccomp || f.noSockets() }

// noSockets reports whether the filter has to refuse every network socket.
func (f *fence) noSockets() bool { return f.Network == NetworkNone && !f.NewNet }
