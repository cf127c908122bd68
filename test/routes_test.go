package test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
)

const apiPath = "/web/whisk.system/apimgmt/"

// A wskAPI is what wsk's Go client reads of one.
type wskAPI struct {
	Namespace string `json:"namespace"`
	BaseURL   string `json:"gwApiUrl"`
	Activated bool   `json:"gwApiActivated"`
	Tenant    string `json:"tenantId"`
	Swagger   *struct {
		Swagger, BasePath string
		Info              *struct{ Title, Version string }
		Paths             map[string]map[string]json.RawMessage
	} `json:"apidoc"`
}

type wskOperation struct {
	OperationID string `json:"operationId"`
	XOpenWhisk  *struct {
		Action, Namespace, Package string
		URL                        string `json:"url"`
	} `json:"x-openwhisk"`
}

// createAPI asks as wsk api create does.
func (s *standalone) createAPI(base, path, verb, name, responseType string, more string) (int, []byte) {
	s.t.Helper()
	body := fmt.Sprintf(`{"apidoc":{"namespace":"_","gatewayBasePath":%q,"gatewayPath":%q,"gatewayMethod":%q,"id":"API:_:x"%s,
		"action":{"name":%q,"namespace":"_","backendMethod":%q,"backendUrl":"%s/api/v1/web/_/default/%s.http","authkey":%q}}}`,
		base, path, verb, more, name, verb, s.api, name, s.auth)
	uuid, _, _ := strings.Cut(s.auth, ":")
	return s.call("POST", apiPath+"createApi.http?accesstoken=DUMMY+TOKEN&responsetype="+responseType+"&spaceguid="+uuid, body)
}

func (s *standalone) mustCreateAPI(base, path, verb, name, responseType string) wskAPI {
	s.t.Helper()
	status, b := s.createAPI(base, path, verb, name, responseType, "")
	var api wskAPI
	if err := json.Unmarshal(b, &api); err != nil || status != 200 || api.Swagger == nil {
		s.t.Fatalf("creating %s%s: %d %s", base, path, status, b)
	}
	return api
}

// listAPIs asks as wsk api list does; each line is "GET /base/path /namespace/action.type".
func (s *standalone) listAPIs(query string) []string {
	s.t.Helper()
	var answer struct {
		Apis []struct{ Value wskAPI }
	}
	s.ask(200, "GET", apiPath+"getApi.http?"+query, "", &answer)
	var lines []string
	for _, a := range answer.Apis {
		for path, verbs := range a.Value.Swagger.Paths {
			for verb, fields := range verbs {
				if verb == "parameters" {
					continue
				}
				var o wskOperation
				if err := json.Unmarshal(fields, &o); err != nil || o.OperationID == "" {
					s.t.Errorf("wsk refuses %s: %v", fields, err)
				}
				if o.XOpenWhisk == nil {
					lines = append(lines, strings.ToUpper(verb)+" "+a.Value.Swagger.BasePath+path)
					continue
				}
				lines = append(lines, fmt.Sprintf("%s %s%s /%s/%s.%s", strings.ToUpper(verb), a.Value.Swagger.BasePath, path,
					o.XOpenWhisk.Namespace, o.XOpenWhisk.Action, o.XOpenWhisk.URL[strings.LastIndex(o.XOpenWhisk.URL, ".")+1:]))
			}
		}
	}
	slices.Sort(lines)
	return lines
}

