package balancer

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/whiskaway/whiskaway/balancer/placement"
	"github.com/whiskaway/whiskaway/function"
)

// A refusal is what is there, at the moment when nobody could run a function.
type refusal struct {
	servers    [][]function.ServerStatus // when none fits
	hindrances []hindrance               // of those that fit
	retryAfter time.Duration
	scaled     bool // a scaler was to start a server
}

// A hindrance is why one member that fits does not run a function now.
type hindrance struct {
	host     *placement.Host
	name     string
	why      placement.Obstacle
	wait     time.Duration // Broken: for how long
	failures int           // Broken: after so many
	flaps    bool          // Broken: because it comes and goes
}

// aside completes "server-1 ..." for one that is set aside.
func (h *hindrance) aside() string {
	why := fmt.Sprintf("after %d %s", h.failures, plural(h.failures, "failure"))
	if h.flaps {
		why = "because its connection breaks again and again"
	}
	return fmt.Sprintf(" for %v %s", max(h.wait.Round(time.Second), time.Second), why)
}

// refusal wants the lock. Its text is made later, without it.
func (b *Balancer) refusal(f *fn, now time.Time) *refusal {
	r := &refusal{retryAfter: f.outlook(), scaled: f.scaled}
	c := b.classOf(f)
	for _, host := range c.snapshot.Hosts {
		m := c.fitting[host].m
		h := hindrance{host: host, name: m.Name, why: placement.ObstacleAt(&f.place, host, now), failures: m.failures}
		if h.why == placement.Broken {
			h.wait = max(0, host.Breaker.RetryAt().Sub(now))
			h.flaps = host.Breaker.Flapping()
		}
		r.hindrances = append(r.hindrances, h)
	}
	if len(r.hindrances) == 0 {
		for _, m := range b.members {
			r.servers = append(r.servers, m.status.Servers)
		}
	}
	return r
}

// tried notes that a member has refused the run.
func (r *refusal) tried(host *placement.Host) {
	for i := range r.hindrances {
		if r.hindrances[i].host == host {
			r.hindrances[i].why = placement.HasRefused
		}
	}
}

func (r *refusal) error(spec function.Spec) error {
	if len(r.hindrances) == 0 {
		return function.Errorf(function.CodeNoCapacity, "%s", whyNobody(slices.Concat(r.servers...), spec))
	}
	e := function.Errorf(function.CodeNoCapacity, "%s cannot run now: %s", spec.FullName(), whyNotNow(r.hindrances, spec))
	e.RetryAfter = r.retryAfter
	return e
}

// late is the refusal of a run whose time was over while it waited.
func (r *refusal) late(spec function.Spec) error {
	if len(r.hindrances) == 0 {
		event := "come back"
		if r.scaled {
			event = "be started"
		}
		return function.Errorf(function.CodeTimeout, "the time limit was over while %s waited for a server %s to %s", spec.FullName(), wanted(spec), event)
	}
	code := function.CodeNoCapacity
	if slices.ContainsFunc(r.hindrances, func(h hindrance) bool { return h.why == placement.OnItsWay }) {
		code = function.CodeTimeout
	}
	e := function.Errorf(code, "the time limit was over while %s waited: %s", spec.FullName(), whyNotNow(r.hindrances, spec))
	e.RetryAfter = r.retryAfter
	return e
}

// namesInGroup bounds how many servers an error names for each reason.
const namesInGroup = 5

// whyNotNow says which condition keeps which of the servers that fit from a run.
func whyNotNow(all []hindrance, spec function.Spec) string {
	var groups [placement.Obstacles][]string
	for _, h := range all {
		name := h.name
		if h.why == placement.Broken {
			name += h.aside()
		}
		groups[h.why] = append(groups[h.why], name)
	}
	var texts []string
	for why, names := range groups {
		if len(names) > 0 {
			texts = append(texts, fmt.Sprintf("%d %s (%s)", len(names), inWords(placement.Obstacle(why)), shortened(names)))
		}
	}
	return fmt.Sprintf("of the %d %s %s, %s", len(all), plural(len(all), "server"), wanted(spec), strings.Join(texts, ", "))
}

// inWords completes "2 ...".
func inWords(o placement.Obstacle) string {
	return [...]string{
		placement.NoObstacle:  "may run it any moment",
		placement.SmallMemory: "would not have the memory for one worker even if it were all free",
		placement.SmallGPU:    "would not have the GPUs for one worker even if they were all free",
		placement.Broken:      "set aside",
		placement.Quiet:       "not heard of for some seconds",
		placement.Full:        "may have no more runs in flight",
		placement.Busy:        "busy",
		placement.OnItsWay:    "starting it",
		placement.NoMemory:    "without free memory",
		placement.NoGPU:       "without a free GPU",
		placement.HasRefused:  "refused it",
	}[o]
}

func shortened(names []string) string {
	slices.Sort(names)
	text := strings.Join(names[:min(len(names), namesInGroup)], ", ")
	if more := len(names) - namesInGroup; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}
