package codestore

import (
	"bytes"
	"container/list"
	"context"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/whiskaway/whiskaway/function"
)

// inBubble runs test with a clock that goes on only when everybody waits. It
// fails when an expectation is left at the end that nobody will fulfil.
func inBubble(t *testing.T, test func(t *testing.T, s *Store)) {
	t.Helper()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s := open(t, dir, 0)
		test(t, s)
		time.Sleep(sendGrace) // the last who were asked are not waited for any more
		s.mu.Lock()
		defer s.mu.Unlock()
		s.dropLapsed(time.Now())
		if s.waiting != 0 || len(s.expected) != 0 {
			t.Errorf("%d wait and %d codes are expected after the end", s.waiting, len(s.expected))
		}
	})
}

// An asker is one call of Await. It tells its answer when that is there.
type asker struct {
	leave context.CancelFunc
	done  chan struct{}
	err   error // set before done is closed
	took  time.Duration
}

func ask(t *testing.T, s *Store, namespace string, d function.Digest) *asker {
	ctx, cancel := context.WithCancel(t.Context())
	a := &asker{leave: cancel, done: make(chan struct{})}
	begin := time.Now()
	go func() {
		defer close(a.done)
		a.err = s.Await(ctx, namespace, d)
		a.took = time.Since(begin)
	}()
	synctest.Wait() // it has its answer, or it waits behind those before it
	return a
}

func (a *asker) waits() bool {
	synctest.Wait()
	select {
	case <-a.done:
		return false
	default:
		return true
	}
}

// wantAsked fails unless the asker was asked to send, after the time.
func (a *asker) wantAsked(t *testing.T, after time.Duration) {
	t.Helper()
	<-a.done
	wantCode(t, a.err, function.CodeCodeMissing)
	if a.took != after {
		t.Errorf("asked after %v, not %v", a.took, after)
	}
}

// slowly is a reader that gives step bytes of code, waits, and so on.
type slowly struct {
	code  io.Reader
	step  int
	pause time.Duration
}

func (r *slowly) Read(p []byte) (int, error) {
	time.Sleep(r.pause)
	return r.code.Read(p[:min(r.step, len(p))])
}

func TestOneIsAskedAndTheOthersWaitForIt(t *testing.T) {
	inBubble(t, func(t *testing.T, s *Store) {
		code := []byte("code")
		d := function.DigestOf(code)
		ask(t, s, "alice", d).wantAsked(t, 0)
		var others []*asker
		for range 99 {
			others = append(others, ask(t, s, "alice", d))
		}
		for _, a := range others {
			if !a.waits() {
				t.Fatal("one more was asked")
			}
		}
		put(t, s, "alice", code)
		for _, a := range others {
			if <-a.done; a.err != nil || a.took != 0 {
				t.Errorf("%v after %v", a.err, a.took)
			}
		}
		if err := s.Await(t.Context(), "alice", d); err != nil {
			t.Error(err)
		}
	})
}

func TestWhoDoesNotBeginToSendCostsItsGraceOnly(t *testing.T) {
	inBubble(t, func(t *testing.T, s *Store) {
		d := function.DigestOf([]byte("code"))
		ask(t, s, "alice", d).wantAsked(t, 0)
		second, third := ask(t, s, "alice", d), ask(t, s, "alice", d)
		second.wantAsked(t, sendGrace)
		if !third.waits() {
			t.Fatal("two were asked")
		}
		put(t, s, "alice", []byte("code"))
		if <-third.done; third.err != nil || third.took != sendGrace {
			t.Errorf("%v after %v", third.err, third.took)
		}
	})
}

