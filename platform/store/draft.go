package store

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

// draft is a record that is not ended yet, with the parts that its JSON leaves out.
type draft struct {
	Record *Record
	Path   string
	Logs   []string `json:",omitempty"`
	Unkept bool     `json:",omitempty"`
}

// Draft returns the record, as far as it is known, as the body of an entry in the journal; see
// AcceptedRecord. Its result is left out.
func (r *Record) Draft() ([]byte, error) {
	body, err := Encode(draft{r, r.Path, r.Logs, r.Unkept})
	if err != nil {
		return nil, fmt.Errorf("encoding an activation: %w", err)
	}
	return body, nil
}

// ReadDraft returns the record of Draft.
func ReadDraft(body []byte) (*Record, error) {
	var d draft
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber() // every number of an annotation stays as it was written
	if err := dec.Decode(&d); err != nil {
		return nil, fmt.Errorf("the draft of a record: %w", err)
	}
	if d.Record == nil {
		return nil, errors.New("the draft of a record has none")
	}
	d.Record.Path, d.Record.Logs, d.Record.Unkept = d.Path, d.Logs, d.Unkept
	return d.Record, nil
}
