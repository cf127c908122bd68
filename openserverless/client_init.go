package openserverless

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"io"
	"maps"
	"net/http"

	"github.com/whiskaway/whiskaway/function"
)

// Init implements function.Host. Each claim gets a proxiedActionID of its own.
func (c *Client) Init(ctx context.Context, spec function.Spec, lease function.Lease) (function.ID, error) {
	if err := spec.Check(); err != nil {
		return function.ID{}, err
	}
	if err := function.CheckLeaseID(lease.ID); err != nil {
		return function.ID{}, err
	}
	if !spec.Require.IsZero() {
		return function.ID{}, function.Errorf(function.CodeBadRequest,
			"%s is an OpenServerless server, which knows no labels and no needs such as memory; leave out what follows the host in main", c.base)
	}
	select {
	case c.initing <- struct{}{}:
		defer func() { <-c.initing }()
	case <-ctx.Done():
		return function.ID{}, function.AsError(ctx.Err())
	}
	key := claimKey{spec.ID(), lease.ID}
	if c.holds(key.id, key.lease) != nil {
		return key.id, nil
	}
	h, err := c.sendInit(ctx, spec)
	if err != nil {
		return function.ID{}, err
	}
	c.hold(key, h)
	return key.id, nil
}

// sendInit posts the function to their server.
func (c *Client) sendInit(ctx context.Context, spec function.Spec) (*held, error) {
	h := &held{actionID: newUUID(), code: codeKey{spec.Namespace, spec.Code}}
	code, done, err := c.codes.open(h.code)
	if err != nil {
		return nil, err
	}
	defer done()
	body, size, err := h.initBody(code, spec)
	if err != nil {
		return nil, function.Errorf(function.CodeInternal, "reading code back: %v", err)
	}
	resp, err := c.post(ctx, "/init", body, size)
	if err != nil {
		if why := c.unsent(ctx, err); why != nil {
			return nil, why
		}
		if ctx.Err() != nil {
			return nil, function.AsError(ctx.Err())
		}
		return nil, function.Errorf(function.CodeUnreachable, "the connection to %s broke during /init: %v", c.base, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusOK {
		return h, nil
	}
	if resp.StatusCode == http.StatusUnauthorized { // Whiskaway's, or a proxy; their server knows no tokens
		return nil, function.Errorf(function.CodeBadRequest, "%s asks for a token, and none is ever sent to a server of OpenServerless; if this one is Whiskaway's, leave protocol=openserverless out of main", c.base)
	}
	e := readError(resp)
	if !e.their {
		return nil, function.Errorf(function.CodeUnreachable, "%s does not answer as an OpenServerless server: %s", c.base, e.text)
	}
	return nil, function.Errorf(function.CodeInitFailed, "%s", e.text)
}

// initBody returns the body of an /init and its length, and sets the hash. The code
// passes through it from its file.
func (h *held) initBody(code io.ReadSeeker, spec function.Spec) (io.Reader, int64, error) {
	length, err := h.measure(code, spec.Binary)
	if err != nil {
		return nil, 0, err
	}
	env := map[string]string{"__OW_CODE_HASH": h.hash, "__OW_NAMESPACE": spec.Namespace, "__OW_ACTION_NAME": spec.FullName()}
	if spec.APIHost != "" {
		env["__OW_API_HOST"] = spec.APIHost
	}
	maps.Copy(env, spec.Env)        // no name in both: Spec.Check
	envText, _ := json.Marshal(env) // texts always can
	head := append([]byte(`{`), textField(fieldActionID, h.actionID)...)
	head = append(head, `,"value":{"code":"`...)
	tail := []byte(`",`)
	if spec.Binary {
		tail = append(tail, `"binary":true,`...)
	}
	tail = append(tail, textField("main", spec.Main)...)
	tail = append(append(append(tail, `,"env":`...), envText...), `}}`...)
	return io.MultiReader(bytes.NewReader(head), newCodeText(code, spec.Binary), bytes.NewReader(tail)), int64(len(head)) + length + int64(len(tail)), nil
}

// measure returns how long the code is as JSON, and sets the hash: the md5 of the text
// that it stands for there.
func (h *held) measure(code io.ReadSeeker, binary bool) (int64, error) {
	sum := md5.New()
	var raw io.Reader = code
	if !binary {
		raw = io.TeeReader(code, sum)
	}
	text := io.Reader(newCodeText(raw, binary))
	if binary {
		text = io.TeeReader(text, sum)
	}
	length, err := io.Copy(io.Discard, text)
	if err != nil {
		return 0, err
	}
	h.hash = hex.EncodeToString(sum.Sum(nil))
	_, err = code.Seek(0, io.SeekStart)
	return length, err
}

// A codeText reads code as what stands between the quotes of a JSON string: base64
// if it is binary, or else escaped.
type codeText struct {
	code   io.Reader
	binary bool
	chunk  []byte
	text   []byte // what waits to be read
	buf    []byte
	err    error
}

// codeChunk is a multiple of three, so that base64 needs no padding in between.
const codeChunk = 48 << 10

func newCodeText(code io.Reader, binary bool) *codeText {
	return &codeText{code: code, binary: binary, chunk: make([]byte, codeChunk)}
}

func (c *codeText) Read(p []byte) (int, error) {
	for len(c.text) == 0 {
		if c.err != nil {
			return 0, c.err
		}
		n, err := io.ReadFull(c.code, c.chunk)
		if c.err = err; err == io.ErrUnexpectedEOF {
			c.err = io.EOF
		}
		c.encode(c.chunk[:n])
	}
	n := copy(p, c.text)
	c.text = c.text[n:]
	return n, nil
}

func (c *codeText) encode(chunk []byte) {
	if c.binary {
		c.buf = base64.StdEncoding.AppendEncode(c.buf[:0], chunk)
	} else {
		c.buf = appendEscaped(c.buf[:0], chunk)
	}
	c.text = c.buf
}

// appendEscaped appends text with what JSON does not take as it is escaped.
func appendEscaped(dst, text []byte) []byte {
	const hex = "0123456789abcdef"
	for _, b := range text {
		switch {
		case b == '"' || b == '\\':
			dst = append(dst, '\\', b)
		case b < ' ':
			dst = append(dst, '\\', 'u', '0', '0', hex[b>>4], hex[b&15])
		default:
			dst = append(dst, b)
		}
	}
	return dst
}
