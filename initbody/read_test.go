package initbody

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"

	"github.com/whiskaway/whiskaway/function"
)

func readAll(t *testing.T, c *Code) string {
	t.Helper()
	f, err := c.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	data, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// kept lists the files in dir, also those without a name that this process has open.
func kept(dir string) []string {
	files, _ := filepath.Glob(filepath.Join(dir, "*"))
	open, _ := filepath.Glob("/proc/self/fd/*")
	for _, fd := range open {
		if path, err := os.Readlink(fd); err == nil && strings.HasPrefix(path, dir+"/") && strings.HasSuffix(path, " (deleted)") {
			files = append(files, path)
		}
	}
	return files
}

func TestReadInit(t *testing.T) {
	cases := []struct {
		name, body string
		want       Value
		code       string
	}{
		{"as the platform sends it", `{"value":{"name":"hello","main":"main","code":"def main(a):\n\treturn \"ü\u00e9\ud83d\ude00\"","binary":false,"env":{"A":"b"}}}`,
			Value{Name: "hello", Main: "main"}, "def main(a):\n\treturn \"üé😀\""},
		{"binary, code first", `{"value":{"code":"AAEC/w==","binary":true,"main":"x"}}`, Value{Main: "x", Binary: true}, "\x00\x01\x02\xff"},
		{"base64 with line breaks and escaped slashes", `{"value":{"code":"AAEC\r\n\/w==","binary":true}}`, Value{Binary: true}, "\x00\x01\x02\xff"},
		{"lenient", `{"value":{"code":"x"}}`, Value{}, "x"},
		{"other fields", `{"proxiedActionID":"7","code":"no","value":{"x":{"code":"no"},"y":["code","no"],"code":"yes","z":[{"value":{"code":"no"}}]}}`, Value{}, "yes"},
		{"escaped keys", `{"v\u0061lue":{"c\u006fde":"yes"}}`, Value{}, "yes"},
		{"half a surrogate", `{"value":{"code":"a\ud83d\ud83d\ude00b\ude00"}}`, Value{}, "a\ufffd😀b\ufffd"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			value, code, err := Read(iotest.OneByteReader(strings.NewReader(c.body)), dir)
			if err != nil {
				t.Fatal(err)
			}
			if value.Name != c.want.Name || value.Main != c.want.Main || value.Binary != c.want.Binary {
				t.Errorf("got %+v", value)
			}
			if got := readAll(t, code); got != c.code {
				t.Errorf("code %q, want %q", got, c.code)
			}
			if code.Digest != function.DigestOf([]byte(c.code)) {
				t.Error("the digest is not the code's")
			}
			if files := kept(dir); len(files) != 1 {
				t.Errorf("%d files are left, want the code only", len(files))
			}
			if err := code.Remove(); err != nil || len(kept(dir)) != 0 {
				t.Errorf("removing the code: %v", err)
			}
		})
	}
}

func TestReadInitRefuses(t *testing.T) {
	cases := []struct{ name, body, want string }{
		{"empty", ``, "not JSON"},
		{"not JSON", `hello`, "not JSON"},
		{"cut", `{"value":{"code":"abc"`, "not JSON"},
		{"cut in the code", `{"value":{"code":"abc`, "inside a string"},
		{"cut in a key", `{"val`, "inside a string"},
		{"no value", `{}`, "Missing main/no code"},
		{"no code", `{"value":{"name":"x"}}`, "Missing main/no code"},
		{"null code", `{"value":{"code":null}}`, "Missing main/no code"},
		{"empty code", `{"value":{"code":""}}`, "Missing main/no code"},
		{"code is a number", `{"value":{"code":7}}`, "value.code must not be a JSON number"},
		{"the body is an array", `[]`, "it must be an object, not a JSON array"},
		{"code twice", `{"value":{"code":"a","code":"b"}}`, "twice"},
		{"binary is a text", `{"value":{"code":"a","binary":"yes"}}`, "value.binary must not be a JSON string"},
		{"env is a text", `{"value":{"code":"a","env":"secret"}}`, "value.env must not be a JSON string"},
		{"bad base64", `{"value":{"code":"a secret?","binary":true}}`, "not good base64"},
		{"cut base64", `{"value":{"code":"AAE","binary":true}}`, "not good base64"},
		{"control character", "{\"value\":{\"code\":\"a\nb\"}}", "control character"},
		{"bad escape", `{"value":{"code":"\x"}}`, "backslash"},
		{"bad hex", `{"value":{"code":"\u12g4"}}`, "backslash"},
		{"too much beside the code", `{"value":{"code":"a","x":"` + strings.Repeat("x", maxRest) + `"}}`, "beside the code"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			_, _, err := Read(strings.NewReader(c.body), dir)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one with %q", err, c.want)
			}
			if err != nil && strings.Contains(err.Error(), "secret") {
				t.Errorf("the error tells a value: %v", err)
			}
			if files := kept(dir); len(files) != 0 {
				t.Errorf("%d files are left", len(files))
			}
		})
	}
}

