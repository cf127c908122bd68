package runtime

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
	// maxInitRest bounds an /init body without its code, in bytes.
	maxInitRest = 8 << 20
)

// An initValue is what /init is told about the function, without its code.
type initValue struct {
	Name   string                     `json:"name"`
	Main   string                     `json:"main"`
	Code   *string                    `json:"code"` // emptied on the way in, see carve
	Binary bool                       `json:"binary"`
	Env    map[string]json.RawMessage `json:"env"`
}

// env returns the environment as texts. OpenWhisk sends strings; any other
// value becomes its JSON, as the Go action proxy does it.
func (v initValue) env() map[string]string {
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

// readInit reads an /init body. The code goes to a file in dir without ever
// being in memory as a whole.
func readInit(body io.Reader, dir string) (initValue, *codeFile, error) {
	text, err := newTempFile(dir)
	if err != nil {
		return initValue{}, nil, err
	}
	defer text.Close()
	value, err := splitInit(body, text)
	if err != nil {
		return initValue{}, nil, err
	}
	if info, err := text.Stat(); err != nil || info.Size() == 0 {
		return initValue{}, nil, errNoCode
	}
	code, err := keepCode(dir, text, value.Binary)
	return value, code, err
}

// errNoCode has the words of OpenWhisk's own runtimes.
var errNoCode = function.Errorf(function.CodeForbidden, "Missing main/no code to execute.")

// splitInit writes the text of the code to text, and returns the rest.
func splitInit(body io.Reader, text io.Writer) (initValue, error) {
	buffered := bufio.NewWriterSize(text, 64<<10)
	rest, err := carve(bufio.NewReaderSize(body, 64<<10), buffered)
	if err != nil {
		return initValue{}, err
	}
	if err := buffered.Flush(); err != nil {
		return initValue{}, err
	}
	var request struct {
		Value initValue `json:"value"`
	}
	if err := json.Unmarshal(rest, &request); err != nil {
		return initValue{}, function.Errorf(function.CodeBadRequest, "The body of /init is not what was expected: %s.", jsonProblem(err))
	}
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
