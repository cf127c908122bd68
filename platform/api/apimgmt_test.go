package api

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// A request to one API of a namespace needs the documents of all; so these are bounded together.
func TestAlwaysTrue7ANamespacesAPIsAreBounded(t *testing.T) {
	f := newFuzzedAPI(t)
	f.ask("PUT", prefix+"/namespaces/_/actions/web", guest, []byte(webBody))
	put := func(basePath, more string) (int, string) {
		doc := fmt.Sprintf(`{"apidoc":{"namespace":"_","swagger":{"basePath":%q,"info":{"title":%[1]q},"x-more":%q,
			"paths":{"/x":{"get":{"x-openwhisk":{"namespace":"_","action":"web"}}}}}}}`, basePath, more)
		rec := f.ask("POST", prefix+"/web/whisk.system/apimgmt/createApi.http?accesstoken=x&spaceguid="+guest, guest, []byte(strings.ReplaceAll(doc, "\n", "")))
		return rec.Code, rec.Body.String()
	}
	big := strings.Repeat("x", 1_000_000)
	for i := range 8 {
		if code, body := put(fmt.Sprint("/", i), big); code != http.StatusOK {
			t.Fatalf("API %d: %d %.200s", i, code, body)
		}
	}
	if code, body := put("/8", big); code != http.StatusRequestEntityTooLarge || !strings.Contains(body, "APIs larger than allowed") {
		t.Errorf("one more: %d %.200s", code, body)
	}
	if code, body := put("/7", big); code != http.StatusOK {
		t.Errorf("the same again: %d %.200s", code, body)
	}
	if code, body := put("/9", ""); code != http.StatusOK {
		t.Errorf("a small one: %d %.200s", code, body)
	}
}
