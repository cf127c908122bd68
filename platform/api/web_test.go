package api

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

const webBody = `{"exec":{"kind":"python:3","code":"x"},"annotations":[{"key":"web-export","value":true}]}`

// Who waits too long for a web action gets the activation's id. The invoker is a fake that never
// tells the end.
func TestWebActionThatTakesTooLongWithAFakeInvoker(t *testing.T) {
	f := newFuzzedAPI(t)
	f.ask("PUT", prefix+"/namespaces/_/actions/slow", guest, []byte(webBody))
	f.silent.Store(true)
	f.api.webWait = time.Millisecond
	for _, accept := range []string{"", "text/event-stream"} {
		target := prefix + "/web/guest/default/slow?accept=" + accept
		rec := f.ask("GET", target, "", nil)
		if rec.Code != http.StatusAccepted || len(rec.Header().Get(headerActivation)) != 32 || !strings.Contains(rec.Body.String(), `"error":"Response not yet ready."`) {
			t.Errorf("%d %v %s", rec.Code, rec.Header(), rec.Body)
		}
	}
}
