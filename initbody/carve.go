package initbody

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/whiskaway/whiskaway/function"
)

// carve copies the JSON text of in, with the string at value.code left empty,
// and writes that string, unescaped, to code. So the code, which may have
// dozens of megabytes, need not be in memory. What it returns is JSON only if
// the input is: that is for the caller's parser to find out.
func carve(in *bufio.Reader, code io.Writer) ([]byte, error) {
	c := carver{in: in, code: code}
	err := c.all()
	return c.rest, err
}

// A carver knows where in the JSON text it is, as far as that takes to tell the
// string at value.code from any other.
type carver struct {
	in    *bufio.Reader
	code  io.Writer
	rest  []byte
	taken int // bytes of code so far
	found bool

	depth   int       // open braces and brackets
	objects [3]bool   // whether the one opened at this depth is a brace
	keys    [3]string // the last key at this depth
	inKey   bool      // the next string is a key
}

func (c *carver) all() error {
	for {
		b, err := c.in.ReadByte()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return function.Errorf(function.CodeBadRequest, "The body of /init ended early: %v.", err)
		}
		if err := c.take(b); err != nil {
			return err
		}
	}
}

// take handles a byte outside of strings.
func (c *carver) take(b byte) error {
	if b == '"' {
		return c.str()
	}
	switch b {
	case '{', '[':
		c.depth++
		if c.tracked() {
			c.objects[c.depth] = b == '{'
			c.keys[c.depth] = ""
		}
		c.inKey = b == '{'
	case '}', ']':
		c.depth--
		c.inKey = false
	case ',':
		c.inKey = c.tracked() && c.objects[c.depth]
	case ':':
		c.inKey = false
	}
	return c.keep(b)
}

// tracked reports whether this depth is one that matters: the body's object or
// the object "value" in it.
func (c *carver) tracked() bool { return c.depth == 1 || c.depth == 2 }

// keep adds bytes to the rest.
func (c *carver) keep(b ...byte) error {
	if len(c.rest)+len(b) > maxRest {
		return function.Errorf(function.CodeTooLarge, "The body of /init has more than %d MB beside the code.", maxRest>>20)
	}
	c.rest = append(c.rest, b...)
	return nil
}

// str handles a string whose first quote has just been read.
func (c *carver) str() error {
	if c.isCode() {
		if c.found {
			return function.Errorf(function.CodeBadRequest, "The body of /init has the code twice.")
		}
		c.found = true
		if err := c.copyCode(); err != nil {
			return err
		}
		return c.keep('"', '"')
	}
	start := len(c.rest)
	if err := c.copyString(); err != nil {
		return err
	}
	if c.inKey && c.tracked() {
		// A key that is not JSON makes the whole body fail later.
		c.keys[c.depth] = ""
		json.Unmarshal(c.rest[start:], &c.keys[c.depth])
	}
	return nil
}

func (c *carver) isCode() bool {
	return c.depth == 2 && !c.inKey && c.objects[1] && c.objects[2] && c.keys[1] == "value" && c.keys[2] == "code"
}

// copyString keeps a string as it is, quotes included.
func (c *carver) copyString() error {
	if err := c.keep('"'); err != nil {
		return err
	}
	for escaped := false; ; {
		b, err := c.in.ReadByte()
		if err != nil {
			return errCutString
		}
		if err := c.keep(b); err != nil {
			return err
		}
		if b == '"' && !escaped {
			return nil
		}
		escaped = b == '\\' && !escaped
	}
}

var errCutString = function.Errorf(function.CodeBadRequest, "The body of /init ended inside a string.")

// copyCode writes the string's text to code, up to its last quote.
func (c *carver) copyCode() error {
	for {
		plain, err := c.plainRun()
		if err != nil {
			return err
		}
		if err := c.put(plain); err != nil {
			return err
		}
		if c.in.Buffered() == 0 {
			continue
		}
		b, err := c.in.ReadByte()
		switch {
		case err != nil:
			return errCutString
		case b == '"':
			return nil
		case b != '\\':
			return function.Errorf(function.CodeBadRequest, "The code in the body of /init has a control character that JSON does not allow.")
		}
		if err := c.putEscaped(); err != nil {
			return err
		}
	}
}

// plainRun returns the bytes that are buffered, up to one that is not plain,
// and consumes them. The slice is valid until the next read.
func (c *carver) plainRun() ([]byte, error) {
	if _, err := c.in.Peek(1); err != nil {
		return nil, errCutString
	}
	window, _ := c.in.Peek(c.in.Buffered())
	n := 0
	for n < len(window) && window[n] != '"' && window[n] != '\\' && window[n] >= ' ' {
		n++
	}
	c.in.Discard(n)
	return window[:n], nil
}

// put writes some of the code.
func (c *carver) put(p []byte) error {
	if c.taken += len(p); c.taken > maxCodeText {
		return errCodeTooLarge
	}
	_, err := c.code.Write(p)
	return err
}

// putEscaped writes what follows a backslash.
func (c *carver) putEscaped() error {
	b, err := c.in.ReadByte()
	if err != nil {
		return errCutString
	}
	const names, values = `"\/bfnrt`, "\"\\/\b\f\n\r\t"
	for i := range len(names) {
		if names[i] == b {
			return c.put([]byte{values[i]})
		}
	}
	if b != 'u' {
		return errBadEscape
	}
	r, err := c.hexRune()
	if err != nil {
		return err
	}
	if utf16.IsSurrogate(r) {
		return c.putSurrogate(r)
	}
	return c.put(utf8.AppendRune(nil, r))
}

var errBadEscape = function.Errorf(function.CodeBadRequest, "The code in the body of /init has a backslash before something that JSON does not know.")

// putSurrogate writes the rune that starts with r. As in encoding/json, a half
// without its other half becomes the replacement character.
func (c *carver) putSurrogate(r rune) error {
	next, _ := c.in.Peek(6)
	if len(next) == 6 && next[0] == '\\' && next[1] == 'u' {
		second, err := strconv.ParseUint(string(next[2:]), 16, 16)
		if pair := utf16.DecodeRune(r, rune(second)); err == nil && pair != utf8.RuneError {
			c.in.Discard(6)
			return c.put(utf8.AppendRune(nil, pair))
		}
	}
	return c.put(utf8.AppendRune(nil, utf8.RuneError))
}

// hexRune reads four hex digits.
func (c *carver) hexRune() (rune, error) {
	var digits [4]byte
	if _, err := io.ReadFull(c.in, digits[:]); err != nil {
		return 0, errCutString
	}
	n, err := strconv.ParseUint(string(digits[:]), 16, 16)
	if errors.Is(err, strconv.ErrSyntax) {
		return 0, errBadEscape
	}
	return rune(n), err
}
