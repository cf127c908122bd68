package initbody

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"strings"

	"github.com/whiskaway/whiskaway/function"
)

const (
	// maxCodeText bounds the "code" field: base64 of maxCode, and some more
	// for line breaks in it.
	maxCodeText = maxCode/3*4 + 2<<20
	// maxRest bounds an /init body without its code, in bytes.
	maxRest = 8 << 20
)

// A Value is what /init is told about the function, without its code.
type Value struct {
	Name   string                     `json:"name"`
	Main   string                     `json:"main"`
	Code   *string                    `json:"code"` // emptied on the way in
	Binary bool                       `json:"binary"`
	Env    map[string]json.RawMessage `json:"env"`

	// ProxiedActionID is the field of that name beside the value, which
	// OpenServerless's clients send; nil if there is none.
	ProxiedActionID json.RawMessage `json:"-"`
}

// Environ returns the environment as texts. OpenWhisk sends strings; any other
// value becomes its JSON, as the Go action proxy does it.
func (v Value) Environ() map[string]string {
	env := make(map[string]string, len(v.Env))
	for name, raw := range v.Env {
		var text string
		if json.Unmarshal(raw, &text) != nil {
			text = string(raw)
		}
		env[name] = text
	}
	return env
}

// Read reads the body of an /init. The code goes to a file in dir, which is made
// if missing; the caller removes it. Errors are, or wrap, a *function.Error with
// CodeBadRequest or CodeTooLarge when the body is at fault, or ErrNoCode.
func Read(body io.Reader, dir string) (Value, *Code, error) {
	text, err := newTempFile(dir)
	if err != nil {
		return Value{}, nil, err
	}
	defer text.Close()
	value, err := split(body, text)
	if err != nil {
		return Value{}, nil, err
	}
	if info, err := text.Stat(); err != nil || info.Size() == 0 {
		return Value{}, nil, ErrNoCode
	}
	code, err := keepCode(dir, text, value.Binary)
	return value, code, err
}

// ErrNoCode is for a body without code. It has the words of OpenWhisk's own runtimes.
var ErrNoCode = function.Errorf(function.CodeForbidden, "Missing main/no code to execute.")

// split writes the text of the code to text, and returns the rest.
func split(body io.Reader, text io.Writer) (Value, error) {
	buffered := bufio.NewWriterSize(text, 64<<10)
	rest, err := carve(bufio.NewReaderSize(body, 64<<10), buffered)
	if err != nil {
		return Value{}, err
	}
	if err := buffered.Flush(); err != nil {
		return Value{}, err
	}
	var request struct {
		ProxiedActionID json.RawMessage `json:"proxiedActionID"`
		Value           Value           `json:"value"`
	}
	if err := json.Unmarshal(rest, &request); err != nil {
		return Value{}, function.Errorf(function.CodeBadRequest, "The body of /init is not what was expected: %s.", jsonProblem(err))
	}
	request.Value.ProxiedActionID = request.ProxiedActionID
	return request.Value, nil
}

// jsonProblem describes err without any value of the body, which may be secret.
func jsonProblem(err error) string {
	var wrongType *json.UnmarshalTypeError
	if errors.As(err, &wrongType) {
		if wrongType.Field == "" {
			return "it must be an object, not a JSON " + firstWord(wrongType.Value)
		}
		return "the field " + wrongType.Field + " must not be a JSON " + firstWord(wrongType.Value)
	}
	return "it is not JSON"
}

// firstWord cuts what could be a value of the user's off the description of a
// JSON value, "number 3.7".
func firstWord(text string) string {
	word, _, _ := strings.Cut(text, " ")
	return word
}
