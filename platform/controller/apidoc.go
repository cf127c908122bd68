package controller

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/whiskaway/whiskaway/platform/store"
)

// An apiDoc is an API as its owner sees it: a Swagger 2.0 object. Which web action an operation
// calls stands in its x-openwhisk; what else is sent, in x-ibm-configuration. What we do not know
// stays as it was written.
type apiDoc map[string]any

// apiVerbs are the operations that a path may have.
var apiVerbs = []string{"GET", "PUT", "POST", "DELETE", "PATCH", "HEAD", "OPTIONS"}

// responseTypes are the extensions of web actions.
var responseTypes = []string{"html", "http", "json", "svg", "text"}

func parseAPIDoc(data []byte) (apiDoc, error) {
	var doc apiDoc
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber() // numbers stay as they were written
	if err := dec.Decode(&doc); err != nil {
		return nil, err
	}
	return doc, nil
}

func newAPIDoc(basePath, title string) apiDoc {
	if title == "" {
		title = basePath
	}
	return apiDoc{
		"swagger": "2.0", "basePath": basePath,
		"info":  map[string]any{"title": title, "version": "1.0.0"},
		"paths": map[string]any{},
		"x-ibm-configuration": map[string]any{
			"assembly": map[string]any{}, "cors": map[string]any{"enabled": true},
		},
	}
}

// at walks into nested objects and lists; nil: there is nothing. keys are strings and ints.
func at(v any, keys ...any) any {
	for _, key := range keys {
		switch key := key.(type) {
		case string:
			m, _ := v.(map[string]any)
			v = m[key]
		case int:
			list, _ := v.([]any)
			if key >= len(list) {
				return nil
			}
			v = list[key]
		}
	}
	return v
}

func textAt(v any, keys ...any) string {
	text, _ := at(v, keys...).(string)
	return text
}

func (d apiDoc) basePath() string { return textAt(map[string]any(d), "basePath") }

func (d apiDoc) title() string { return textAt(map[string]any(d), "info", "title") }

func (d apiDoc) paths() map[string]any {
	paths, _ := d["paths"].(map[string]any)
	return paths
}

// An operation is one verb of one path.
type operation struct {
	path, verb string // "/world/{name}", "GET"
	id         string
	fields     map[string]any
}

// operations returns all of them, in order.
func (d apiDoc) operations() (list []operation) {
	for path, value := range d.paths() {
		verbs, _ := value.(map[string]any)
		for name, fields := range verbs {
			verb := strings.ToUpper(name)
			if m, ok := fields.(map[string]any); ok && slices.Contains(apiVerbs, verb) {
				list = append(list, operation{path, verb, textAt(m, "operationId"), m})
			}
		}
	}
	slices.SortFunc(list, func(a, b operation) int { return strings.Compare(a.path+" "+a.verb, b.path+" "+b.verb) })
	return list
}

// A routeTarget is what an operation calls.
type routeTarget struct {
	action    Name
	extension string
	secret    string // the header X-Require-Whisk-Auth that the gateway sends; empty: the caller's
}

// webURL reads where a web action lies: https://host/api/v1/web/namespace/package/name.extension
var webURL = regexp.MustCompile(`/api/v1/web/([^/?]+)/([^/?]+)/([^/?]+?)\.(html|http|json|svg|text)(?:[/?$].*)?$`)

// target returns what o calls; own is the namespace that "_" means, assembled are the document's.
func (o operation) target(own string, assembled map[string]any) (routeTarget, error) {
	to := routeTarget{extension: "http"}
	ow, _ := o.fields["x-openwhisk"].(map[string]any)
	address, invoked := textAt(ow, "url"), assembled[o.id]
	if address == "" {
		address = textAt(invoked, "execute", 0, "invoke", "target-url")
	}
	namespace, pkg, name := textAt(ow, "namespace"), textAt(ow, "package"), textAt(ow, "action")
	if m := webURL.FindStringSubmatch(address); m != nil {
		for i := 1; i < 4; i++ {
			if text, err := url.PathUnescape(m[i]); err == nil {
				m[i] = text
			}
		}
		to.extension = m[4]
		if name == "" {
			namespace, pkg, name = m[1], m[2], m[3]
		}
	}
	if namespace == "" || name == "" {
		return to, fmt.Errorf("operation '%s' of path '%s' has no 'x-openwhisk' with the namespace and the action that it calls", strings.ToLower(o.verb), o.path)
	}
	if namespace == "_" {
		namespace = own
	}
	if pkg == "" {
		pkg = "default"
	}
	for i := 0; ; i++ {
		step := at(invoked, "execute", i)
		if step == nil {
			break
		}
		if textAt(step, "set-variable", "actions", 0, "set") == "message.headers."+HeaderWebAuth {
			to.secret = fmt.Sprint(at(step, "set-variable", "actions", 0, "value"))
		}
	}
	var err error
	to.action, err = WebName(namespace, pkg, name)
	return to, err
}

