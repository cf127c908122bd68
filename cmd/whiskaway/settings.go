package main

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/whiskaway/whiskaway/kind"
	"github.com/whiskaway/whiskaway/sandbox"
)

// settings are what the environment says to a runtime about functions that run in it. The names
// that begin OW_ are those of OpenWhisk's action proxy, and mean the same.
type settings struct {
	kind         string // WHISKAWAY_KIND
	compiler     string // OW_COMPILER
	executionEnv string // OW_EXECUTION_ENV
	jar          string // OW_SAVE_JAR
	// For the proxy these are on as soon as there is any text.
	mustAck       bool // OW_WAIT_FOR_ACK
	logInitErrors bool // OW_LOG_INIT_ERROR
	concurrent    bool // __OW_ALLOW_CONCURRENT
}

func readSettings() settings {
	return settings{
		kind:     os.Getenv("WHISKAWAY_KIND"),
		compiler: os.Getenv("OW_COMPILER"), executionEnv: strings.TrimSpace(os.Getenv("OW_EXECUTION_ENV")), jar: os.Getenv("OW_SAVE_JAR"),
		mustAck: os.Getenv("OW_WAIT_FOR_ACK") != "", logInitErrors: os.Getenv("OW_LOG_INIT_ERROR") != "",
		concurrent: isOn(os.Getenv("__OW_ALLOW_CONCURRENT")),
	}
}

// compiledKind is what a kind is called where a compiler script alone says what it is.
const compiledKind = "compiled:default"

// localKind is the kind of functions that run here. Without a word about it they are executables, as
// for the proxy.
func (s settings) localKind() string {
	if s.compiler != "" {
		return cmp.Or(s.kind, compiledKind)
	}
	return cmp.Or(s.kind, kind.Native)
}

// nodeConcurrency is how many runs share a Node.js process where the platform allows it to have several: a
// value above the limit that OpenWhisk's operators set. Functions there rely on one process, whose
// module has its pool of connections.
const nodeConcurrency = 200

// localConcurrency is how many runs one process of a function that runs here takes at once; 0 means 1.
func (s settings) localConcurrency() int {
	if s.sharesProcess() {
		return nodeConcurrency
	}
	return 0
}

// sharesProcess reports whether all runs go to one process.
func (s settings) sharesProcess() bool {
	return s.concurrent && s.compiler == "" && s.language() == "nodejs"
}

// language is that of functions that run here; empty if it is none that we know.
func (s settings) language() string {
	language, _, _ := strings.Cut(s.localKind(), ":")
	switch language {
	case "python", "nodejs", "go", kind.Native:
		return language
	}
	return ""
}

// workers is how many processes a function that runs here has at most; 0 stands for the usual number.
func (s settings) workers() int {
	if !s.concurrent || s.sharesProcess() {
		return 1
	}
	return 0
}

// asLongAsTheContainer is longer than any container lives.
const asLongAsTheContainer = 10 * 365 * 24 * time.Hour

// machineFlags say what functions that run here may have of the container.
func (s settings) machineFlags(hidden secrets) *machineFlags {
	flags := containerFlags("100%") // as with OpenWhisk's own images
	// Frozen or idle for long, a container still has its function warm.
	flags.idle, flags.grace = asLongAsTheContainer, asLongAsTheContainer
	flags.workers, flags.secrets, flags.language = s.workers(), hidden, s.language()
	flags.proxy = kind.Proxy{Compiler: s.compiler, ExecutionEnv: s.executionEnv, Jar: s.jar, MustAck: s.mustAck}
	return &flags
}

// containerFlags are for functions that run in a runtime's own container. That is the sandbox
// then: what it lets a function do is the platform's business. A platform whose containers are only
// processes says by variables that there are to be walls, see localWalls.
// share is the part of the container's memory that they may use together where nothing is said.
func containerFlags(share string) machineFlags {
	group := os.Getenv("WHISKAWAY_GROUP")
	if group != "" {
		group += fmt.Sprintf("-%d", os.Getpid())
	}
	return machineFlags{
		group:   group,
		sandbox: cmp.Or(os.Getenv("WHISKAWAY_SANDBOX"), string(sandbox.LevelProcess)),
		memory:  cmp.Or(os.Getenv("WHISKAWAY_MEMORY"), share),
		network: cmp.Or(os.Getenv("WHISKAWAY_NETWORK"), string(sandbox.NetworkHost)), disk: "10g", cache: "50g",
		hidden: filepath.SplitList(os.Getenv("WHISKAWAY_HIDE")), shared: filepath.SplitList(os.Getenv("WHISKAWAY_SHARE")),
	}
}

// localWalls are the variables by which a runtime that we start as a process puts the same walls around its function
// that our own server does. dir is our data directory, of which no function may see anything.
func (m *machineFlags) localWalls(dir string) ([]string, error) {
	hide, err := pathList(dir)
	if err != nil {
		return nil, err
	}
	share, err := pathList(m.shared...)
	if err != nil {
		return nil, fmt.Errorf("--share: %w", err)
	}
	return []string{
		"WHISKAWAY_SANDBOX=" + m.sandbox, "WHISKAWAY_NETWORK=" + m.network, "WHISKAWAY_HIDE=" + hide, "WHISKAWAY_SHARE=" + share,
		"WHISKAWAY_GROUP=" + containerGroups(dir),
	}, nil
}

// pathList joins absolute paths for filepath.SplitList.
func pathList(paths ...string) (string, error) {
	var all []string
	for _, path := range paths {
		abs, err := filepath.Abs(path)
		if err != nil {
			return "", err
		}
		if strings.ContainsRune(abs, filepath.ListSeparator) {
			return "", fmt.Errorf("the path %s has a %q in it; choose another", abs, filepath.ListSeparator)
		}
		all = append(all, abs)
	}
	return strings.Join(all, string(filepath.ListSeparator)), nil
}