func TestRoutesAsWskMakesThem(t *testing.T) {
	t.Parallel()
	s := startStandalone(t, t.TempDir())
	s.putWeb()
	s.put("books", action{kind: "nodejs:20", annotations: isWeb, code: "function main(a) { return { books: [a.isbn || 'all'], how: a.__ow_method, path: a.__ow_path } }"})
	api := s.mustCreateAPI("/club", "/books", "GET", "books", "json")
	if api.BaseURL != s.api+"/api/guest/club" || !api.Activated || api.Swagger.BasePath != "/club" || api.Swagger.Info.Title != "/club" || api.Swagger.Swagger != "2.0" {
		t.Errorf("created: %+v %+v", api, api.Swagger)
	}
	s.mustCreateAPI("/club", "/books/{isbn}", "GET", "books", "json")
	s.mustCreateAPI("/club", "/books/{isbn}", "DELETE", "books", "json")
	s.mustCreateAPI("/club", "/books/new", "GET", "echo", "http")
	s.mustCreateAPI("/club", "/books", "POST", "echo-js", "http")
	s.mustCreateAPI("/", "/page/{name}", "GET", "echo", "http")
	s.put("text", action{kind: "python:3", annotations: isWeb, code: "def main(args):\n    return {'text': 'said', 'html': '<b>', 'svg': '<svg/>'}\n"})
	for _, kind := range []string{"text", "html", "svg"} {
		s.mustCreateAPI("/as", "/"+kind, "GET", "text", kind)
	}
	for _, c := range []struct {
		method, path, body string
		status             int
		contentType, want  string
	}{
		{"GET", "/club/books", "", 200, "application/json", `{"books":["all"],"how":"get","path":""}`},
		{"GET", "/club/books/", "", 200, "application/json", `{"books":["all"],"how":"get","path":""}`},
		{"GET", "/club/books?isbn=7", "", 200, "application/json", `{"books":["7"],"how":"get","path":""}`},
		{"GET", "/club/books/a%2Fb%20c?isbn=query", "", 200, "application/json", `{"books":["a/b c"],"how":"get","path":""}`},
		{"DELETE", "/club/books/7", "", 200, "application/json", `{"books":["7"],"how":"delete","path":""}`},
		{"GET", "/as/text", "", 200, textType, "said"},
		{"GET", "/as/html", "", 200, htmlType, "<b>"},
		{"GET", "/as/svg", "", 200, "image/svg+xml", "<svg/>"},
		{"PUT", "/club/books/7", "", 405, "application/json", "HTTP method not allowed, supported methods: DELETE, GET"},
		{"PUT", "/club/books/new", "", 405, "application/json", "HTTP method not allowed, supported methods: DELETE, GET"},
		{"GET", "/club/nothing", "", 404, "application/json", "No API of namespace 'guest' has the path '/club/nothing'."},
		{"GET", "/club", "", 404, "application/json", "No API of namespace 'guest' has the path '/club'."},
		{"GET", "/club/books/7/8", "", 404, "application/json", "No API of namespace 'guest' has the path '/club/books/7/8'."},
		{"GET", "", "", 404, "application/json", "No API of namespace 'guest' has the path '/'."},
	} {
		got := s.visit(c.method, "/api/guest"+c.path, c.body)
		body := got.body
		if c.status >= 400 {
			body = got.failure(t)
		}
		if got.status != c.status || got.header.Get("Content-Type") != c.contentType || !sameJSON(body, c.want) {
			t.Errorf("%s %s: %d %q %q, want %d %q", c.method, c.path, got.status, got.header.Get("Content-Type"), body, c.status, c.want)
		}
	}
	// The path reaches who asks for all of HTTP; of two routes the plainer one counts.
	if args := s.visit("GET", "/api/guest/club/books/new?q=1", "").args(t); args["__ow_path"] != "/club/books/new" || args["q"] != "1" || args["isbn"] != nil {
		t.Errorf("%v", args)
	}
	if args := s.visit("GET", "/api/guest/page/Ada%20L", "").args(t); args["name"] != "Ada L" || args["__ow_path"] != "/page/Ada%20L" {
		t.Errorf("%v", args)
	}
	if args := s.visit("POST", "/api/guest/club/books", `{"title":"x"}`, "Content-Type", "application/json").args(t); args["title"] != "x" || args["__ow_method"] != "post" {
		t.Errorf("%v", args)
	}
	if got := s.visit("HEAD", "/api/guest/club/books", ""); got.status != 200 || got.header.Get("X-Openwhisk-Activation-Id") == "" {
		t.Errorf("HEAD: %+v", got)
	}
	pre := s.visit("OPTIONS", "/api/guest/club/books/7", "", "Access-Control-Request-Headers", "x-mine")
	if pre.status != 200 || pre.header.Get("Access-Control-Allow-Methods") != "DELETE, GET" || pre.header.Get("Access-Control-Allow-Headers") != "x-mine" {
		t.Errorf("preflight: %+v", pre)
	}
	if got := s.visit("PUT", "/api/guest/club/books", ""); got.header.Get("Allow") != "GET, POST" {
		t.Errorf("405 allows %q", got.header.Get("Allow"))
	}

	// list, by all that wsk can ask for
	for query, want := range map[string]string{
		"":                                "9",
		"limit=1&skip=1":                  "3",
		"limit=0&skip=0":                  "9",
		"skip=9":                          "0",
		"basepath=/club":                  "5",
		"basepath=club":                   "0",
		"basepath=/as&relpath=/html":      "GET /as/html /guest/text.html",
		"basepath=/club&operation=DELETE": "DELETE /club/books/{isbn} /guest/books.json",
		"basepath=/club&relpath=/books&operation=post": "POST /club/books /guest/echo-js.http",
		"basepath=/nobody": "0",
		"relpath=/nobody":  "0",
	} {
		lines := s.listAPIs(query)
		if got := strings.Join(lines, "\n"); got != want && fmt.Sprint(len(lines)) != want {
			t.Errorf("%s: %d\n%s\nwant %s", query, len(lines), got, want)
		}
	}
	// delete, from the smallest part to the whole
	del := func(status int, query, want string) {
		t.Helper()
		var failure struct{ Error string }
		s.ask(status, "DELETE", apiPath+"deleteApi.http?force=true&"+query, "", &failure)
		if failure.Error != want {
			t.Errorf("%s: %q, want %q", query, failure.Error, want)
		}
	}
	del(502, "basepath=/nobody", "API deletion failure: API '/nobody' does not exist.")
	del(502, "", "basepath is required.")
	del(502, "basepath=/club&operation=get", "When specifying an operation, the path is required.")
	del(502, "basepath=/club&relpath=/nobody", "API deletion failure: path '/nobody' does not exist in the API")
	del(502, "basepath=/club&relpath=/books&operation=PATCH", "API deletion failure: path '/books' with operation 'patch' does not exist in the API")
	del(200, "basepath=/club&relpath=/books&operation=POST", "")
	del(200, "basepath=/club&relpath=/books/%7Bisbn%7D", "")
	if got := strings.Join(s.listAPIs("basepath=/club"), "; "); got != "GET /club/books /guest/books.json; GET /club/books/new /guest/echo.http" {
		t.Errorf("what is left: %s", got)
	}
	if got := s.visit("GET", "/api/guest/club/books/7", ""); got.status != 404 {
		t.Errorf("a removed route: %d", got.status)
	}
	del(200, "basepath=/club&relpath=/books", "")
	del(200, "basepath=/club&relpath=/books/new", "")
	del(502, "basepath=/club", "API deletion failure: API '/club' does not exist.")
	del(200, "basepath=/as", "")
	if got := s.listAPIs(""); len(got) != 1 {
		t.Errorf("what is left: %v", got)
	}
}

