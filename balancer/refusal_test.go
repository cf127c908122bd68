package balancer

import (
	"testing"

	"github.com/whiskaway/whiskaway/function"
)

func TestWhyNobody(t *testing.T) {
	there := []function.ServerStatus{fakeServer("a", 1, "amd64", "llm"), fakeServer("b", 1, "amd64")}
	draining := []function.ServerStatus{fakeServer("a", 1, "gpu")}
	draining[0].Draining = true
	bare := []function.ServerStatus{fakeServer("a", 1)}
	ruby := specOf("f")
	ruby.Kind = "ruby:3"
	rubyHere := specOf("f", "llm")
	rubyHere.Kind = "ruby:3"
	for _, tt := range []struct {
		servers []function.ServerStatus
		spec    function.Spec
		want    string
	}{
		{there, specOf("f", "gpu"), `no connected server has the label "gpu"; the labels there are: llm (1 server), amd64 (2 servers)`},
		{there, specOf("f", "gpu", "llm"), `no connected server has all of the labels "gpu", "llm"; the labels there are: llm (1 server), amd64 (2 servers)`},
		{bare, specOf("f", "gpu"), `no connected server has the label "gpu"; the labels there are: none`},
		{there, ruby, `no connected server runs the kind "ruby:3"; the kinds there are: python:3 (2 servers)`},
		{there, rubyHere, `no connected server with the label "llm" runs the kind "ruby:3"; the kinds there are: python:3 (1 server)`},
		{draining, specOf("f", "gpu"), `every connected server with the label "gpu" and the kind "python:3" is draining: it takes nothing new`},
		{nil, specOf("f", "gpu"), `no server is connected; start one with: whiskaway server --balancer URL --token TOKEN --label gpu`},
		{nil, specOf("f"), `no server is connected; start one with: whiskaway server --balancer URL --token TOKEN`},
	} {
		if got := whyNobody(tt.servers, tt.spec); got != tt.want {
			t.Errorf("got  %s\nwant %s", got, tt.want)
		}
	}
}

func TestNoServerWithTheLabelIsRefusedAtOnce(t *testing.T) {
	b := open(t, Config{})
	spec := specOf("hello", "gpu")
	put(t, b, spec)
	_, err := b.Init(t.Context(), spec, function.Lease{ID: "l"})
	wantCode(t, err, function.CodeNoCapacity)
	_, err = b.Init(t.Context(), spec, function.Lease{})
	wantCode(t, err, function.CodeBadRequest)
	spec.Main = ""
	_, err = b.Init(t.Context(), spec, function.Lease{ID: "l"})
	wantCode(t, err, function.CodeBadRequest)
}
