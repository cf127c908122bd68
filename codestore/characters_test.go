package codestore

import (
	"bytes"
	"context"
	"io"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/whiskaway/whiskaway/function"
)

// Clients of all characters at once, drawn by chance: those that mean it all get
// the code within some graces, whatever the others do.
func TestWhoMeansItGetsTheCodeWhateverOthersDo(t *testing.T) {
	rounds := 10
	if os.Getenv("WHISKAWAY_SLOW") != "" {
		rounds = 300
	}
	for seed := range rounds {
		inBubble(t, func(t *testing.T, s *Store) {
			draw := rand.New(rand.NewPCG(uint64(seed), 1))
			var all sync.WaitGroup
			for range 60 {
				c := client{s: s, code: bytes.Repeat([]byte("code"), 64<<10), begins: time.Duration(draw.Int64N(int64(20 * time.Second))), character: draw.IntN(6)}
				all.Go(func() { c.act(t) })
			}
			all.Wait()
			if d := function.DigestOf(bytes.Repeat([]byte("code"), 64<<10)); !has(s, "alice", d) {
				t.Errorf("seed %d: nobody sent the code", seed)
			}
		})
	}
}

// A client asks for code, and sends it as its character is.
type client struct {
	s         *Store
	code      []byte
	begins    time.Duration
	character int
}

func (c client) act(t *testing.T) {
	time.Sleep(c.begins)
	d := function.DigestOf(c.code)
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
	defer cancel()
	switch c.character {
	case 0: // only asks
		c.s.Await(ctx, "alice", d)
	case 1: // sends other bytes
		if c.s.Await(ctx, "alice", d) != nil {
			c.s.Put(ctx, "alice", d, strings.NewReader("other"))
		}
	case 2: // stops in the middle
		if c.s.Await(ctx, "alice", d) != nil {
			c.s.Put(ctx, "alice", d, io.MultiReader(bytes.NewReader(c.code[:len(c.code)/2]), &slowly{strings.NewReader(""), 1, time.Minute}))
		}
	case 3: // sends unasked
		c.s.Put(ctx, "alice", d, bytes.NewReader(c.code))
	default:
		c.mean(t, d)
	}
}

// mean is a client that means it.
func (c client) mean(t *testing.T, d function.Digest) {
	begin := time.Now()
	err := c.s.Await(t.Context(), "alice", d)
	if function.CodeOf(err) == function.CodeCodeMissing {
		err = c.s.Put(t.Context(), "alice", d, bytes.NewReader(c.code))
	}
	if err != nil || time.Since(begin) > 20*sendGrace {
		t.Errorf("%v after %v", err, time.Since(begin))
	}
}
