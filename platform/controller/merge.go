package controller

import (
	"bytes"
	"encoding/json"

	"github.com/whiskaway/whiskaway/platform/store"
)

// CheckArgs returns a request's body as arguments: an object or an array, or an
// empty object for an empty body.
func CheckArgs(body []byte) (json.RawMessage, error) {
	body = bytes.TrimSpace(body)
	if len(body) == 0 {
		return json.RawMessage("{}"), nil
	}
	if !json.Valid(body) {
		return nil, Malformed("the body is not JSON")
	}
	if body[0] != '{' && body[0] != '[' {
		return nil, Malformed("Object expected; parameters are a JSON object or an array")
	}
	return body, nil
}

// merge returns args with the defaults that they do not override. The bytes of
// args are not touched, so that every number stays as it was written. An array
// overrides everything.
func merge(defaults Parameters, args json.RawMessage) (json.RawMessage, error) {
	if len(defaults) == 0 || args[0] != '{' {
		return args, nil
	}
	var given map[string]json.RawMessage
	if err := json.Unmarshal(args, &given); err != nil {
		return nil, Malformed("%v", err)
	}
	merged := make([]byte, 0, len(args)+256)
	merged = append(merged, '{')
	for _, p := range defaults {
		if _, overridden := given[p.Key]; overridden {
			continue
		}
		if len(merged) > 1 {
			merged = append(merged, ',')
		}
		key, err := store.Encode(p.Key)
		if err != nil {
			return nil, err
		}
		merged = append(append(append(merged, key...), ':'), p.Value...)
	}
	if len(merged) > 1 && len(given) > 0 {
		merged = append(merged, ',')
	}
	return append(merged, args[1:]...), nil
}
