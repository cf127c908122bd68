package invoker

import (
	"encoding/json"
	"strconv"
	"time"

	"github.com/whiskaway/whiskaway/platform/bus"
	"github.com/whiskaway/whiskaway/platform/store"
)

// initBody returns what is posted to /init.
func initBody(run *bus.Run, code string, deadline time.Time) ([]byte, error) {
	a := &run.Action
	env := make(map[string]string, len(a.Env)+8)
	for name, value := range a.Env {
		env[name] = value
	}
	env["__OW_NAMESPACE"] = run.Namespace
	env["__OW_ACTION_NAME"] = a.FullName()
	env["__OW_ACTION_VERSION"] = a.Version
	env["__OW_ACTIVATION_ID"] = run.ActivationID
	env["__OW_TRANSACTION_ID"] = run.Transaction
	env["__OW_DEADLINE"] = strconv.FormatInt(deadline.UnixMilli(), 10)
	if run.APIKey != "" {
		env["__OW_API_KEY"] = run.APIKey
	}
	value := map[string]any{"name": a.Name, "main": a.Main, "code": code, "binary": a.Binary, "env": env}
	if a.Image != "" && code == "" {
		delete(value, "code") // the image is all there is
	}
	return store.Encode(map[string]any{"value": value})
}

// runBody returns what is posted to /run, in three parts; the middle one is the
// arguments, untouched.
func runBody(run *bus.Run, deadline time.Time) [][]byte {
	b := make([]byte, 0, 512)
	b = appendField(b, `,"namespace":`, run.Namespace)
	b = appendField(b, `,"action_name":`, run.Action.FullName())
	b = appendField(b, `,"action_version":`, run.Action.Version)
	b = appendField(b, `,"activation_id":`, run.ActivationID)
	b = appendField(b, `,"transaction_id":`, run.Transaction)
	b = appendField(b, `,"deadline":`, strconv.FormatInt(deadline.UnixMilli(), 10))
	if run.APIKey != "" {
		b = appendField(b, `,"api_key":`, run.APIKey)
	}
	return [][]byte{[]byte(`{"value":`), run.Args, append(b, '}')}
}

func appendField(b []byte, name, value string) []byte {
	b = append(b, name...)
	for i := range len(value) {
		if c := value[i]; c < ' ' || c == '"' || c == '\\' || c >= 0x7f {
			quoted, err := json.Marshal(value)
			if err != nil { // cannot be: any string can be encoded
				quoted = []byte(`""`)
			}
			return append(b, quoted...)
		}
	}
	b = append(b, '"')
	b = append(b, value...)
	return append(b, '"')
}
