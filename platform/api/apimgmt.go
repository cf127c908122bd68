package api

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"

	"github.com/whiskaway/whiskaway/platform/controller"
)

// Clients manage API routes through web actions of OpenWhisk's system namespace. These are not
// actions here: they are answered as OpenWhisk's would.
const (
	systemNamespace = "whisk.system"
	apiPackage      = "apimgmt"
)

// manageAPIs answers a call of one of these web actions. The key that came with it says whose the
// APIs are, and nothing else does.
func (a *API) manageAPIs(q *request, action string) error {
	manage := map[string]func(*API, *request, apiParameters) (any, error){
		"createApi": (*API).createAPI, "getApi": (*API).getAPI, "deleteApi": (*API).deleteAPI,
	}[action]
	if manage == nil {
		return notFound()
	}
	allowOrigins(q, webMethods)
	if q.Method == http.MethodOptions {
		writeWeb(q.w, &webAnswer{status: http.StatusOK})
		return nil
	}
	if err := a.identify(q); err != nil {
		return err
	}
	if q.by.Namespace == "" {
		return errUnauthorized
	}
	p, err := q.apiParameters(a.controller.Limits().Payload)
	if err != nil {
		return err
	}
	answer, err := manage(a, q, p)
	if err != nil {
		return err
	}
	reply{http.StatusOK, answer}.write(q.w)
	return nil
}

// apiParameters are what the clients send, in the query or in the body.
type apiParameters struct {
	fields map[string]json.RawMessage
	q      *request
}

func (q *request) apiParameters(limit int64) (p apiParameters, err error) {
	p.q = q
	if err := q.decode(&p.fields, limit); err != nil {
		return p, err
	}
	// The space is the first half of the key. Who names another one's means other APIs than
	// this key's.
	uuid, _, _ := strings.Cut(q.by.Key, ":")
	if space := p.get("spaceguid"); space != "" && space != uuid {
		return p, controller.Refuse(http.StatusForbidden, "The spaceguid '%s' is not that of the supplied authentication.", space)
	}
	return p, nil
}

// get returns a text; the body's counts before the query's.
func (p apiParameters) get(name string) string {
	if text, ok := textOf(p.fields[name]); ok {
		return text
	}
	return p.q.query.Get(name)
}

func (p apiParameters) filter() controller.APIFilter {
	return controller.APIFilter{API: p.get("basepath"), Path: p.get("relpath"), Verb: p.get("operation")}
}

// An apiItem is an API as the clients show it.
type apiItem struct {
	ID    string   `json:"id"`
	Key   string   `json:"key"`
	Value apiValue `json:"value"`
}

type apiValue struct {
	Namespace string         `json:"namespace"`
	Activated bool           `json:"gwApiActivated"`
	Tenant    string         `json:"tenantId"`
	URL       string         `json:"gwApiUrl"`
	Doc       map[string]any `json:"apidoc"`
}

func (q *request) apiValue(api controller.API) apiValue {
	return apiValue{
		Namespace: q.by.Namespace, Activated: true, Tenant: q.by.Namespace,
		URL: gatewayURL(q.origin(), q.by.Namespace, api.BasePath), Doc: api.Doc,
	}
}

func (a *API) getAPI(q *request, p apiParameters) (any, error) {
	apis, err := a.controller.APIs(q.Context(), q.by, p.filter())
	if err != nil {
		return nil, err
	}
	skip, err := p.number("skip", 0)
	if err != nil {
		return nil, err
	}
	limit, err := p.number("limit", 0)
	if err != nil {
		return nil, err
	}
	apis = apis[min(skip, len(apis)):]
	if limit > 0 && limit < len(apis) {
		apis = apis[:limit]
	}
	list := make([]apiItem, 0, len(apis))
	for _, api := range apis {
		id := "API:" + q.by.Namespace + ":" + api.BasePath
		list = append(list, apiItem{id, id, q.apiValue(api)})
	}
	return map[string]any{"apis": list}, nil
}

// number reads a number that is not negative.
func (p apiParameters) number(name string, otherwise int) (int, error) {
	text := p.get(name)
	if text == "" {
		return otherwise, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		return 0, malformedQuery(name, "The value '%s' is not an integer for apis.", text)
	}
	return n, nil
}

func (a *API) deleteAPI(q *request, p apiParameters) (any, error) {
	f := p.filter()
	switch {
	case f.API == "":
		return nil, apiRefusal("basepath is required.")
	case f.Path == "" && f.Verb != "":
		return nil, apiRefusal("When specifying an operation, the path is required.")
	}
	return map[string]any{}, because("API deletion failure: ", a.controller.DeleteAPI(q.Context(), q.by, f))
}

