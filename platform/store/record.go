package store

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// How an activation ended, as a record's statusCode.
const (
	StatusSuccess          = 0
	StatusApplicationError = 1 // the action said so
	StatusDeveloperError   = 2 // the action failed without saying so
	StatusWhiskError       = 3 // the platform failed
)

var statusWords = [...]string{"success", "application error", "action developer error", "whisk internal error"}

// A Record is an activation in OpenWhisk's words. Times are milliseconds since
// 1970. Without End the record is a trigger's.
type Record struct {
	Annotations []Annotation `json:"annotations"`
	ID          string       `json:"activationId"`
	Cause       string       `json:"cause,omitempty"`
	Duration    *int64       `json:"duration,omitempty"`
	End         int64        `json:"end,omitempty"`
	Name        string       `json:"name"`
	Namespace   string       `json:"namespace"`
	Publish     bool         `json:"publish"`
	Start       int64        `json:"start"`
	Status      int          `json:"statusCode"`
	Subject     string       `json:"subject"`
	Version     string       `json:"version"`

	Path   string          `json:"-"` // "package/name" or "name"
	Result json.RawMessage `json:"-"` // valid JSON; never changed on the way
	Logs   []string        `json:"-"`
	Unkept bool            `json:"-"` // as of Activation
}

// An Annotation is something said of a record or an entity.
type Annotation struct {
	Key   string `json:"key"`
	Value any    `json:"value"`
}

// Encode returns the record in its parts.
func (r *Record) Encode() (*Activation, error) {
	head, err := r.head()
	if err != nil {
		return nil, fmt.Errorf("encoding an activation: %w", err)
	}
	logs := []byte("[]")
	if len(r.Logs) > 0 {
		if logs, err = Encode(r.Logs); err != nil {
			return nil, fmt.Errorf("encoding logs: %w", err)
		}
	}
	return &Activation{
		ID: r.ID, Namespace: r.Namespace, Path: r.Path, Start: r.Start, Status: r.Status,
		Head: head, Response: r.response(), Logs: logs, Unkept: r.Unkept,
	}, nil
}

func (r *Record) response() []byte {
	b := make([]byte, 0, len(r.Result)+64)
	b = append(b, `{"result":`...)
	b = append(b, r.Result...)
	b = append(b, `,"status":"`...)
	b = append(b, statusWords[r.Status]...)
	b = append(b, `","success":`...)
	if r.Status == StatusSuccess {
		return append(b, `true}`...)
	}
	return append(b, `false}`...)
}

// Document returns the whole record as JSON.
func (a *Activation) Document() []byte { return JoinRecord(a.Head, a.Response, a.Logs) }

// JoinRecord makes one JSON object of a record's parts.
func JoinRecord(head, response, logs []byte) []byte {
	b := make([]byte, 0, len(head)+len(response)+len(logs)+32)
	b = append(b, head[:len(head)-1]...)
	b = append(b, `,"logs":`...)
	b = append(b, logs...)
	b = append(b, `,"response":`...)
	b = append(b, response...)
	return append(b, '}')
}

// Encode returns v as JSON that keeps < > & as they are, without a newline.
func Encode(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
