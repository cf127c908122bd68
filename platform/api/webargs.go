package api

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/whiskaway/whiskaway/platform/controller"
	"github.com/whiskaway/whiskaway/platform/store"
)

// The names under which a web action finds what is HTTP's. No request sets them otherwise.
const (
	owMethod  = "__ow_method"
	owHeaders = "__ow_headers"
	owPath    = "__ow_path"
	owUser    = "__ow_user"
	owQuery   = "__ow_query"
	owBody    = "__ow_body"
)

func isReserved(name string) bool {
	switch name {
	case owMethod, owHeaders, owPath, owUser, owQuery, owBody:
		return true
	}
	return false
}

// webArgs returns the arguments that a request means to a web action: path parameters before
// body before query, and the __ow_ ones. A JSON body's bytes are not touched. raw says that
// the action wants query and body as they are, isFinal which names no request may set.
func (q *request) webArgs(call webCall, raw bool, isFinal func(name string) bool, limit int64) ([]byte, error) {
	body, err := q.bytes(limit)
	if err != nil {
		return nil, err
	}
	args := arguments{given: map[string]bool{}}
	kind := parseMedia(q.Header.Get("Content-Type"))
	if raw {
		args.add(owQuery, q.URL.RawQuery)
		args.add(owBody, bodyText(kind, body))
	} else if err := q.namedArgs(&args, call, kind, body); err != nil {
		return nil, err
	}
	for name := range args.given {
		if isReserved(name) || isFinal(name) {
			return nil, errReserved
		}
	}
	args.add(owMethod, strings.ToLower(q.Method))
	args.add(owHeaders, q.webHeaders())
	args.add(owPath, call.path)
	if q.by.Namespace != "" {
		args.add(owUser, q.by.Namespace)
	}
	return args.close()
}

// namedArgs adds path parameters, body and query by their names.
func (q *request) namedArgs(args *arguments, call webCall, kind media, body []byte) error {
	args.giveAll(call.captured)
	if err := args.body(kind, body); err != nil {
		return err
	}
	query, err := parseForm(q.URL.RawQuery)
	if err != nil {
		return controller.Refuse(http.StatusBadRequest, "The query string is malformed: %v", err)
	}
	args.giveAll(query)
	return nil
}

// webHeaders returns the request's headers by their names in small letters. One that
// came several times is joined.
func (q *request) webHeaders() map[string]string {
	headers := make(map[string]string, len(q.Header)+1)
	for name, values := range q.Header {
		separator := ", "
		if name == "Cookie" {
			separator = "; "
		}
		headers[strings.ToLower(name)] = strings.Join(values, separator)
	}
	headers["host"] = q.Host
	return headers
}

// arguments are a JSON object under construction.
type arguments struct {
	text  []byte
	given map[string]bool // the names that the request has set
	err   error
}

// A pair is a parameter of a form, a query or a path.
type pair struct{ name, value string }

// give adds what the request has set, unless it has set it already.
func (a *arguments) give(p pair) {
	if !a.given[p.name] {
		a.given[p.name] = true
		a.add(p.name, p.value)
	}
}

// giveAll gives all; the last value of a name counts.
func (a *arguments) giveAll(form []pair) {
	for _, p := range slices.Backward(form) {
		a.give(p)
	}
}

// add adds a name that is not there.
func (a *arguments) add(name string, value any) {
	key, err := store.Encode(name)
	if err != nil {
		a.err = err
		return
	}
	data, err := store.Encode(value)
	if err != nil {
		a.err = err
		return
	}
	a.text = append(append(append(append(a.text, ','), key...), ':'), data...)
}

// body adds what a request that is not raw carries.
func (a *arguments) body(kind media, body []byte) error {
	switch {
	case len(body) == 0:
	case kind.isJSON():
		return a.json(body)
	case kind.name == "application/x-www-form-urlencoded":
		form, err := parseForm(string(body))
		if err != nil {
			return controller.Malformed("the form: %v", err)
		}
		a.giveAll(form)
	default:
		a.add(owBody, bodyText(kind, body))
	}
	return nil
}

