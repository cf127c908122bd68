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
}

// Words lists what is really enforced, for a status.
func (w Walls) Words() []string {
	switch w.mode() {
	case ModeNamespace:
		words := []string{"pid namespace", "mount namespace", "ipc namespace"}
		if w.User {
			words = append(words, "user namespace")
		}
		return words
	case ModeSubreaper:
		return []string{"subreaper shim"}
	}
	return []string{"process group only"}
}

func (w Walls) mode() Mode {
	if w.Mode == "" {
		return fallbackMode
	}
	return w.Mode
}