// What is no route, whose routes they are, and many at once.
func TestRoutesAreKept(t *testing.T) {
	t.Parallel()
	s := startStandalone(t, t.TempDir())
	s.putWeb()
	t.Run("bad", func(t *testing.T) { testRoutesBadRequests(t, s) })
	t.Run("key", func(t *testing.T) { testRoutesNeedTheKey(t, s) })
	t.Run("at once", func(t *testing.T) { testRoutesMadeAtOnce(t, s) })
}

// Who deploys many routes at once finds them all.
func testRoutesMadeAtOnce(t *testing.T, s *standalone) {
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() {
			if status, b := s.createAPI("/many", fmt.Sprint("/", i), "GET", "echo", "http", ""); status != 200 {
				t.Errorf("%d %s", status, b)
			}
		})
	}
	all.Wait()
	if got := s.listAPIs("basepath=/many"); len(got) != 20 {
		t.Errorf("%d: %v", len(got), got)
	}
}

// Routes belong to who shows the key, whatever else is said.
func testRoutesNeedTheKey(t *testing.T, s *standalone) {
	s.mustCreateAPI("/a", "/b", "GET", "echo", "http")
	uuid, _, _ := strings.Cut(s.auth, ":")
	for _, name := range []string{"getApi", "createApi.http", "deleteApi?basepath=/a"} {
		for _, auth := range []string{"", "Basic bm9ib2R5Ong=", "Bearer x"} {
			sep := "?"
			if strings.Contains(name, "?") {
				sep = "&"
			}
			var headers []string
			if auth != "" {
				headers = []string{"Authorization", auth}
			}
			got := s.web("POST", "/whisk.system/apimgmt/"+name+sep+"accesstoken=x&spaceguid="+uuid+"&namespace=guest&__ow_user=guest", "{}", headers...)
			if got.status != 401 {
				t.Errorf("%s with %q: %d %s", name, auth, got.status, got.body)
			}
		}
		got := s.web("POST", "/whisk.system/apimgmt/"+strings.Replace(name, "?", "?spaceguid=another&", 1), `{"spaceguid":"another"}`, "Authorization", s.basic(), "Content-Type", "application/json")
		if got.status != 403 || got.failure(t) != "The spaceguid 'another' is not that of the supplied authentication." {
			t.Errorf("another's space: %d %s", got.status, got.body)
		}
	}
	if got := s.web("OPTIONS", "/whisk.system/apimgmt/getApi", ""); got.status != 200 {
		t.Errorf("OPTIONS: %d", got.status)
	}
	if got := s.web("GET", "/whisk.system/apimgmt/other", "", "Authorization", s.basic()); got.status != 404 {
		t.Errorf("other: %d", got.status)
	}
	if got := s.listAPIs(""); len(got) != 1 {
		t.Errorf("%v", got)
	}
}