// json adds the members of an object that are not given yet, and anything else as __ow_body.
func (a *arguments) json(body []byte) error {
	if !utf8.Valid(body) {
		return controller.Malformed("the body is not UTF-8")
	}
	body = bytes.TrimSpace(body)
	switch {
	case len(body) == 0:
		return nil
	case !json.Valid(body):
		return controller.Malformed("the body is not JSON")
	case body[0] != '{':
		a.add(owBody, json.RawMessage(body))
		return nil
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(body, &members); err != nil {
		return controller.Malformed("%v", err)
	}
	clash := false
	for name := range members {
		if a.given[name] {
			clash = true
			delete(members, name)
		}
		a.given[name] = true
	}
	if clash {
		body, a.err = store.Encode(members)
	}
	if len(members) > 0 {
		a.text = append(append(a.text, ','), body[1:len(body)-1]...)
	}
	return nil
}

// close returns the whole object.
func (a *arguments) close() ([]byte, error) {
	if len(a.text) == 0 {
		return []byte("{}"), a.err
	}
	a.text[0] = '{'
	return append(a.text, '}'), a.err
}

// bodyText returns a body as __ow_body shows it: text as it is, anything else, and JSON, as
// base64.
func bodyText(kind media, body []byte) string {
	if len(body) > 0 && (!kind.isText() || kind.isJSON()) {
		return base64.StdEncoding.EncodeToString(body)
	}
	return strings.ToValidUTF8(string(body), "\uFFFD")
}

// parseForm reads name=value&… .
func parseForm(text string) (form []pair, err error) {
	for part := range strings.SplitSeq(text, "&") {
		if part == "" {
			continue
		}
		var p pair
		name, value, _ := strings.Cut(part, "=")
		if p.name, err = url.QueryUnescape(name); err != nil {
			return nil, err
		}
		if p.value, err = url.QueryUnescape(value); err != nil {
			return nil, err
		}
		form = append(form, p)
	}
	return form, nil
}

// A media is a media type.
type media struct {
	name       string // "text/html"; empty: none, or none that can be read
	parameters map[string]string
}

func parseMedia(text string) media {
	name, parameters, err := mime.ParseMediaType(text)
	main, sub, _ := strings.Cut(name, "/")
	if err != nil || main == "" || sub == "" {
		return media{}
	}
	return media{name, parameters}
}

func (m media) isJSON() bool {
	return m.name == "application/json" || strings.HasSuffix(m.name, "+json")
}

// textual are the types outside of text/ that OpenWhisk takes for text.
var textual = []string{
	"application/atom+xml", "application/base64", "application/javascript", "application/json", "application/json-patch+json",
	"application/merge-patch+json", "application/problem+json", "application/rss+xml", "application/soap+xml", "application/vnd.api+json",
	"application/vnd.google-earth.kml+xml", "application/x-www-form-urlencoded", "application/xhtml+xml", "application/xml", "application/xml-dtd",
}

// isText reports whether OpenWhisk takes the type for text. All else travels as base64.
func (m media) isText() bool {
	_, hasCharset := m.parameters["charset"]
	switch main, _, _ := strings.Cut(m.name, "/"); main {
	case "text":
		return true
	case "application":
		return hasCharset || slices.Contains(textual, m.name)
	}
	return false
}

// maybeText are types that OpenWhisk takes for binary and that people write as text
// nevertheless.
var maybeText = []string{
	"application/ecmascript", "application/graphql", "application/sql", "application/toml", "application/x-javascript",
	"application/x-ndjson", "application/x-yaml", "application/yaml",
}

// mayBeText reports whether a body that is no base64 is text.
func (m media) mayBeText() bool {
	return m.isText() || m.isJSON() || strings.HasSuffix(m.name, "+xml") || slices.Contains(maybeText, m.name)
}