func TestTheNextIsAskedAtOnceWhenAnUploadFails(t *testing.T) {
	inBubble(t, func(t *testing.T, s *Store) {
		d := function.DigestOf([]byte("code"))
		ask(t, s, "alice", d).wantAsked(t, 0)
		second, third, fourth := ask(t, s, "alice", d), ask(t, s, "alice", d), ask(t, s, "alice", d)
		wantCode(t, s.Put(t.Context(), "alice", d, strings.NewReader("other code")), function.CodeBadRequest)
		second.wantAsked(t, 0)
		if !third.waits() {
			t.Fatal("two were asked after one failure")
		}
		cut, stop := context.WithCancel(t.Context())
		stop()
		wantCode(t, s.Put(cut, "alice", d, strings.NewReader("code")), function.CodeCancelled)
		third.wantAsked(t, 0)
		fourth.wantAsked(t, 0) // too: this goes wrong too often
	})
}

// Who looks before the first in line has looked knows no time to wait for, and must
// be woken when there is one, or when the line moves.
func TestWhoWaitsIsWokenWhenItsTurnOrItsTimeIsKnown(t *testing.T) {
	woken := func(c <-chan struct{}) bool {
		select {
		case <-c:
			return true
		default:
			return false
		}
	}
	for name, change := range map[string]func(s *Store, key wanted, x *expectation, first *list.Element){
		"the first leaves":   func(s *Store, key wanted, x *expectation, first *list.Element) { s.leave(key, x, first) },
		"the first is asked": func(s *Store, key wanted, x *expectation, first *list.Element) { s.turn(key, x, first, time.Now()) },
		"an upload begins":   func(s *Store, key wanted, _ *expectation, _ *list.Element) { s.arrive(key) },
	} {
		s := open(t, t.TempDir(), 0)
		key := wanted{ownerMark("alice"), function.DigestOf([]byte("code"))}
		x, first, _ := s.queue(key)
		_, second, _ := s.queue(key)
		turn, until, changed := s.turn(key, x, second, time.Now())
		if turn != turnWait || !until.IsZero() || woken(changed) {
			t.Fatalf("%s: at first: %v, %v", name, turn, until)
		}
		change(s, key, x, first)
		if !woken(changed) {
			t.Errorf("%s: the second was not woken", name)
		}
		if turn, until, _ = s.turn(key, x, second, time.Now()); turn == turnWait && until.IsZero() {
			t.Errorf("%s: the second waits for nothing", name)
		}
	}
}

// A sender that goes on is waited for, however long it takes; one that stops, or
// is next to nothing, is not.
func TestWhoSendsIsWaitedForAsLongAsItGoesOn(t *testing.T) {
	code := bytes.Repeat([]byte("0123456789abcdef"), 64<<10) // 1 MB
	d := function.DigestOf(code)
	for name, c := range map[string]struct {
		step  int
		pause time.Duration
		next  time.Duration // when the next is asked; 0: never
	}{
		"goes on":  {progressStep / 2, sendGrace/2 - time.Millisecond, 0},
		"stops":    {progressStep, time.Hour, sendGrace},
		"trickles": {1 << 10, time.Second, sendGrace},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, s *Store) {
				var sending sync.WaitGroup
				defer sending.Wait()
				begin := time.Now()
				sending.Go(func() {
					if err := s.Put(t.Context(), "alice", d, &slowly{bytes.NewReader(code), c.step, c.pause}); err != nil {
						t.Error(err)
					}
				})
				synctest.Wait() // it has begun
				a := ask(t, s, "alice", d)
				if c.next > 0 {
					a.wantAsked(t, c.next)
					return
				}
				<-a.done
				if a.err != nil || time.Since(begin) < 10*sendGrace {
					t.Errorf("%v after %v", a.err, time.Since(begin))
				}
			})
		})
	}
}

func TestNoNamespaceWaitsForAnother(t *testing.T) {
	inBubble(t, func(t *testing.T, s *Store) {
		code := []byte("code")
		d := function.DigestOf(code)
		ask(t, s, "alice", d).wantAsked(t, 0)
		ask(t, s, "bob", d).wantAsked(t, 0)
		waiting := ask(t, s, "bob", d)
		put(t, s, "alice", code)
		if !waiting.waits() {
			t.Fatalf("alice's code told bob something: %v", waiting.err)
		}
		ask(t, s, "carol", d).wantAsked(t, 0) // that it is here changes nothing for her
		put(t, s, "bob", code)
		if <-waiting.done; waiting.err != nil {
			t.Error(waiting.err)
		}
	})
}

