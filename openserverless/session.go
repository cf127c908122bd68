package openserverless

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/whiskaway/whiskaway/function"
)

// A session is what one client holds: a lease on one function. Its Spec, which may
// be large, is in the session's file.
type session struct {
	actionID string   // how the client names itself
	hash     string   // how it names the code; may be empty
	fields   []member // what its /init said about the platform, for runs that do not
	id       function.ID
	lease    string
	bytes    int64 // of its file

	// These are the table's.
	used    time.Time
	running int
	gone    bool
}

// Names of fields.
const (
	fieldActionID = "proxiedActionID"
	fieldHash     = "actionCodeHash"
)

// platformFields are the fields of a /run that are the same for each run of a
// function. Some of their clients send none of them, but the environment of
// their /init has them all.
var platformFields = []string{"namespace", "action_name", "action_version", "api_key"}

// maxField bounds each of them, in bytes: they stay in memory.
const maxField = 1024

// fieldsOf returns the platform's fields that an /init's environment has.
func fieldsOf(env map[string]string) ([]member, error) {
	var fields []member
	for _, name := range platformFields {
		variable := "__OW_" + strings.ToUpper(name)
		value, ok := env[variable]
		if !ok {
			continue
		}
		if len(value) > maxField {
			return nil, function.Errorf(function.CodeBadRequest, "The variable %s has %d bytes, the limit is %d.", variable, len(value), maxField)
		}
		fields = append(fields, member{name: name, text: textField(name, value)})
	}
	return fields, nil
}

// A record is a session on disk.
type record struct {
	ActionID string            `json:"proxiedActionID"`
	Hash     string            `json:"actionCodeHash"`
	Spec     function.Spec     `json:"spec"`
	Fields   []json.RawMessage `json:"fields"` // objects of one field
}

func (s *session) record(spec function.Spec) record {
	r := record{ActionID: s.actionID, Hash: s.hash, Spec: spec}
	for _, f := range s.fields {
		r.Fields = append(r.Fields, compose([][]byte{f.text}))
	}
	return r
}

// session returns what the record describes, with a lease of its own.
func (r record) session() (*session, error) {
	s := &session{actionID: r.ActionID, hash: r.Hash, id: r.Spec.ID(), lease: function.NewLeaseID()}
	for _, text := range r.Fields {
		fields, err := members(text)
		if err != nil {
			return nil, err
		}
		s.fields = append(s.fields, fields...)
	}
	return s, checkNames(s.actionID, s.hash)
}
