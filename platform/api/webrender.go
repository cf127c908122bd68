package api

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/whiskaway/whiskaway/platform/controller"
)

// A webAnswer is what a web action's result means in HTTP.
type webAnswer struct {
	status      int
	header      http.Header // the action's own, without Content-Type; names in canonical form
	contentType string      // empty: there is no body
	body        []byte
}

// renderers make answers of results, by the URL's extension. They are pure.
var renderers = map[string]func(result json.RawMessage) (*webAnswer, error){
	"http": renderHTTP,
	"json": renderJSON,
	"html": func(result json.RawMessage) (*webAnswer, error) { return renderText(result, "html", typeHTML) },
	"svg":  func(result json.RawMessage) (*webAnswer, error) { return renderText(result, "svg", "image/svg+xml") },
	"text": renderPlain,
}

const (
	typeHTML  = "text/html; charset=UTF-8"
	typePlain = "text/plain; charset=UTF-8"
	typeJSON  = "application/json"
)

// OpenWhisk's words for results that are no answers.
var (
	errNoProperty  = controller.Refuse(http.StatusNotFound, "Response does not include requested property.")
	errUnknownType = controller.Refuse(http.StatusBadRequest, "Response did not specify a known content-type.")
	errOtherType   = controller.Refuse(http.StatusBadRequest, "Response type in header did not match generated content type.")
)

func errMedia(name string) error {
	return controller.Refuse(http.StatusBadRequest, "Response is not valid '%s'.", name)
}

// render makes the answer to who accepts those media types. result is valid JSON.
func render(extension string, result json.RawMessage, accept []string) (*webAnswer, error) {
	if len(result) == 0 {
		result = json.RawMessage("null")
	}
	ans, err := renderers[extension](result)
	if err != nil {
		return nil, err
	}
	if len(ans.body) > 0 && !accepts(accept, ans.contentType) {
		return nil, controller.Refuse(http.StatusNotAcceptable,
			"Resource representation is only available with these types:\n%s", ans.contentType)
	}
	return ans, nil
}

// unwrapError returns the value of an application error: it is rendered like a result.
func unwrapError(result json.RawMessage) (json.RawMessage, error) {
	if value, ok := members(result)["error"]; ok {
		return value, nil
	}
	return nil, errNoProperty
}

// members returns an object's members, or nil.
func members(value json.RawMessage) (m map[string]json.RawMessage) {
	if len(value) == 0 || value[0] != '{' || json.Unmarshal(value, &m) != nil {
		return nil
	}
	return m
}

// textOf returns the text of a JSON string.
func textOf(value json.RawMessage) (text string, ok bool) {
	return text, len(value) > 0 && value[0] == '"' && json.Unmarshal(value, &text) == nil
}

func isNull(value json.RawMessage) bool { return len(value) == 0 || string(value) == "null" }

// pick returns the member body of an object, or the one that is called as the extension; what is
// no object stands for itself.
func pick(result json.RawMessage, extension string) (value json.RawMessage, ok bool) {
	if result[0] != '{' {
		return result, true
	}
	m := members(result)
	if value, ok = m["body"]; !ok {
		value, ok = m[extension]
	}
	return value, ok
}

func renderJSON(result json.RawMessage) (*webAnswer, error) {
	if result[0] != '{' && result[0] != '[' {
		return nil, errMedia("application/json")
	}
	return &webAnswer{status: http.StatusOK, contentType: typeJSON, body: result}, nil
}

// renderText answers with a string.
func renderText(result json.RawMessage, extension, contentType string) (*webAnswer, error) {
	value, _ := pick(result, extension)
	text, ok := textOf(value)
	if !ok {
		name, _, _ := strings.Cut(contentType, ";")
		return nil, errMedia(name)
	}
	return &webAnswer{status: http.StatusOK, contentType: contentType, body: []byte(text)}, nil
}

// renderPlain answers with anything, as text.
func renderPlain(result json.RawMessage) (*webAnswer, error) {
	value, ok := pick(result, "text")
	if !ok {
		return nil, errNoProperty
	}
	body := []byte(value)
	if text, ok := textOf(value); ok {
		body = []byte(text)
	} else if value[0] == '{' || value[0] == '[' {
		var b bytes.Buffer
		if json.Indent(&b, value, "", "  ") == nil {
			body = b.Bytes()
		}
	}
	return &webAnswer{status: http.StatusOK, contentType: typePlain, body: body}, nil
}

// renderHTTP answers as {"statusCode", "headers", "body"} says.
func renderHTTP(result json.RawMessage) (*webAnswer, error) {
	m := members(result)
	if m == nil {
		return nil, errMedia("message/http")
	}
	ans := &webAnswer{}
	err := ans.readStatus(m["statusCode"])
	if err == nil {
		err = ans.readHeaders(m["headers"])
	}
	if err != nil {
		return nil, errMedia("message/http")
	}
	declared, hasType := ans.header["Content-Type"]
	delete(ans.header, "Content-Type")
	body := m["body"]
	if text, isText := textOf(body); isNull(body) || isText && text == "" {
		ans.setStatus(http.StatusNoContent)
		return ans, nil
	}
	ans.setStatus(http.StatusOK)
	kind := media{}
	if hasType {
		ans.contentType = declared[len(declared)-1]
		if kind = parseMedia(ans.contentType); kind.name == "" {
			return nil, errUnknownType
		}
	}
	return ans, ans.readBody(kind, body)
}