// What cannot be a route is refused in words, and changes nothing.
func testRoutesBadRequests(t *testing.T, s *standalone) {
	for _, c := range []struct{ base, path, verb, name, responseType, more, want string }{
		{"", "/x", "GET", "echo", "json", "", "apidoc is missing the gatewayBasePath field"},
		{"/x", "", "GET", "echo", "json", "", "apidoc is missing the gatewayPath field"},
		{"/x", "/y", "", "echo", "json", "", "apidoc is missing the gatewayMethod field"},
		{"/x", "/y", "GET", "", "json", "", "action is missing the name field."},
		{"/x", "/y", "FETCH", "echo", "json", "", "API creation failure: 'FETCH' is not a valid API verb.  Valid values are: GET, PUT, POST, DELETE, PATCH, HEAD, OPTIONS"},
		{"/x", "/y", "GET", "echo", "xml", "", "API creation failure: 'xml' is not a valid response type. Valid values are: html, http, json, svg, text"},
		{"/x", "y", "GET", "echo", "json", "", "API creation failure: 'y' must begin with '/'"},
		{"x", "/y", "GET", "echo", "json", "", "API creation failure: 'x' must begin with '/', or be the name of an API that exists"},
		{"/x/{id}", "/y", "GET", "echo", "json", "", "The base path (/x/{id}) cannot have parameters. Only the relative path supports path parameters."},
		{"/x", "/y{id}", "GET", "echo", "json", "", "'/y{id}' is no path of a URL: a parameter is a whole part of it, /{name}/"},
		{"/x", "/y/../z", "GET", "echo", "json", "", "'/y/../z' is no path of a URL"},
		{"/x", "/y?a=b", "GET", "echo", "json", "", "'/y?a=b' is no path of a URL"},
		{"/x", "/y", "GET", "private", "json", "", "Action '/guest/private' does not exist, or is not a web action. Make it one with: wsk action update \"/guest/private\" --web true"},
		{"/x", "/y", "GET", "pkg/nobody", "json", "", "Action '/guest/pkg/nobody' does not exist, or is not a web action."},
		{"/x", "/y", "GET", "echo", "json", `,"swagger":{"a":1}`, "swagger and gatewayBasePath are mutually exclusive and cannot be specified together."},
	} {
		status, b := s.createAPI(c.base, c.path, c.verb, c.name, c.responseType, c.more)
		var failure struct{ Error string }
		if json.Unmarshal(b, &failure) != nil || status != 502 || !strings.Contains(failure.Error, c.want) {
			t.Errorf("%+v: %d %s", c, status, b)
		}
	}
	const info = `"info":{"title":"x","version":"1"}`
	for swagger, want := range map[string]string{
		`"no json"`:                                "swagger field cannot be parsed. Ensure it is valid JSON",
		`[1]`:                                      "swagger field cannot be parsed. Ensure it is valid JSON",
		`{"paths":{},` + info + `}`:                "swagger is missing the basePath field.",
		`{"basePath":"/x",` + info + `}`:           "swagger is missing the paths field.",
		`{"basePath":"/x","paths":{}}`:             "swagger is missing the info field.",
		`{"basePath":"x","paths":{},` + info + `}`: "'x' must begin with '/'",
		`{"basePath":"/x","paths":{"/y":{"get":{}}},` + info + `}`:                                                                              "operation 'get' of path '/y' has no 'x-openwhisk' with the namespace and the action that it calls",
		`{"basePath":"/x","paths":{"/y":{"get":{"x-openwhisk":{"namespace":"_","action":"private"}}}},` + info + `}`:                            "Action '/guest/private' does not exist, or is not a web action.",
		`{"basePath":"/x","paths":{"/y":{"get":{"x-openwhisk":{"namespace":"_","action":"echo"}}}},"security":[{"client_id":[]}],` + info + `}`: "'security' is not supported",
	} {
		var failure struct{ Error string }
		s.ask(502, "POST", apiPath+"createApi", `{"apidoc":{"namespace":"_","swagger":`+swagger+`}}`, &failure)
		if !strings.Contains(failure.Error, want) {
			t.Errorf("%s: %q, want %q", swagger, failure.Error, want)
		}
	}
	for body, want := range map[string]string{
		`{}`:                       "apidoc is required.",
		`{"apidoc":"{"}`:           "apidoc field cannot be parsed. Ensure it is valid JSON.",
		`{"apidoc":7}`:             "apidoc: it must be an object, not a JSON number",
		`{"apidoc":{"apiName":7}}`: "apidoc: 'apiName' must not be a JSON number",
		`{"apidoc":{"a":1}}`:       "apidoc is missing the namespace field",
		`{"apidoc":{"namespace":"_","gatewayBasePath":"/x","gatewayPath":"/y","gatewayMethod":"get"}}`: "apidoc is missing the action field.",
	} {
		var failure struct{ Error string }
		s.ask(502, "POST", apiPath+"createApi", body, &failure)
		if failure.Error != want {
			t.Errorf("%s: %q, want %q", body, failure.Error, want)
		}
	}
	if got := s.listAPIs(""); len(got) != 0 {
		t.Errorf("%v", got)
	}
}