// apiRefusal is a refusal as OpenWhisk's actions make it.
func apiRefusal(format string, args ...any) error {
	return controller.Refuse(http.StatusBadGateway, format, args...)
}

// because puts words before those of a refusal.
func because(words string, err error) error {
	if refused, ok := err.(*controller.Error); ok && refused.Status == http.StatusBadGateway {
		return apiRefusal("%s%s", words, refused.Message)
	}
	return err
}

// An apiDescription is the member apidoc of a creation.
type apiDescription struct {
	Namespace  string          `json:"namespace"`
	Name       string          `json:"apiName"`
	BasePath   string          `json:"gatewayBasePath"`
	Path       string          `json:"gatewayPath"`
	Method     string          `json:"gatewayMethod"`
	Parameters any             `json:"pathParameters"`
	Swagger    json.RawMessage `json:"swagger"`
	Action     *struct {
		Name      string          `json:"name"`
		Namespace string          `json:"namespace"`
		Secret    json.RawMessage `json:"secureKey"`
	} `json:"action"`
}

func (a *API) createAPI(q *request, p apiParameters) (any, error) {
	d, err := p.description()
	if err != nil {
		return nil, err
	}
	var api controller.API
	if swagger := objectOf(d.Swagger); swagger != nil {
		api, err = a.controller.PutAPI(q.Context(), q.by, swagger)
	} else {
		api, err = a.controller.AddRoute(q.Context(), q.by, d.route(p.get("responsetype")), q.origin())
	}
	if err != nil {
		return nil, because("API creation failure: ", err)
	}
	return q.apiValue(api), nil
}

// objectOf returns JSON, which may be given as a text; nil: there is none.
func objectOf(value json.RawMessage) json.RawMessage {
	if isNull(value) {
		return nil
	}
	if text, ok := textOf(value); ok {
		if text == "" {
			return nil
		}
		return json.RawMessage(text)
	}
	return value
}

// description reads and checks the member apidoc, in OpenWhisk's words.
func (p apiParameters) description() (d apiDescription, err error) {
	value := p.fields["apidoc"]
	if text := p.q.query.Get("apidoc"); value == nil && text != "" {
		value = json.RawMessage(text)
	}
	value = objectOf(value)
	switch {
	case value == nil:
		return d, apiRefusal("apidoc is required.")
	case !json.Valid(value):
		return d, apiRefusal("apidoc field cannot be parsed. Ensure it is valid JSON.")
	}
	if err := json.Unmarshal(value, &d); err != nil {
		return d, apiRefusal("apidoc: %s", strings.Replace(jsonProblem(err), "the body", "it", 1))
	}
	return d, d.check()
}

func (d *apiDescription) check() error {
	hasSwagger := objectOf(d.Swagger) != nil
	switch {
	case d.Namespace == "":
		return apiRefusal("apidoc is missing the namespace field")
	case hasSwagger && d.BasePath != "":
		return apiRefusal("swagger and gatewayBasePath are mutually exclusive and cannot be specified together.")
	case hasSwagger:
		return nil
	case d.BasePath == "":
		return apiRefusal("apidoc is missing the gatewayBasePath field")
	case d.Path == "":
		return apiRefusal("apidoc is missing the gatewayPath field")
	case d.Method == "":
		return apiRefusal("apidoc is missing the gatewayMethod field")
	case d.Action == nil:
		return apiRefusal("apidoc is missing the action field.")
	case d.Action.Namespace == "":
		return apiRefusal("action is missing the namespace field.")
	case d.Action.Name == "":
		return apiRefusal("action is missing the name field.")
	}
	return nil
}

// route is what a description that is not Swagger asks for.
func (d *apiDescription) route(responseType string) controller.NewRoute {
	r := controller.NewRoute{
		BasePath: d.BasePath, Title: d.Name, Path: d.Path, Verb: d.Method, Parameters: d.Parameters,
		Namespace: d.Action.Namespace, Action: d.Action.Name, ResponseType: responseType,
	}
	if responseType == "" {
		r.ResponseType = "json"
	}
	// The name may have its package, and even its namespace, before it.
	parts := strings.Split(strings.TrimPrefix(d.Action.Name, "/"), "/")
	r.Action = parts[len(parts)-1]
	if len(parts) > 1 {
		r.Package = parts[len(parts)-2]
	}
	if secret := d.Action.Secret; !isNull(secret) {
		r.Secret = string(secret)
		if text, ok := textOf(secret); ok {
			r.Secret = text
		}
	}
	return r
}
