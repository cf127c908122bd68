package wire

import (
	"context"
	"io"
	"net/http"

	"github.com/whiskaway/whiskaway/function"
)

// PutCode streams the code to the host: compressed when the host takes that, the
// beginning of the code shows that it helps, and the code can be read once more
// should the host refuse it.
func (c *Client) PutCode(ctx context.Context, namespace string, digest function.Digest, code io.Reader) error {
	r := c.request(ctx, http.MethodPut, at(c.base, "/code/"+digest.String()))
	r.Header[headerNamespace] = []string{namespace}
	r.Header["Content-Type"] = []string{"application/octet-stream"}
	again, ok := rereadableOf(code)
	if !ok {
		r.Body, r.ContentLength = io.NopCloser(code), -1
		return c.call(ctx, r, nil)
	}
	if c.takesZstd.Load() {
		sendRaw, err := c.putPacked(ctx, r.Clone(ctx), again)
		if !sendRaw {
			return err
		}
	}
	setBody(r, again.size, func() io.Reader { return again.open() })
	return c.call(ctx, r, nil)
}

// putPacked sends the code compressed. sendRaw says that it must be sent raw instead:
// that is smaller, or the host refused it. A host that knows no encodings found
// another digest then, and calls the request bad.
func (c *Client) putPacked(ctx context.Context, r *http.Request, code rereadable) (sendRaw bool, err error) {
	worth, err := worthPacking(code)
	if err != nil {
		return false, function.Errorf(function.CodeInternal, "%v", err)
	}
	if !worth {
		return true, nil
	}
	r.Header["Content-Encoding"] = []string{encodingZstd}
	setBody(r, -1, func() io.Reader { return newPacker(code.open()) })
	if err = c.call(ctx, r, nil); function.CodeOf(err) != function.CodeBadRequest {
		return false, err
	}
	c.log.Info("compressed code was refused; sending it raw", "host", c.name, "error", err)
	return true, nil
}

// setBody gives r a body of size bytes (-1: not known), which net/http may read again when
// an idle connection turns out to be closed.
func setBody(r *http.Request, size int64, open func() io.Reader) {
	if r.ContentLength = size; size == 0 {
		r.Body = http.NoBody
		return
	}
	r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(open()), nil }
	r.Body, _ = r.GetBody()
}