// A Swagger document is an API, also as it was exported; what it says besides stays in it.
func TestRoutesFromSwagger(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := startStandalone(t, dir)
	s.putWeb()
	s.put("secret", action{kind: "python:3", code: webEcho, annotations: `[{"key":"web-export","value":true},{"key":"require-whisk-auth","value":"open sesame"}]`})
	swagger := `{"swagger":"2.0","info":{"title":"Shop","version":"2.5","x-n":12345678901234567890},"basePath":"/shop","x-mine":[1.50],"paths":{
		"/items/{id}":{"parameters":[{"name":"id","in":"path"}],"get":{"operationId":"one","x-openwhisk":{"namespace":"_","package":"default","action":"echo","url":"https://elsewhere/api/v1/web/guest/default/echo.http"}},
			"put":{"x-openwhisk":{"url":"https://elsewhere/api/v1/web/guest/default/secret.http"}}},
		"/plain":{"get":{"operationId":"plain"}}},
		"x-ibm-configuration":{"cors":{"enabled":false},"assembly":{"execute":[{"operation-switch":{"case":[
			{"operations":["plain"],"execute":[{"invoke":{"target-url":"https://elsewhere/api/v1/web/guest/default/plain.json"}}]},
			{"operations":["putItemsId"],"execute":[{"invoke":{"target-url":"x"}},{"set-variable":{"actions":[{"set":"message.headers.X-Require-Whisk-Auth","value":"open sesame"}]}}]}]}}]}}}`
	quoted, _ := json.Marshal(swagger)
	for _, document := range []string{swagger, string(quoted)} { // as the SDK sends it, and as wsk does
		var api wskAPI
		s.ask(200, "POST", apiPath+"createApi.http", `{"apidoc":{"namespace":"guest","swagger":`+document+`}}`, &api)
		if api.BaseURL != s.api+"/api/guest/shop" {
			t.Errorf("%+v", api)
		}
	}
	check := func() {
		t.Helper()
		if args := s.visit("GET", "/api/guest/shop/items/7", "").args(t); args["id"] != "7" {
			t.Errorf("%v", args)
		}
		if args := s.visit("PUT", "/api/guest/shop/items/8", "").args(t); args["id"] != "8" { // the gateway knows the word
			t.Errorf("%v", args)
		}
		if got := s.visit("GET", "/api/guest/shop/plain?a=1", ""); got.status != 200 || !strings.Contains(got.body, `"a"`) || got.header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%+v", got)
		}
		if got := s.visit("OPTIONS", "/api/guest/shop/plain", ""); got.status != 405 {
			t.Errorf("OPTIONS: %d", got.status)
		}
	}
	check()
	_, b := s.call("GET", apiPath+"getApi?basepath=Shop", "")
	for _, want := range []string{`"x-n":12345678901234567890`, `"x-mine":[1.50]`, `"version":"2.5"`, `"parameters":[{"in":"path","name":"id"}]`} {
		if !strings.Contains(string(b), want) {
			t.Errorf("the exported document lacks %s: %s", want, b)
		}
	}
	// What was exported can be put back, under another base path.
	var list struct {
		Apis []struct {
			Value struct{ Apidoc json.RawMessage }
		}
	}
	if err := json.Unmarshal(b, &list); err != nil {
		t.Fatal(err)
	}
	again := strings.Replace(string(list.Apis[0].Value.Apidoc), `"/shop"`, `"/shop2"`, 1)
	s.ask(200, "POST", apiPath+"createApi", `{"apidoc":{"namespace":"_","swagger":`+again+`}}`, nil)
	if args := s.visit("GET", "/api/guest/shop2/items/9", "").args(t); args["id"] != "9" {
		t.Errorf("%v", args)
	}
	var failure struct{ Error string }
	s.ask(502, "DELETE", apiPath+"deleteApi?basepath=Shop", "", &failure)
	if !strings.Contains(failure.Error, "Several APIs have the name 'Shop'") {
		t.Errorf("%q", failure.Error)
	}
	s.ask(200, "DELETE", apiPath+"deleteApi?basepath=/shop2", "", nil)
	s.mustCreateAPI("Shop", "/more", "GET", "echo", "http") // by the API's name
	if got := s.listAPIs("basepath=/shop"); len(got) != 4 {
		t.Errorf("%v", got)
	}
	// An action that is gone, or no web action any more, is not reached.
	s.ask(200, "DELETE", restNS+"actions/plain", "", nil)
	if got := s.visit("GET", "/api/guest/shop/plain", ""); got.status != 404 {
		t.Errorf("%d %s", got.status, got.body)
	}
	s.mustCreateAPI("/shop", "/late", "GET", "echo", "http") // the others' troubles are not this one's
	s.put("plain", action{kind: "python:3", code: webPlain, annotations: isWeb})
	// They outlive the platform.
	s.stop()
	s = startStandalone(t, dir)
	check()
	if got := s.visit("GET", "/api/guest/shop/more?"+url.Values{"a": {"b"}}.Encode(), "").args(t); got["a"] != "b" {
		t.Errorf("%v", got)
	}
}