func TestWhoLeavesIsNotAskedAndHoldsUpNobody(t *testing.T) {
	inBubble(t, func(t *testing.T, s *Store) {
		d := function.DigestOf([]byte("code"))
		ask(t, s, "alice", d).wantAsked(t, 0)
		leaver, other := ask(t, s, "alice", d), ask(t, s, "alice", d)
		leaver.leave()
		<-leaver.done
		wantCode(t, leaver.err, function.CodeCancelled)
		other.wantAsked(t, sendGrace)

		gone, cancel := context.WithCancel(t.Context())
		cancel()
		d = function.DigestOf([]byte("another code"))
		wantCode(t, s.Await(gone, "alice", d), function.CodeCancelled)
		ask(t, s, "alice", d).wantAsked(t, 0)
	})
}

// Somebody asks with a hundred Inits at a time, again and again, and never sends.
// Who is behind them is asked after a few graces, not after a hundred.
func TestWhoAsksAndNeverSendsStarvesNobody(t *testing.T) {
	inBubble(t, func(t *testing.T, s *Store) {
		d := function.DigestOf([]byte("code"))
		var idle sync.WaitGroup
		ctx, stop := context.WithCancel(t.Context())
		for range 100 {
			idle.Go(func() {
				for ctx.Err() == nil {
					s.Await(ctx, "alice", d)
				}
			})
		}
		synctest.Wait()
		honest := ask(t, s, "alice", d)
		<-honest.done
		wantCode(t, honest.err, function.CodeCodeMissing)
		if honest.took > 10*sendGrace {
			t.Errorf("it was asked after %v", honest.took)
		}
		put(t, s, "alice", []byte("code"))
		stop()
		idle.Wait()
	})
}

// The bounds: then everybody is asked at once, and nobody waits.
func TestExpectationsAreBounded(t *testing.T) {
	inBubble(t, func(t *testing.T, s *Store) {
		for i := range maxExpected {
			wantCode(t, s.Await(t.Context(), "alice", function.Digest{1, byte(i), byte(i >> 8)}), function.CodeCodeMissing)
		}
		d := function.DigestOf([]byte("code"))
		for range 2 {
			ask(t, s, "bob", d).wantAsked(t, 0)
		}
		if len(s.expected) != maxExpected {
			t.Errorf("%d codes are expected", len(s.expected))
		}
		put(t, s, "bob", []byte("code"))
		time.Sleep(sendGrace) // then nobody waits for what alice never sent
		other := function.DigestOf([]byte("other"))
		ask(t, s, "bob", other).wantAsked(t, 0)
		if len(s.expected) != 1 {
			t.Errorf("%d codes are expected", len(s.expected))
		}
		waiting := ask(t, s, "bob", other)
		s.mu.Lock()
		s.waiting += maxWaiting
		s.mu.Unlock()
		ask(t, s, "bob", other).wantAsked(t, 0)
		s.mu.Lock()
		s.waiting -= maxWaiting
		s.mu.Unlock()
		put(t, s, "bob", []byte("other"))
		<-waiting.done
	})
}

// An upload that was given up because it stopped may come to its end after all.
func TestAnUploadThatWasGivenUpMayStillSucceed(t *testing.T) {
	inBubble(t, func(t *testing.T, s *Store) {
		code := []byte("code")
		d := function.DigestOf(code)
		var sending sync.WaitGroup
		sending.Go(func() {
			if err := s.Put(t.Context(), "alice", d, &slowly{bytes.NewReader(code), 4, 2 * sendGrace}); err != nil {
				t.Error(err)
			}
		})
		synctest.Wait()
		second, third := ask(t, s, "alice", d), ask(t, s, "alice", d)
		second.wantAsked(t, sendGrace)
		<-third.done // the code came before the second's grace was over, or just then
		sending.Wait()
		if err := s.Await(t.Context(), "alice", d); err != nil {
			t.Error(err)
		}
	})
}
