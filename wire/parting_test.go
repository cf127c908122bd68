package wire

import (
	"context"
	"errors"
	"testing"

	"github.com/whiskaway/whiskaway/function"
)

// A server that ends says so before its last answers have come in: its balancer
// closed the connections on which they were about to.
func TestAnswersUnderWayComeInAfterASessionsEnd(t *testing.T) {
	noLeaks(t)
	part := make(chan struct{}, 1) // lets one session go
	joined := make(chan Joining, 2)
	join := func(ctx context.Context, j Joining) error {
		joined <- j
		select {
		case <-part:
			return errors.New("its status says that it ends")
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	addr := serve(t, NewHandler(HandlerConfig{Host: &fakeHost{}, Auth: roleTokens{}, Join: join}), Server{})
	began, finish := make(chan struct{}), make(chan struct{})
	host := &fakeHost{run: func(ctx context.Context, id function.ID, claim function.Claim, act *function.Activation, out function.Output) (function.Summary, error) {
		close(began)
		<-finish
		return echo(ctx, id, claim, act, out)
	}}
	goHome(t, HomeConfig{URL: "http://" + addr, Token: "join", Host: host})
	j := within(t, joined, "the server")
	ended := make(chan function.Summary, 1)
	go func() {
		sum, err := j.Host.Run(t.Context(), function.ID{1}, testClaim, activation(`{}`), &recorder{})
		if err != nil {
			t.Error(err)
		}
		ended <- sum
	}()
	within(t, began, "the run")
	part <- struct{}{}
	within(t, joined, "the server, which joins anew")
	close(finish)
	if sum := within(t, ended, "the answer"); sum.Outcome != function.OutcomeOK {
		t.Errorf("the run that was under way ended as %+v", sum)
	}
}
