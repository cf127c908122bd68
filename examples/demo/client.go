package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"
)

// pollEvery is how often we look for an activation that outlasted its call.
const pollEvery = 300 * time.Millisecond

// pollGrace is what we grant beyond the function's own time limit: for the
// container's start and for writing the record.
const pollGrace = 30 * time.Second

// A client speaks OpenWhisk's REST API.
type client struct {
	props props
	http  http.Client
}

// create makes the action, or a new version of it.
func (c *client) create(ctx context.Context, name string, a action) error {
	status, body, err := c.do(ctx, http.MethodPut, "actions/"+name+"?overwrite=true", a)
	if err != nil {
		return err
	}
	if status != http.StatusOK {
		return refusal(status, body)
	}
	return nil
}

// invoke calls the action and waits for its record, at most limit and some
// grace: the platform answers a blocking call after a minute in any case.
func (c *client) invoke(ctx context.Context, name string, args any, limit time.Duration) (record, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, limit+pollGrace,
		fmt.Errorf("no answer %v after the function's time limit of %v", pollGrace, limit))
	defer cancel()
	status, body, err := c.do(ctx, http.MethodPost, "actions/"+name+"?blocking=true", args)
	if err != nil {
		return record{}, err
	}
	r, err := parseRecord(status, body)
	if err != nil || status != http.StatusAccepted {
		return r, err
	}
	return c.poll(ctx, r.ActivationID)
}

// poll waits until the activation is there.
func (c *client) poll(ctx context.Context, id string) (record, error) {
	ticker := time.NewTicker(pollEvery)
	defer ticker.Stop()
	for {
		status, body, err := c.do(ctx, http.MethodGet, "activations/"+id, nil)
		if err != nil {
			return record{}, err
		}
		if status != http.StatusNotFound {
			return parseRecord(status, body)
		}
		select {
		case <-ctx.Done():
			return record{}, context.Cause(ctx)
		case <-ticker.C:
		}
	}
}

// parseRecord reads an answer. 502 is a function that failed: it has a record too.
func parseRecord(status int, body []byte) (record, error) {
	var r record
	switch status {
	case http.StatusOK, http.StatusAccepted, http.StatusBadGateway:
		if err := json.Unmarshal(body, &r); err == nil && r.ActivationID != "" {
			return r, nil
		}
	}
	return r, refusal(status, body)
}

// refusal is the platform's error, in its own words where it gave some.
func refusal(status int, body []byte) error {
	var e struct {
		Error string `json:"error"`
	}
	if json.Unmarshal(body, &e) != nil || e.Error == "" {
		e.Error = string(body[:min(len(body), 500)])
	}
	return fmt.Errorf("the platform answered %d %s: %s", status, http.StatusText(status), e.Error)
}

func (c *client) do(ctx context.Context, method, path string, body any) (int, []byte, error) {
	payload, err := json.Marshal(body)
	if err != nil {
		return 0, nil, err
	}
	if body == nil {
		payload = nil
	}
	req, err := http.NewRequestWithContext(ctx, method, c.props.host+"/api/v1/namespaces/_/"+path, bytes.NewReader(payload))
	if err != nil {
		return 0, nil, err
	}
	req.SetBasicAuth(c.props.user, c.props.key)
	req.Header.Set("Content-Type", "application/json")
	res, err := c.http.Do(req)
	if err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return 0, nil, err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	return res.StatusCode, answer, err
}
