package function

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestParseMain(t *testing.T) {
	labels := func(l ...string) Requirements { return Requirements{Labels: l} }
	for _, c := range []struct {
		main   string
		name   string
		target *Target
		err    string
	}{
		{main: "main", name: "main"},
		{main: "", name: "main"},
		{main: "handler", name: "handler"},
		{main: "main@gpu", name: "main", target: &Target{Require: labels("gpu")}},
		{main: "@gpu", name: "main", target: &Target{Require: labels("gpu")}},
		{main: "f@region=eu&gpu", name: "f", target: &Target{Require: labels("gpu", "region=eu")}},
		{main: "f@gpu&gpu", name: "f", target: &Target{Require: labels("gpu")}},
		{main: "f@gpu=2&gpu-memory=24g", name: "f", target: &Target{Require: Requirements{GPUs: 2, GPUMemory: 24 << 30}}},
		{main: "f@gpu?memory=512m&workers=3&warm=1&concurrency=8&kind=python:3", name: "f", target: &Target{Kind: "python:3",
			Require: Requirements{Labels: []string{"gpu"}, Memory: 512 << 20, Workers: 3, Warm: 1, Concurrency: 8}}},
		{main: "main@gpu.example.com", name: "main", target: &Target{Host: "https://gpu.example.com"}},
		{main: "main@localhost:8080", name: "main", target: &Target{Host: "https://localhost:8080"}},
		{main: "main@http://10.0.0.1:8080/path/", name: "main", target: &Target{Host: "http://10.0.0.1:8080/path"}},
		{main: "main@https://gpu.example.com?memory=8g", name: "main", target: &Target{Host: "https://gpu.example.com", Require: Requirements{Memory: 8 << 30}}},
		{main: "main@gpu.example.com?protocol=openserverless", name: "main", target: &Target{Host: "https://gpu.example.com", Protocol: ProtocolOpenServerless}},
		{main: "@http://10.0.0.5:8080&kind=nodejs:20&protocol=whiskaway", name: "main", target: &Target{Host: "http://10.0.0.5:8080", Kind: "nodejs:20", Protocol: ProtocolWhiskaway}},
		{main: "main@https://[::1]:3234", name: "main", target: &Target{Host: "https://[::1]:3234"}},
		{main: "main@", err: "nothing follows the @"},
		{main: "main@gpu&", err: "nothing follows"},
		{main: "main@gpu&&a", err: "not a label"},
		{main: "main@https://user:secret@host.example", err: "WHISKAWAY_TOKENS_FILE"},
		{main: "main@ftp://host.example", err: "scheme"},
		{main: "main@host.example:99999", err: "port"},
		{main: "main@host.example:", err: "port"},
		{main: "main@gpu&memory=lots", err: "not a size"},
		{main: "main@gpu&workers=0", err: "from 1 to"},
		{main: "main@gpu&kind=", err: "kind"},
		{main: "main@gpu.example.com?protocol=", err: "it is whiskaway or openserverless"},
		{main: "main@gpu.example.com?protocol=http", err: "it is whiskaway or openserverless"},
		{main: "main@gpu&protocol=openserverless", err: "belongs to a host"},
		{main: "main@protocol=whiskaway", err: "belongs to a host"},
		{main: "main@g pu", err: "letters, digits"},
	} {
		name, target, err := ParseMain(c.main)
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) || CodeOf(err) != CodeBadRequest {
				t.Errorf("ParseMain(%q): error %v, want one with %q", c.main, err, c.err)
			}
			continue
		}
		if err != nil || name != c.name || !reflect.DeepEqual(target, c.target) {
			t.Errorf("ParseMain(%q) = %q, %+v, %v; want %q, %+v", c.main, name, target, err, c.name, c.target)
		}
	}
}

func TestParseMainHidesPasswords(t *testing.T) {
	_, _, err := ParseMain("main@https://user:hunter2@host.example")
	if err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("the error tells the password: %v", err)
	}
}

func FuzzParseMain(f *testing.F) {
	for _, s := range []string{"main", "@gpu", "f@a.b:1?x=y&memory=1g", "f@http://u:p@h", "f@[::1]:1", "@@", "f@=&?", "f@a.b?protocol=openserverless", "f@g&protocol=whiskaway"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, main string) {
		name, target, err := ParseMain(main)
		if err != nil {
			return
		}
		if name == "" {
			t.Error("no function name")
		}
		if target != nil {
			s := Spec{Namespace: "n", Action: "a", Kind: "k", Main: "m", Require: target.Require}
			if err := s.Check(); err != nil {
				t.Errorf("a parsed target is refused: %v", err)
			}
			if target.Protocol != "" && target.Host == "" {
				t.Error("a protocol without a host")
			}
		}
	})
}

