package controller

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/whiskaway/whiskaway/platform/store"
)

// OpenWhisk's words for how a conductor's composition may end, and for what a
// conductor is told of a component that could not be invoked.
const (
	msgCompositionTooLong = "Too many actions in the composition."
	msgCompositionFailed  = "Activation failure during composition."
	msgCompositionLost    = "Timeout reached when retrieving activation %s during composition."
	msgComponentInvalid   = "Failed to parse action name from json value %s during composition."
	msgComponentMissing   = "Failed to resolve action with name '%s' during composition."
	msgComponentForbidden = "Failed entitlement check for action with name '%s' during composition."
)

// An account counts what a composition invokes, with all conductors in it: at most
// limit components, and 2 × limit + 1 times a conductor.
type account struct{ limit, components, conductors int }

// A conducting is where a conductor's composition stands. It decides and does
// nothing: each of its methods is told what happened and returns what is next.
type conducting struct {
	account *account
	state   json.RawMessage // an object, or nil
}

// A move is what a conductor's composition does next: one of three.
type move struct {
	conduct   json.RawMessage // invoke the conductor with these arguments
	component json.RawMessage // invoke the action that this names, with args
	args      json.RawMessage
	end       *outcome
}

// next invokes the conductor: at the beginning with the request's arguments, then
// with what a component answered.
func (k *conducting) next(payload json.RawMessage) move {
	if k.account.conductors > 2*k.account.limit {
		o := failure(store.StatusApplicationError, msgCompositionTooLong)
		return move{end: &o}
	}
	k.account.conductors++
	return move{conduct: withState(payload, k.state)}
}

// refused tells the conductor why a component was not invoked.
func (k *conducting) refused(why string) move { return k.next(errorObject(why)) }

// conducted takes what the conductor answered: the end, or the next component.
func (k *conducting) conducted(o outcome) move {
	say := members(o.result)
	params := boxed(say["params"], "value")
	k.state = boxed(say["state"], "state")
	component := say["action"]
	switch {
	case component == nil && params != nil:
		return move{end: &outcome{o.status, params}}
	case component == nil:
		return move{end: &o}
	case k.account.components >= k.account.limit:
		return k.refused(msgCompositionTooLong)
	}
	if params == nil {
		params = json.RawMessage("{}")
	}
	return move{component: component, args: params}
}

// componentName reads the name that a conductor gave; why says why it is none.
func (id Identity) componentName(value json.RawMessage) (name Name, why string) {
	var text string
	if value[0] == '"' && json.Unmarshal(value, &text) == nil {
		if name, err := id.reference(text); err == nil {
			return name, ""
		}
	}
	var compact bytes.Buffer
	if json.Compact(&compact, value) != nil {
		compact.Write(value)
	}
	return Name{}, fmt.Sprintf(msgComponentInvalid, compact.String())
}

// boxed returns an object as it is, and anything else as an object with that key.
func boxed(value json.RawMessage, key string) json.RawMessage {
	if value == nil || value[0] == '{' {
		return value
	}
	b := append(store.AppendString([]byte{'{'}, key), ':')
	return append(append(b, value...), '}')
}

// withState adds a conductor's state to what it is invoked with. The state wins. All
// values stay as they were written.
func withState(payload, state json.RawMessage) json.RawMessage {
	if state == nil {
		return payload
	}
	params, err := inOrder(boxed(payload, "value"))
	if err != nil { // cannot be: it was checked when it came
		return state
	}
	merged, err := merge(params, state)
	if err != nil { // cannot be either
		return state
	}
	return merged
}

// inOrder returns the members of an object as parameters in the order in which they
// were written. Of two with the same key the last one counts.
func inOrder(object json.RawMessage) (Parameters, error) {
	dec := json.NewDecoder(bytes.NewReader(object))
	if _, err := dec.Token(); err != nil {
		return nil, err
	}
	list, at := Parameters{}, map[string]int{}
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return nil, err
		}
		p := Parameter{Key: key.(string)}
		if err := dec.Decode(&p.Value); err != nil {
			return nil, err
		}
		if i, twice := at[p.Key]; twice {
			list[i] = p
			continue
		}
		at[p.Key] = len(list)
		list = append(list, p)
	}
	return list, nil
}