// HeaderWebAuth is the header that says what the annotation require-whisk-auth asks for.
const HeaderWebAuth = "X-Require-Whisk-Auth"

// cases are what x-ibm-configuration has, one for each operation or several.
func (d apiDoc) cases() []any {
	for i := 0; ; i++ {
		step := at(map[string]any(d), "x-ibm-configuration", "assembly", "execute", i)
		if step == nil {
			return nil
		}
		if list, ok := at(step, "operation-switch", "case").([]any); ok {
			return list
		}
	}
}

// assembled returns the cases by the ids of their operations. Of several for one the first counts.
func (d apiDoc) assembled() map[string]any {
	cases := map[string]any{}
	for _, c := range d.cases() {
		ids, _ := at(c, "operations").([]any)
		for _, id := range ids {
			text, _ := id.(string)
			if _, known := cases[text]; text != "" && !known {
				cases[text] = c
			}
		}
	}
	return cases
}

// setCases replaces them.
func (d apiDoc) setCases(cases []any) {
	config, _ := d["x-ibm-configuration"].(map[string]any)
	if config == nil {
		config = map[string]any{}
		d["x-ibm-configuration"] = config
	}
	assembly, _ := config["assembly"].(map[string]any)
	if assembly == nil {
		assembly = map[string]any{}
		config["assembly"] = assembly
	}
	assembly["execute"] = []any{map[string]any{"operation-switch": map[string]any{"case": cases}}}
}

// allowsOrigins reports whether pages of other origins may call: unless it is said otherwise.
func (d apiDoc) allowsOrigins() bool {
	enabled, said := at(map[string]any(d), "x-ibm-configuration", "cors", "enabled").(bool)
	return enabled || !said
}

// A NewRoute is what a client says of one route.
type NewRoute struct {
	BasePath     string // or the title of an API that is there
	Title        string
	Path         string
	Verb         string
	Package      string
	Action       string
	Namespace    string // the action's
	ResponseType string
	Secret       string // the header X-Require-Whisk-Auth, if the action asks for one
	Parameters   any    // of the path, as Swagger describes them
}

// add adds a route, or replaces it. origin is where the web actions are reached.
func (d apiDoc) add(r NewRoute, origin string) {
	paths := d.paths()
	verbs, _ := paths[r.Path].(map[string]any)
	if verbs == nil {
		verbs = map[string]any{}
		paths[r.Path] = verbs
	}
	verb := strings.ToLower(r.Verb)
	id := operationID(verb, r.Path)
	pkg := r.Package
	if pkg == "" {
		pkg = "default"
	}
	address := origin + "/api/v1/web/" + url.PathEscape(r.Namespace) + "/" + url.PathEscape(pkg) + "/" + url.PathEscape(r.Action) + "." + r.ResponseType
	fields := map[string]any{
		"operationId": id,
		"x-openwhisk": map[string]any{"namespace": r.Namespace, "package": r.Package, "action": r.Action, "url": address},
		"responses":   map[string]any{"default": map[string]any{"description": "Default response"}},
	}
	if r.Parameters != nil {
		fields["parameters"] = r.Parameters
	}
	verbs[verb] = fields
	if r.ResponseType == "http" {
		address += "$(request.path)"
	}
	steps := []any{map[string]any{"invoke": map[string]any{"target-url": address, "verb": "keep"}}}
	if r.Secret != "" {
		steps = append(steps, map[string]any{"set-variable": map[string]any{"actions": []any{
			map[string]any{"set": "message.headers." + HeaderWebAuth, "value": r.Secret},
		}}})
	}
	d.setCases(append(d.casesWithout(id), map[string]any{"operations": []any{id}, "execute": steps}))
}

// casesWithout returns the cases but that of an operation.
func (d apiDoc) casesWithout(operationID string) []any {
	return slices.DeleteFunc(slices.Clone(d.cases()), func(c any) bool {
		ids, _ := at(c, "operations").([]any)
		return len(ids) == 1 && ids[0] == any(operationID)
	})
}

// remove removes a path, or one verb of it; the error says, in OpenWhisk's words, that it is not there.
func (d apiDoc) remove(path, verb string) error {
	verbs, _ := d.paths()[path].(map[string]any)
	if verbs == nil {
		return fmt.Errorf("path '%s' does not exist in the API", path)
	}
	found := d.drop(func(o operation) bool { return o.path == path && (verb == "" || strings.EqualFold(o.verb, verb)) })
	switch {
	case !found && verb != "":
		return fmt.Errorf("path '%s' with operation '%s' does not exist in the API", path, strings.ToLower(verb))
	case !found: // it had none
		delete(d.paths(), path)
	}
	return nil
}