func TestCodeTooLarge(t *testing.T) {
	c := carver{code: io.Discard, taken: maxCodeText}
	if err := c.put([]byte("x")); function.CodeOf(err) != function.CodeTooLarge {
		t.Errorf("text: %v", err)
	}
	text, err := os.Create(filepath.Join(t.TempDir(), "text"))
	if err != nil {
		t.Fatal(err)
	}
	defer text.Close()
	size := base64.StdEncoding.EncodedLen(maxCode + 3)
	if _, err := io.CopyN(text, letters{}, int64(size)); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if _, err := keepCode(dir, text, true); function.CodeOf(err) != function.CodeTooLarge {
		t.Errorf("binary: %v", err)
	}
	if files := kept(dir); len(files) != 0 {
		t.Errorf("%d files are left", len(files))
	}
}

type letters struct{}

func (letters) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'A'
	}
	return len(p), nil
}

func TestInitEnv(t *testing.T) {
	v := Value{Env: map[string]json.RawMessage{"A": json.RawMessage(`"x"`), "N": json.RawMessage(`12345678901234567890`), "O": json.RawMessage(`{"a":1}`)}}
	want := map[string]string{"A": "x", "N": "12345678901234567890", "O": `{"a":1}`}
	if got := v.Environ(); !maps.Equal(got, want) {
		t.Errorf("got %v", got)
	}
}

// FuzzCarve holds carve to encoding/json: the same code, and the same rest.
func FuzzCarve(f *testing.F) {
	for _, s := range []string{`{"value":{"code":"a\u00e9\ud83d\ude00\n","main":"x"}}`, `{"value":[{"code":"a"}],"x":{"code":"b"}}`, `[{"value":{"code":"a"}}]`, `{"value":{"code":{"code":"a"}}}`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, body string) {
		var code bytes.Buffer
		rest, err := carve(bufio.NewReaderSize(strings.NewReader(body), 16), &code)
		if !json.Valid([]byte(body)) || !utf8.ValidString(body) {
			return
		}
		if err != nil {
			if !strings.Contains(err.Error(), "twice") {
				t.Fatalf("%q: %v", body, err)
			}
			return
		}
		if !json.Valid(rest) {
			t.Fatalf("%q: the rest %q is not JSON", body, rest)
		}
		if want, ok := slowCode(body); ok && code.String() != want {
			t.Errorf("%q: code %q, want %q", body, code.String(), want)
		}
	})
}

// slowCode returns value.code, and false where a field is there twice.
func slowCode(body string) (string, bool) {
	if strings.Count(body, ":") > strings.Count(string(mustCompact(body)), ":") {
		return "", false
	}
	var top, value map[string]json.RawMessage
	var code string
	json.Unmarshal([]byte(body), &top)
	json.Unmarshal(top["value"], &value)
	json.Unmarshal(value["code"], &code)
	return code, true
}

// mustCompact decodes and encodes again, so that fields that were there twice
// are there once.
func mustCompact(body string) []byte {
	var v any
	json.Unmarshal([]byte(body), &v)
	out, _ := json.Marshal(v)
	return out
}
