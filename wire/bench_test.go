package wire

import (
	"crypto/tls"
	"net/url"
	"testing"

	"github.com/whiskaway/whiskaway/function"
)

// The benchmarks measure one hop with a host that only echoes: both ends of it.

func BenchmarkRunDialled(b *testing.B) {
	c, _ := serveHost(b, &fakeHost{run: echo})
	benchmarkRuns(b, c)
}

func BenchmarkRunHome(b *testing.B) {
	balancer := newTestBalancer()
	addr := serve(b, balancer.handler(), Server{})
	goHome(b, HomeConfig{URL: "http://" + addr, Token: "join", Host: &fakeHost{run: echo}})
	benchmarkRuns(b, within(b, balancer.joined, "the server").Host)
}

// benchTLS is for a server on loopback, with the fingerprint of its authority.
func benchTLS(b *testing.B) (*tls.Config, string) {
	authority, err := OpenAuthority(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	config, err := authority.ServerConfig([]string{"127.0.0.1"})
	if err != nil {
		b.Fatal(err)
	}
	return config, authority.Fingerprint()
}

func BenchmarkRunHomeTLS(b *testing.B) {
	config, fingerprint := benchTLS(b)
	balancer := newTestBalancer()
	addr := serve(b, balancer.handler(), Server{TLS: config})
	goHome(b, HomeConfig{URL: "https://" + addr, Token: "join~" + fingerprint, Host: &fakeHost{run: echo}})
	benchmarkRuns(b, within(b, balancer.joined, "the server").Host)
}

// What a connection costs, both ends of it.
func BenchmarkDialTLS(b *testing.B) {
	config, fingerprint := benchTLS(b)
	addr := serve(b, newTestBalancer().handler(), Server{TLS: config})
	token, err := ParseToken("join~" + fingerprint)
	if err != nil {
		b.Fatal(err)
	}
	dial := newDial(&url.URL{Scheme: "https", Host: addr}, token, nil)
	b.ReportAllocs()
	for b.Loop() {
		conn, err := dial(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		conn.Close()
	}
}

func benchmarkRuns(b *testing.B, host function.Host) {
	act := activation(`{"value":{"name":"stranger"}}`)
	nobody := function.OutputFunc(func(function.Stream, []byte) error { return nil })
	b.ReportAllocs()
	b.SetParallelism(16)
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			sum, err := host.Run(b.Context(), function.ID{1}, testClaim, act, nobody)
			if err != nil || sum.Outcome != function.OutcomeOK {
				b.Errorf("%+v, %v", sum, err)
				return
			}
		}
	})
}