// drop removes those operations, and the paths that have none then. It reports whether there were any.
func (d apiDoc) drop(which func(operation) bool) (found bool) {
	ids, left, touched := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, o := range d.operations() {
		if !which(o) {
			left[o.path] = true
			continue
		}
		ids[o.id], touched[o.path] = true, true
		verbs, _ := d.paths()[o.path].(map[string]any)
		for name := range verbs {
			if strings.EqualFold(name, o.verb) {
				delete(verbs, name)
			}
		}
	}
	if len(touched) == 0 {
		return false
	}
	d.setCases(slices.DeleteFunc(slices.Clone(d.cases()), func(c any) bool {
		of, _ := at(c, "operations").([]any)
		return len(of) == 1 && ids[textAt(of, 0)]
	}))
	for path := range touched {
		if !left[path] {
			delete(d.paths(), path)
		}
	}
	return true
}

// keep leaves only the operations of a path, of a verb, or of both; empty: any.
func (d apiDoc) keep(path, verb string) {
	d.drop(func(o operation) bool {
		return path != "" && o.path != path || verb != "" && !strings.EqualFold(o.verb, verb)
	})
}

var words = regexp.MustCompile(`[A-Za-z0-9]+`)

// operationID returns getWorldName for get /world/{name}.
func operationID(verb, path string) string {
	id := verb
	for _, word := range words.FindAllString(path, -1) {
		id += strings.ToUpper(word[:1]) + word[1:]
	}
	return id
}

// check refuses what a whole document may not have, and gives every operation an id: wsk
// insists on it.
func (d apiDoc) check() error {
	for _, name := range []string{"basePath", "paths", "info"} {
		if v := d[name]; v == nil || v == "" {
			return fmt.Errorf("swagger is missing the %s field.", name) //lint:ignore ST1005 OpenWhisk's words
		}
	}
	if d.paths() == nil {
		return fmt.Errorf("the swagger field 'paths' must be an object")
	}
	if err := checkBasePath(d.basePath()); err != nil {
		return err
	}
	for _, name := range []string{"security", "x-ibm-rate-limit", "x-gateway-rate-limit"} {
		if isThere(d[name]) {
			return unsupported(name)
		}
	}
	for _, o := range d.operations() {
		if err := checkPath(o.path); err != nil {
			return err
		}
		if isThere(o.fields["security"]) {
			return unsupported("security")
		}
		if o.id == "" {
			o.fields["operationId"] = operationID(strings.ToLower(o.verb), o.path)
		}
	}
	return nil
}

func isThere(v any) bool {
	switch v := v.(type) {
	case nil:
		return false
	case []any:
		return len(v) > 0
	case map[string]any:
		return len(v) > 0
	}
	return true
}

// unsupported refuses what would make an API look safer than it is.
func unsupported(field string) error {
	return fmt.Errorf("'%s' is not supported: the API would be open to everybody. Remove it, and protect the web action with the annotation require-whisk-auth", field)
}

func checkBasePath(path string) error {
	if !strings.HasPrefix(path, "/") {
		return fmt.Errorf("'%s' must begin with '/'", path)
	}
	if strings.ContainsAny(path, "{}") {
		return fmt.Errorf("The base path (%s) cannot have parameters. Only the relative path supports path parameters.", path) //lint:ignore ST1005 OpenWhisk's words
	}
	return checkSegments(path)
}

func checkPath(path string) error {
	if !strings.HasPrefix(path, "/") {
		return fmt.Errorf("'%s' must begin with '/'", path)
	}
	return checkSegments(path)
}

// checkSegments refuses paths that no request could have.
func checkSegments(path string) error {
	if strings.ContainsAny(path, "?#\\ ") || strings.Contains(path, "//") || strings.ContainsFunc(path, unicode.IsControl) || !utf8.ValidString(path) {
		return fmt.Errorf("'%s' is no path of a URL", path)
	}
	for segment := range strings.SplitSeq(path, "/") {
		name, isParameter := parameterOf(segment)
		if segment == "." || segment == ".." || !isParameter && strings.ContainsAny(segment, "{}") || isParameter && name == "" {
			return fmt.Errorf("'%s' is no path of a URL: a parameter is a whole part of it, /{name}/", path)
		}
	}
	return nil
}

// parameterOf returns the name of a path parameter: name for {name}.
func parameterOf(segment string) (name string, ok bool) {
	inner, ok := strings.CutPrefix(segment, "{")
	name, closed := strings.CutSuffix(inner, "}")
	return name, ok && closed && !strings.ContainsAny(name, "{}")
}

func (d apiDoc) encode() ([]byte, error) { return store.Encode(d) }
