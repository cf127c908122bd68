package bus

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
)

// A Codec makes bytes of a topic's messages, and messages of bytes, for a bus that
// leaves the process and for the journal.
type Codec[T any] interface {
	Encode(T) ([]byte, error)
	Decode([]byte) (T, error)
}

// SecretSize is the size of the secret of NewRunCodec, in bytes.
const SecretSize = 32

// ErrSealed says that a run's API key was sealed with another secret.
var ErrSealed = errors.New("its API key was sealed with another secret")

// runCodec encodes a run as its fields in one line of JSON, and after it the arguments as
// they came. The API key is in there sealed; what lies in the sender's process is not.
type runCodec struct{ seal cipher.AEAD }

// sealedRun is the first line.
type sealedRun struct {
	*Run
	Args json.RawMessage `json:",omitempty"` // in place of the run's
	Key  []byte          `json:",omitempty"` // the sealed API key, with its nonce in front
}

// NewRunCodec returns the codec of runs. Whoever shall read what it encodes needs the
// same secret, of SecretSize random bytes.
func NewRunCodec(secret []byte) (Codec[*Run], error) {
	block, err := aes.NewCipher(secret)
	if err != nil {
		return nil, fmt.Errorf("the secret for API keys: %w", err)
	}
	seal, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("the secret for API keys: %w", err)
	}
	return runCodec{seal}, nil
}

// Encode implements Codec.
func (c runCodec) Encode(r *Run) ([]byte, error) {
	line := sealedRun{Run: r}
	if r.APIKey != "" {
		nonce := make([]byte, c.seal.NonceSize())
		rand.Read(nonce) // never fails
		line.Key = c.seal.Seal(nonce, nonce, []byte(r.APIKey), []byte(r.ActivationID))
	}
	head, err := json.Marshal(line)
	if err != nil {
		return nil, fmt.Errorf("encoding a run: %w", err)
	}
	all := make([]byte, 0, len(head)+1+len(r.Args))
	return append(append(append(all, head...), '\n'), r.Args...), nil
}

// Decode implements Codec. With ErrSealed the run is whole but for its API key.
func (c runCodec) Decode(data []byte) (*Run, error) {
	head, args, ok := bytes.Cut(data, []byte{'\n'})
	line := sealedRun{Run: &Run{}}
	if err := json.Unmarshal(head, &line); err != nil || !ok {
		return nil, fmt.Errorf("decoding a run: %w", errors.Join(err, missing(ok)))
	}
	r := line.Run
	r.Args = args
	if len(line.Key) == 0 {
		return r, nil
	}
	n := c.seal.NonceSize()
	if len(line.Key) < n {
		return r, ErrSealed
	}
	key, err := c.seal.Open(nil, line.Key[:n], line.Key[n:], []byte(r.ActivationID))
	if err != nil {
		return r, ErrSealed
	}
	r.APIKey = string(key)
	return r, nil
}

func missing(ok bool) error {
	if ok {
		return nil
	}
	return errors.New("it has no arguments")
}
