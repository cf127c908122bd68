package controller

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/whiskaway/whiskaway/platform/store"
)

// table makes routes; each is "GET /base /path", and calls an action that is called so.
func table(t testing.TB, routes ...string) routeTable {
	t.Helper()
	docs := map[string]apiDoc{}
	for i, r := range routes {
		verb, rest, _ := strings.Cut(r, " ")
		base, path, _ := strings.Cut(rest, " ")
		if docs[base] == nil {
			docs[base] = newAPIDoc(base, "")
		}
		docs[base].add(NewRoute{Path: path, Verb: verb, Namespace: "_", Action: fmt.Sprint("a", i), ResponseType: "json"}, "http://h")
	}
	var apis []store.API
	for base, doc := range docs {
		data, err := doc.encode()
		if err != nil {
			t.Fatal(err)
		}
		apis = append(apis, store.API{Namespace: "guest", BasePath: base, Doc: data})
	}
	return newRouteTable("guest", apis, func(api store.API, err error) { t.Fatalf("%s: %v", api.Doc, err) })
}

func TestRouteTable(t *testing.T) {
	tbl := table(t, "GET / /", "GET / /{a}", "GET /x /{b}/{c}", "POST /x /y/{c}", "GET /x /{b}/z", "GET /x /y/z", "DELETE /x /{b}/{c}", "HEAD /x /y/z", "OPTIONS /o /")
	for _, c := range []struct {
		method, path string
		want         string // the action, or the status
		parameters   string
	}{
		{"GET", "/", "a0", ""},
		{"GET", "", "a0", ""},
		{"GET", "/one", "a1", "a=one"},
		{"GET", "/%7Bone%7D/", "a1", "a={one}"},
		{"GET", "/x/1/2", "a2", "b=1 c=2"},
		{"POST", "/x/y/2", "a3", "c=2"},
		{"GET", "/x/1/z", "a4", "b=1"},
		{"GET", "/x/y/z", "a5", ""},
		{"GET", "/x/y/2", "a2", "b=y c=2"},
		{"HEAD", "/x/y/z", "a7", ""},
		{"HEAD", "/x/1/2", "a2", "b=1 c=2"},
		{"DELETE", "/x/y/z", "a6", "b=y c=z"},
		{"OPTIONS", "/o", "a8", ""},
		{"OPTIONS", "/x/1/2", "", ""},
		{"PUT", "/x/1/2", "405", ""},
		{"GET", "/x/1/2/3", "404", ""},
		{"GET", "/x/%zz/2", "404", ""},
	} {
		route, err := tbl.find("guest", c.method, c.path)
		got, parameters := "", []string{}
		var refused *Error
		if errors.As(err, &refused) {
			got = fmt.Sprint(refused.Status)
		} else {
			got = route.Action.Name
			for _, p := range route.Parameters {
				parameters = append(parameters, p[0]+"="+p[1])
			}
		}
		if got != c.want || strings.Join(parameters, " ") != c.parameters {
			t.Errorf("%s %s: %s %v, want %s %s", c.method, c.path, got, parameters, c.want, c.parameters)
		}
	}
}

func TestOperationID(t *testing.T) {
	for path, want := range map[string]string{"/": "get", "/hello": "getHello", "/tenants/{id}/b-c": "getTenantsIdBC", "/ü": "get"} {
		if got := operationID("get", path); got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
}

// FuzzAPIDoc reads any document. Whatever is taken can be shown, changed, and asked for every path
// and method; what was added is found, and gone when it is removed.
func FuzzAPIDoc(f *testing.F) {
	for _, s := range []string{
		`{"basePath":"/a","info":{"title":"t"},"paths":{"/b/{c}":{"get":{"operationId":"x","x-openwhisk":{"namespace":"_","action":"w","url":"https://h/api/v1/web/_/default/w.json"}},"parameters":[]}}}`,
		`{"basePath":"/","info":{},"paths":{"/":{"get":7,"PUT":{}}},"x-ibm-configuration":{"assembly":{"execute":[{"operation-switch":{"case":[{"operations":["put"],"execute":[{"invoke":{"target-url":"/api/v1/web/a/b/c.http$(request.path)"}},{"set-variable":{"actions":[{"set":"message.headers.X-Require-Whisk-Auth","value":1}]}}]}]}}]}}}`,
		`{"basePath":7,"paths":[],"info":1}`, `{}`, `null`, `[]`, `{"basePath":"/a","info":{"title":7},"paths":{"x":{}}}`, `{"basePath":"/a","info":{},"paths":{"/x":null},"x-ibm-configuration":[]}`,
	} {
		f.Add(s, "/b/1", "/new/{x}", "PATCH")
	}
	f.Fuzz(func(t *testing.T, text, asked, added, verb string) {
		doc, err := parseAPIDoc([]byte(text))
		if err != nil || doc == nil || doc.check() != nil {
			return
		}
		usable := func() routeTable {
			data, err := doc.encode()
			if err != nil || !json.Valid(data) {
				t.Fatalf("%v %s", err, data)
			}
			return newRouteTable("guest", []store.API{{Doc: data}}, func(store.API, error) {})
		}
		for _, method := range apiVerbs {
			route, err := usable().find("guest", method, asked)
			if err == nil && route == nil {
				t.Errorf("neither a route nor an error")
			}
		}
		if checkPath(added) != nil || !slices.Contains(apiVerbs, verb) || strings.ContainsAny(added, "%") {
			return
		}
		doc.add(NewRoute{Path: added, Verb: verb, Namespace: "_", Action: "new", ResponseType: "text", Secret: "s"}, "http://h")
		route, err := usable().find("guest", verb, doc.basePath()+added)
		if err != nil || len(route.Verbs) == 0 || !slices.Contains(route.Verbs, verb) {
			t.Fatalf("%s %s was added and is not found: %+v %v", verb, added, route, err)
		}
		before := len(doc.operations())
		if err := doc.remove(added, verb); err != nil || len(doc.operations()) != before-1 {
			t.Fatalf("%s %s cannot be removed: %v", verb, added, err)
		}
		if err := doc.remove(added, verb); err == nil {
			t.Errorf("%s %s was removed twice", verb, added)
		}
	})
}

// What a namespace may write as its APIs makes requests to them neither slow nor large: each operation is looked up, not looked for.
func TestLargeAPIsAreReadInNoTime(t *testing.T) {
	const n = 5000
	paths, cases := map[string]any{}, []any{}
	for i := range n {
		id := fmt.Sprint("x", i)
		paths["/"+id] = map[string]any{"get": map[string]any{"operationId": id, "x-openwhisk": map[string]any{"namespace": "_", "action": "w"}}}
		cases = append(cases, map[string]any{"operations": []any{id}, "execute": []any{map[string]any{"invoke": map[string]any{"target-url": "/api/v1/web/a/b/c.text"}}}})
	}
	doc := newAPIDoc("/a", "")
	doc["paths"] = paths
	doc.setCases(cases)
	data, err := doc.encode()
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	table := newRouteTable("guest", []store.API{{Doc: data}}, func(_ store.API, err error) { t.Error(err) })
	if route, err := table.find("guest", "GET", "/a/x4999"); err != nil || route.Extension != "text" || len(table) != n {
		t.Errorf("%d routes: %+v, %v", len(table), route, err)
	}
	doc.keep("/x7", "")
	if ops := doc.operations(); len(ops) != 1 || len(doc.paths()) != 1 || len(doc.cases()) != 1 {
		t.Errorf("one path was to be left: %v", ops)
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it took %v", took)
	}
}
