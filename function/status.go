package function

// A Status is what a host holds and how busy it is. A balancer's is the sum of
// its servers' statuses, so a balancer looks like one big host.
type Status struct {
	Servers   []ServerStatus   `json:"servers"`   // connected ones only
	Functions []FunctionStatus `json:"functions"` // one entry for each function and server
	// Waiting has an entry for each function for which something waits at the balancer; only a balancer has any.
	Waiting []WaitingStatus `json:"waiting,omitempty"`
	// Platform is what the platform has in the same process; nil: there is none.
	Platform *PlatformStatus `json:"platform,omitempty"`
}

// A PlatformStatus describes the containers of a platform, and what waits for them.
type PlatformStatus struct {
	Memory  Memory            `json:"memory"`  // the containers' limits together
	Running int               `json:"running"` // runs in containers
	Waiting int               `json:"waiting"` // runs that wait for one
	Kinds   []ContainerStatus `json:"kinds"`   // sorted by name
}

// A ContainerStatus counts the containers of one kind, or of one image.
type ContainerStatus struct {
	Kind     string `json:"kind"`
	Starting int    `json:"starting"` // up to the end of their /init
	Busy     int    `json:"busy"`
	Warm     int    `json:"warm"`   // without a run
	Paused   int    `json:"paused"` // without a run for longer
	// Prewarm have been started in advance and belong to no action yet, and Wanted is how many there should be.
	Prewarm int `json:"prewarm"`
	Wanted  int `json:"wanted"`
	Leaving int `json:"leaving"`
}

// A ServerStatus describes one server.
type ServerStatus struct {
	ID        string   `json:"id"`   // stays the same over restarts
	Name      string   `json:"name"` // for people; the host's name unless said otherwise
	Version   string   `json:"version"`
	OS        string   `json:"os"`
	Arch      string   `json:"arch"`
	Labels    []string `json:"labels"`          // sorted
	Found     []string `json:"found,omitempty"` // those of them that the server found itself, its arch for example; sorted
	Kinds     []Kind   `json:"kinds"`
	Walls     []string `json:"walls"` // what keeps functions apart there, in words
	CPUs      int      `json:"cpus"`
	Strength  float64  `json:"strength,omitempty"` // of one CPU, as the server measured it at its start; 1 is the reference, 0 not measured
	Memory    Memory   `json:"memory"`
	GPUs      []GPU    `json:"gpus"`
	Functions int      `json:"functions"` // that it knows; of those without a worker Status may list only some
	Evictions int64    `json:"evictions"` // idle workers that ended so that others had room, since its start
	Workers   int      `json:"workers"`
	Running   int      `json:"running"` // runs in flight
	Queued    int      `json:"queued"`  // runs that wait for a worker
	Draining  bool     `json:"draining,omitempty"`
	Aside     bool     `json:"aside,omitempty"` // by its balancer's word: it fails, or comes and goes, and gets little or nothing for now
	Uptime    int64    `json:"uptime"`          // seconds
}

// A Kind is a language that a server can run.
type Kind struct {
	Name    string `json:"name"`    // "python:3"
	Version string `json:"version"` // the interpreter's, "3.11.7"
}

// Memory is a budget and what is taken of it, in bytes.
type Memory struct {
	Budget int64 `json:"budget"`
	Used   int64 `json:"used"`
	// Room is what a further worker could have at once, and Idle what idle workers would
	// leave it besides. Who reports neither says nothing about room.
	Room int64 `json:"room,omitempty"`
	Idle int64 `json:"idle,omitempty"`
}

// A GPU is one graphics processor.
type GPU struct {
	UUID     string  `json:"uuid"`
	Name     string  `json:"name"`
	Memory   Memory  `json:"memory"`
	Strength float64 `json:"strength,omitempty"` // as the server measured it at its start; 1 is the reference, 0 not measured
}

// A FunctionStatus describes one function on one server.
type FunctionStatus struct {
	ID        ID       `json:"id"`
	Server    string   `json:"server"` // the ServerStatus.ID that holds it
	Namespace string   `json:"namespace"`
	Action    string   `json:"action"`
	Kind      string   `json:"kind"`
	Main      string   `json:"main"`
	Labels    []string `json:"labels"`
	State     string   `json:"state"` // "starting", "ready" or "failed"
	Workers   int      `json:"workers"`
	Idle      int      `json:"idle"`
	Running   int      `json:"running"`
	Queued    int      `json:"queued"`
	Leases    int      `json:"leases"`
	Runs      int64    `json:"runs"` // ended ones, since the server knows it
	// Slots is how many runs it can have at once here, with the workers that there is still room
	// to start; 0: not said.
	Slots int `json:"slots,omitempty"`
	// Usual is what a run usually takes, and Start what its process takes until it is
	// ready, in microseconds; 0: not known.
	Usual int64 `json:"usual,omitempty"`
	Start int64 `json:"start,omitempty"`
}

// A WaitingStatus describes what waits for one function at a balancer, until a server has a slot for it.
type WaitingStatus struct {
	ID        ID       `json:"id"`
	Namespace string   `json:"namespace"`
	Action    string   `json:"action"`
	Labels    []string `json:"labels"`
	Runs      int      `json:"runs"`
	Starts    int      `json:"starts"`  // Inits that wait
	Longest   int64    `json:"longest"` // how long the first of them has waited, in milliseconds
}
