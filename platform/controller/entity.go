package controller

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/whiskaway/whiskaway/platform/bus"
	"github.com/whiskaway/whiskaway/platform/store"
)

// A Parameter is a name with a value, as JSON. Init ones become environment
// variables, the others arguments.
type Parameter struct {
	Key   string          `json:"key"`
	Value json.RawMessage `json:"value"`
	Init  bool            `json:"init,omitempty"`
}

// Parameters are OpenWhisk's lists of parameters, and of annotations.
type Parameters []Parameter

// Get returns a value by its key, or nil.
func (p Parameters) Get(key string) json.RawMessage {
	for _, param := range p {
		if param.Key == key {
			return param.Value
		}
	}
	return nil
}

// isTrue reports whether a value is true, or what OpenWhisk takes for it.
func (p Parameters) isTrue(key string, otherwise bool) bool {
	value := p.Get(key)
	if value == nil {
		return otherwise
	}
	var v any
	if json.Unmarshal(value, &v) != nil {
		return true // a number that Go cannot hold is not 0
	}
	switch v := v.(type) {
	case nil:
		return false
	case bool:
		return v
	case float64:
		return v != 0
	case string:
		return v != ""
	}
	return true
}

// with returns p with key set to value.
func (p Parameters) with(key string, value json.RawMessage) Parameters {
	return append(p.without([]string{key}), Parameter{Key: key, Value: value})
}

// without returns p less those keys.
func (p Parameters) without(keys []string) Parameters {
	list := Parameters{}
	for _, param := range p {
		if !slices.Contains(keys, param.Key) {
			list = append(list, param)
		}
	}
	return list
}

// over returns p with what base has and p has not in front.
func (p Parameters) over(base Parameters) Parameters {
	list := Parameters{}
	for _, param := range base {
		if p.Get(param.Key) == nil {
			list = append(list, param)
		}
	}
	return append(list, p...)
}

// Common is what every entity has.
type Common struct {
	Namespace   string     `json:"namespace"` // with the package, if any
	Name        string     `json:"name"`
	Version     string     `json:"version"`
	Publish     bool       `json:"publish"`
	Annotations Parameters `json:"annotations"`
	Updated     int64      `json:"updated"` // milliseconds since 1970
}

// Put is what every PUT may carry.
type Put struct {
	Version     string     `json:"version"`
	Publish     *bool      `json:"publish"`
	Annotations Parameters `json:"annotations"`
	Parameters  Parameters `json:"parameters"`
}

// apply makes c what put asks for.
func (c *Common) apply(name Name, put Put) error {
	c.Namespace, c.Name = pathOf(name), name.Name
	next, err := nextVersion(c.Version, put.Version)
	if err != nil {
		return err
	}
	c.Version, c.Updated = next, time.Now().UnixMilli()
	if put.Publish != nil {
		c.Publish = *put.Publish
	}
	if put.Annotations != nil {
		c.Annotations = put.Annotations
	}
	if c.Annotations == nil {
		c.Annotations = Parameters{}
	}
	return nil
}

// nextVersion returns the wanted version, or the one after old: its last number
// counts the updates.
func nextVersion(old, wanted string) (string, error) {
	if wanted != "" {
		parts := strings.Split(wanted, ".")
		for _, part := range parts {
			if _, err := strconv.ParseUint(part, 10, 31); err != nil || len(parts) > 3 {
				return "", Malformed("the version %q is not like 1.2.3", wanted)
			}
		}
		return wanted + strings.Repeat(".0", 3-len(parts)), nil
	}
	if old == "" {
		return "0.0.1", nil
	}
	i := strings.LastIndexByte(old, '.')
	n, err := strconv.Atoi(old[i+1:])
	if err != nil {
		return "", fmt.Errorf("the stored version %q: %w", old, err)
	}
	return fmt.Sprintf("%s.%d", old[:i], n+1), nil
}

// Exec says what an action executes.
type Exec struct {
	Kind   string  `json:"kind"`
	Code   *string `json:"code,omitempty"` // never in the stored document
	Main   string  `json:"main,omitempty"`
	Binary bool    `json:"binary"`
	Image  string  `json:"image,omitempty"` // of kind "blackbox"
	// Components are the full names of a sequence's actions, "/namespace/package/name".
	Components []string `json:"components,omitempty"`
}

// kindSequence is the kind of an action that consists of others.
const kindSequence = "sequence"

// MarshalJSON shows of a sequence what it has: it is neither text nor binary.
func (e Exec) MarshalJSON() ([]byte, error) {
	if e.Kind == kindSequence {
		return store.Encode(map[string]any{"kind": e.Kind, "components": e.Components})
	}
	type plain Exec
	return store.Encode(plain(e))
}

// An Action is something that can be invoked.
type Action struct {
	Common
	Exec       Exec       `json:"exec"`
	Limits     bus.Limits `json:"limits"`
	Parameters Parameters `json:"parameters"`
}

// A Trigger is something that can be fired.
type Trigger struct {
	Common
	Parameters Parameters      `json:"parameters"`
	Limits     struct{}        `json:"limits"`
	Rules      map[string]Link `json:"rules,omitempty"` // computed; never in the stored document
}

// A Link is a rule as its trigger shows it.
type Link struct {
	Action Ref    `json:"action"`
	Status string `json:"status"`
}

// A Ref is an entity's name as rules show it.
type Ref struct {
	Path string `json:"path"` // namespace, and package if any
	Name string `json:"name"`
}

func refTo(n Name) Ref { return Ref{pathOf(n), n.Name} }

func (r Ref) name() Name {
	namespace, pkg, _ := strings.Cut(r.Path, "/")
	return Name{Namespace: namespace, Package: pkg, Name: r.Name}
}

// A Rule lets a trigger invoke an action.
type Rule struct {
	Common
	Status  string `json:"status"`
	Trigger Ref    `json:"trigger"`
	Action  Ref    `json:"action"`
}

// A rule's two states.
const (
	RuleActive   = "active"
	RuleInactive = "inactive"
)

// A Binding names the package that a package stands for; empty: it is none.
type Binding struct {
	Namespace string `json:"namespace,omitempty"`
	Name      string `json:"name,omitempty"`
}

func (b Binding) isNone() bool { return b == Binding{} }

func (b Binding) name() Name { return Name{Namespace: b.Namespace, Name: b.Name} }

// A Package holds actions, and parameters that they inherit. As a binding it
// stands for another one, with parameters of its own.
type Package struct {
	Common
	Parameters Parameters `json:"parameters"`
	Binding    Binding    `json:"binding"`
	Actions    []any      `json:"actions,omitempty"` // computed; never in the stored document
	Feeds      []any      `json:"feeds,omitempty"`
}

// An Entity is one of the four, with its place in the store.
type Entity[T any] struct {
	Doc T
	row store.Entity
}