// setStatus sets a status unless the action has.
func (a *webAnswer) setStatus(status int) {
	if a.status == 0 {
		a.status = status
	}
}

// readStatus takes a number, or a number as text, from 200 to 599.
func (a *webAnswer) readStatus(value json.RawMessage) error {
	if len(value) == 0 {
		return nil
	}
	text, ok := textOf(value)
	if !ok {
		text = wholeNumber(string(value))
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		return err
	}
	if n < 200 || n > 599 {
		return fmt.Errorf("%d is no status of an answer", n)
	}
	a.status = n
	return nil
}

// wholeNumber returns 404 for 404.0: some languages have only such numbers.
func wholeNumber(text string) string {
	whole, fraction, _ := strings.Cut(text, ".")
	if strings.Trim(fraction, "0") == "" {
		return whole
	}
	return text
}

// readHeaders takes an object of strings, numbers, booleans, and arrays of these. Headers
// that belong to the connection are left out.
func (a *webAnswer) readHeaders(value json.RawMessage) error {
	if len(value) == 0 {
		return nil
	}
	m := members(value)
	if m == nil {
		return errMedia("message/http")
	}
	a.header = make(http.Header, len(m))
	for name, value := range m {
		if !isToken(name) {
			return fmt.Errorf("%q is no header's name", name)
		}
		if err := a.addHeader(http.CanonicalHeaderKey(name), value); err != nil {
			return err
		}
	}
	for _, name := range ofConnection {
		delete(a.header, name)
	}
	return nil
}

// ofConnection are the headers that say how an answer is sent, which is not the action's to say.
var ofConnection = []string{
	"Connection", "Content-Length", "Keep-Alive", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade",
}

// addHeader takes a value, or an array's values, however deep they lie.
func (a *webAnswer) addHeader(name string, value json.RawMessage) error {
	// Token by token: to parse each array's inner ones anew would take minutes for a megabyte of brackets.
	dec := json.NewDecoder(bytes.NewReader(value))
	dec.UseNumber() // numbers stay as they were written
	for {
		token, err := dec.Token()
		if err == io.EOF {
			return nil
		}
		var text string
		switch token := token.(type) {
		case json.Delim:
			if token == '[' || token == ']' {
				continue
			}
			return fmt.Errorf("%s is no header's value", value)
		case string:
			text = token
		case json.Number:
			text = token.String()
		case bool:
			text = strconv.FormatBool(token)
		default: // null, or an error
			return cmp.Or(err, fmt.Errorf("%s is no header's value", value))
		}
		if !isHeaderValue(text) {
			return fmt.Errorf("%q is no header's value", text)
		}
		a.header[name] = append(a.header[name], text)
	}
}

// isToken reports whether text may be a header's name. See RFC 9110, section 5.6.2.
func isToken(text string) bool {
	for i := range len(text) {
		c := text[i]
		isLetter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !isLetter && strings.IndexByte("!#$%&'*+-.^_`|~", c) < 0 {
			return false
		}
	}
	return text != ""
}

// isHeaderValue reports whether text can be sent as it is: no line ends before it does.
func isHeaderValue(text string) bool {
	for i := range len(text) {
		if c := text[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

// readBody takes text as it is, base64 for what is binary, and JSON for what is not a string. kind is
// that of contentType, or empty.
func (a *webAnswer) readBody(kind media, body json.RawMessage) error {
	text, isText := textOf(body)
	switch {
	case !isText && kind.name == "":
		a.contentType, a.body = typeJSON, body
	case !isText && kind.isJSON():
		a.body = body
	case !isText:
		return errOtherType
	case kind.name == "":
		a.contentType, a.body = typeHTML, []byte(text)
	default:
		var ok bool
		if a.body, ok = decodeBody(kind, text); !ok {
			return errOtherType
		}
		if _, hasCharset := kind.parameters["charset"]; !hasCharset && kind.isText() && !kind.isJSON() && utf8.Valid(a.body) {
			a.contentType += "; charset=UTF-8"
		}
	}
	return nil
}

// decodeBody returns the bytes that a string means as a body of that type.
func decodeBody(kind media, text string) (body []byte, ok bool) {
	if kind.isText() && !kind.isJSON() || kind.isJSON() && json.Valid([]byte(text)) {
		return []byte(text), true
	}
	if kind.isJSON() && len(text)%4 != 0 { // a word, and no base64
		return []byte(text), true
	}
	if body, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(text, "=")); err == nil {
		return body, true
	}
	return []byte(text), kind.mayBeText()
}

// writeWeb sends an answer. What it says of other origins replaces what we say.
func writeWeb(w http.ResponseWriter, ans *webAnswer) {
	h := w.Header()
	for name, values := range ans.header {
		if name != headerActivation && name != headerTransaction {
			h[name] = values
		}
	}
	hasBody := ans.status != http.StatusNoContent && ans.status != http.StatusNotModified
	if !hasBody || ans.contentType == "" {
		if hasBody {
			h.Set("Content-Length", "0")
		}
		w.WriteHeader(ans.status)
		return
	}
	h.Set("Content-Type", ans.contentType)
	h.Set("Content-Length", strconv.Itoa(len(ans.body)))
	w.WriteHeader(ans.status)
	w.Write(ans.body) // an error means that the caller has left
}