func TestParseBytes(t *testing.T) {
	for text, want := range map[string]int64{"1": 1, "512m": 512 << 20, "8g": 8 << 30, "8GB": 8 << 30, "8GiB": 8 << 30, "1.5k": 1536, "2T": 2 << 40} {
		if got, err := ParseBytes(text); err != nil || got != want {
			t.Errorf("ParseBytes(%q) = %d, %v; want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "m", "-1g", "0", "nan", "inf", "1e30g", "1gm", "8 apples"} {
		if got, err := ParseBytes(text); err == nil {
			t.Errorf("ParseBytes(%q) = %d, want an error", text, got)
		}
	}
}

func TestIDTellsFunctionsApart(t *testing.T) {
	base := func() Spec {
		return Spec{Namespace: "guest", Action: "hello", Kind: "python:3", Main: "main", Code: DigestOf([]byte("x")),
			Env: map[string]string{"A": "1", "B": "2"}, Require: Requirements{Labels: []string{"gpu"}}}
	}
	if again := base(); again.ID() != base().ID() {
		t.Fatal("the same spec has two IDs")
	}
	seen := map[ID]string{base().ID(): "base"}
	for name, change := range map[string]func(*Spec){
		"namespace": func(s *Spec) { s.Namespace = "other" },
		"action":    func(s *Spec) { s.Action = "other" },
		"shifted":   func(s *Spec) { s.Namespace, s.Action = "guesth", "ello" },
		"kind":      func(s *Spec) { s.Kind = "nodejs:20" },
		"main":      func(s *Spec) { s.Main = "other" },
		"code":      func(s *Spec) { s.Code = DigestOf([]byte("y")) },
		"binary":    func(s *Spec) { s.Binary = true },
		"api host":  func(s *Spec) { s.APIHost = "http://other" },
		"env value": func(s *Spec) { s.Env["A"] = "3" },
		"env name":  func(s *Spec) { delete(s.Env, "A"); s.Env["C"] = "1" },
		"env split": func(s *Spec) { s.Env = map[string]string{"A": "1B2"} },
		"no env":    func(s *Spec) { s.Env = nil },
		"label":     func(s *Spec) { s.Require.Labels = []string{"cpu"} },
		"no label":  func(s *Spec) { s.Require.Labels = nil },
		"memory":    func(s *Spec) { s.Require.Memory = 1 },
		"gpus":      func(s *Spec) { s.Require.GPUs = 1 },
		"gpu mem":   func(s *Spec) { s.Require.GPUMemory = 1 },
		"workers":   func(s *Spec) { s.Require.Workers = 1 },
		"warm":      func(s *Spec) { s.Require.Warm = 1 },
		"concur":    func(s *Spec) { s.Require.Concurrency = 1 },
	} {
		s := base()
		change(&s)
		if other, dup := seen[s.ID()]; dup {
			t.Errorf("%q and %q have the same ID", name, other)
		}
		seen[s.ID()] = name
	}
}

// Every field of Spec must be in the ID; who adds one must come by here.
func TestIDKnowsEveryField(t *testing.T) {
	if n := reflect.TypeFor[Spec]().NumField(); n != 9 {
		t.Errorf("Spec has %d fields, ID() knows 9", n)
	}
	if n := reflect.TypeFor[Requirements]().NumField(); n != 7 {
		t.Errorf("Requirements has %d fields, ID() knows 7", n)
	}
}

func TestSpecSurvivesJSON(t *testing.T) {
	s := Spec{Namespace: "guest", Action: "p/hello", Kind: "python:3", Main: "main", Code: DigestOf([]byte("x")), Binary: true,
		Env: map[string]string{"A": "ü\n"}, APIHost: "http://h", Require: Requirements{Labels: []string{"gpu"}, Memory: 5}}
	b, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	var back Spec
	if err := json.Unmarshal(b, &back); err != nil || back.ID() != s.ID() {
		t.Errorf("%s came back as %+v, %v", b, back, err)
	}
}

func TestSpecCheck(t *testing.T) {
	good := Spec{Namespace: "n", Action: "a", Kind: "k", Main: "m"}
	if err := good.Check(); err != nil {
		t.Error(err)
	}
	for name, change := range map[string]func(*Spec){
		"namespace": func(s *Spec) { s.Namespace = "" },
		"main":      func(s *Spec) { s.Main = "" },
		"zero":      func(s *Spec) { s.Action = "a\x00b" },
		"__OW_":     func(s *Spec) { s.Env = map[string]string{"__OW_API_KEY": "x"} },
		"=":         func(s *Spec) { s.Env = map[string]string{"a=b": "x"} },
		"labels":    func(s *Spec) { s.Require.Labels = []string{"b", "a"} },
		"twice":     func(s *Spec) { s.Require.Labels = []string{"a", "a"} },
		"no label":  func(s *Spec) { s.Require.Labels = []string{"a b"} },
		"long":      func(s *Spec) { s.Action = strings.Repeat("a", maxName+1) },
		"two lines": func(s *Spec) { s.Namespace = "a\r\nb" },
		"not UTF-8": func(s *Spec) { s.Main = "\xff" },
		"api host":  func(s *Spec) { s.APIHost = "h\x00" },
		"memory":    func(s *Spec) { s.Require.Memory = -1 },
		"many":      func(s *Spec) { s.Require.Concurrency = maxCount + 1 },
	} {
		s := good
		change(&s)
		if CodeOf(s.Check()) != CodeBadRequest {
			t.Errorf("%s: Check() = %v", name, s.Check())
		}
	}
}

func TestCheckLeaseID(t *testing.T) {
	for _, good := range []string{"l", NewLeaseID(), strings.Repeat("x", 256)} {
		if err := CheckLeaseID(good); err != nil {
			t.Error(err)
		}
	}
	for _, bad := range []string{"", "a b", "a\nb", "ü", "\xff", "\x7f", strings.Repeat("x", 257)} {
		if CodeOf(CheckLeaseID(bad)) != CodeBadRequest {
			t.Errorf("%q: %v", bad, CheckLeaseID(bad))
		}
	}
}

func TestFramesRoundTrip(t *testing.T) {
	var buf bytes.Buffer
	big := bytes.Repeat([]byte("x"), 3<<20)
	for s, p := range [][]byte{End: []byte("{}"), Stdout: nil, Stderr: []byte("e"), Result: big} {
		var h [FrameHeaderSize]byte
		PutFrameHeader(h[:], Stream(s), len(p))
		buf.Write(h[:])
		buf.Write(p)
	}
	whole := buf.Bytes()
	r := NewFrameReader(bytes.NewReader(whole))
	for s, want := range [][]byte{End: []byte("{}"), Stdout: {}, Stderr: []byte("e"), Result: big} {
		got, p, err := r.Next()
		if err != nil || got != Stream(s) || !bytes.Equal(p, want) {
			t.Fatalf("frame %d: stream %d, %d bytes, %v", s, got, len(p), err)
		}
	}
	if _, _, err := r.Next(); err != io.EOF {
		t.Errorf("after the last frame: %v, want EOF", err)
	}
	r = NewFrameReader(bytes.NewReader(whole[:len(whole)-1]))
	var err error
	for err == nil {
		_, _, err = r.Next()
	}
	if err != io.ErrUnexpectedEOF {
		t.Errorf("a cut frame: %v, want ErrUnexpectedEOF", err)
	}
}

func FuzzFrameReader(f *testing.F) {
	f.Add([]byte{3, 0, 0, 0, 0, 0, 0, 1, 'x'})
	f.Add([]byte{0, 0, 0, 0, 255, 255, 255, 255})
	f.Fuzz(func(t *testing.T, in []byte) {
		r := NewFrameReader(bytes.NewReader(in))
		for {
			s, p, err := r.Next()
			if err != nil {
				return
			}
			if s > Result || len(p) > len(in) {
				t.Fatalf("stream %d with %d bytes out of %d", s, len(p), len(in))
			}
		}
	})
}

func TestReadBody(t *testing.T) {
	limits := BodyLimits{Memory: 10, Max: 100}
	for _, n := range []int{0, 1, 10, 11, 100} {
		for _, announced := range []int64{-1, int64(n)} {
			want := bytes.Repeat([]byte("b"), n)
			b, err := ReadBody(bytes.NewReader(want), announced, limits)
			if err != nil {
				t.Fatalf("%d bytes: %v", n, err)
			}
			for range 2 {
				got, err := io.ReadAll(b.Open())
				if err != nil || !bytes.Equal(got, want) || b.Len() != int64(n) {
					t.Errorf("%d bytes came back as %d, %v", n, len(got), err)
				}
			}
			if got, err := b.Bytes(); err != nil || !bytes.Equal(got, want) {
				t.Errorf("Bytes: %d of %d bytes, %v", len(got), n, err)
			}
			if spilled := b.file != nil; spilled != (n > 10) {
				t.Errorf("%d bytes: spilled %v", n, spilled)
			}
			b.Close()
		}
	}
	for _, announced := range []int64{-1, 101} {
		if _, err := ReadBody(strings.NewReader(strings.Repeat("b", 101)), announced, limits); CodeOf(err) != CodeTooLarge {
			t.Errorf("101 bytes, announced %d: %v", announced, err)
		}
	}
	if _, err := ReadBody(strings.NewReader("abc"), 5, limits); CodeOf(err) != CodeBadRequest {
		t.Errorf("a cut body: %v", err)
	}
}

func TestAsError(t *testing.T) {
	own := &Error{Code: CodeBusy, Message: "busy", RetryAfter: time.Second}
	for err, want := range map[error]Code{
		own:                           CodeBusy,
		fmt.Errorf("asking: %w", own): CodeBusy,
		context.DeadlineExceeded:      CodeTimeout,
		context.Canceled:              CodeCancelled,
		errors.New("other"):           CodeInternal,
	} {
		if got := CodeOf(err); got != want {
			t.Errorf("CodeOf(%v) = %q, want %q", err, got, want)
		}
	}
	if CodeOf(nil) != "" {
		t.Error("nil has a code")
	}
}

func TestIsLoopback(t *testing.T) {
	for host, want := range map[string]bool{"127.0.0.1": true, "127.9.9.9:80": true, "localhost": true, "localhost:1": true, "[::1]:80": true, "::1": true,
		"10.0.0.1": false, "example.com": false, ":8080": false, "0.0.0.0:1": false, "localhost.example.com": false} {
		if IsLoopback(host) != want {
			t.Errorf("IsLoopback(%q) = %v", host, !want)
		}
	}
}
