package test

import (
	"archive/zip"
	"bytes"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/whiskaway/whiskaway/function"
	"github.com/whiskaway/whiskaway/wire"
)

// noisyZip is a Python function with size bytes that do not get smaller.
func noisyZip(t *testing.T, size int) []byte {
	t.Helper()
	return zipStored(t, map[string]string{"__main__.py": "def main(args):\n    return args\n", "noise": noise(size)})
}

// noise is size bytes that do not get smaller, the same each time.
func noise(size int) string {
	b := make([]byte, size)
	rand.NewChaCha8([32]byte{7}).Read(b)
	return string(b)
}

// zipStored is an archive that is not compressed.
func zipStored(t *testing.T, files map[string]string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		w, err := z.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Store})
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(w, files[name])
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// initTogether lets n clients, each of its own, hand over the same function at the same
// moment, and run it once.
func initTogether(t *testing.T, host wire.ClientConfig, n int, spec function.Spec, code []byte) {
	t.Helper()
	begin := make(chan struct{})
	var all sync.WaitGroup
	for i := range n {
		c, err := wire.NewClient(host)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		all.Go(func() {
			<-begin
			lease := function.Lease{ID: function.NewLeaseID(), TTL: time.Minute}
			open := func() (io.ReadCloser, error) { return fileOf(code), nil }
			id, err := function.InitWithCode(t.Context(), c, spec, lease, open)
			if err != nil {
				t.Errorf("client %d: %v", i, err)
				return
			}
			claim := function.Claim{Lease: lease.ID, Namespace: spec.Namespace}
			act := function.Activation{Body: function.BytesBody([]byte(runBody(fmt.Sprintf(`{"n":%d}`, i), "id", time.Now().Add(patience)))), Timeout: patience}
			var result strings.Builder
			sum, err := c.Run(t.Context(), id, claim, &act, function.OutputFunc(func(s function.Stream, p []byte) error {
				if s == function.Result {
					result.Write(p)
				}
				return nil
			}))
			if want := fmt.Sprintf(`{"n":%d}`, i); err != nil || sum.Outcome != function.OutcomeOK || compact(t, result.String()) != want {
				t.Errorf("client %d: %v, %+v, %s", i, err, sum, result.String())
			}
		})
	}
	close(begin)
	all.Wait()
}

// fileOf is code as it is in a file.
func fileOf(code []byte) io.ReadCloser {
	return struct {
		*io.SectionReader
		io.Closer
	}{io.NewSectionReader(bytes.NewReader(code), 0, int64(len(code))), io.NopCloser(nil)}
}

// crossedOnce fails unless the code went through the relay once, and raw.
func (r *relay) crossedOnce(t *testing.T, what string, size, clients int) {
	t.Helper()
	const perClient = 16 << 10 // what else a client says and hears
	bytes, puts := r.bytes.Load(), r.puts.Load()
	if most := int64(size + 64<<10 + clients*perClient); puts != 1 || bytes < int64(size) || bytes > most {
		t.Errorf("%s: the code of %d bytes was sent %d times, in %d bytes with all else", what, size, puts, bytes)
	}
}

// A hundred clients of one function, at the same moment, send its 40 MB of code once in all.
func TestManyClientsAtOnceSendTheirCodeOnce(t *testing.T) {
	clients, size := 24, 3<<20
	if slow() {
		clients, size = 100, 40<<20
	}
	code := noisyZip(t, size)
	spec := specOf("python:3", string(code))
	spec.Binary = true
	t.Run("to a server", func(t *testing.T) {
		_, url := direct(t, testToken)
		r := startRelay(t, url)
		initTogether(t, wire.ClientConfig{URL: r.url, Token: testToken}, clients, spec, code)
		r.crossedOnce(t, "to the server", len(code), clients)
	})
	t.Run("through a balancer", func(t *testing.T) {
		dir := t.TempDir()
		b := start(t, nil, nil, "balancer", "--listen", "127.0.0.1:0", "--data", dir)
		url := b.waitFor(`balancer listening on (\S+)`)
		front, back := startRelay(t, url), startRelay(t, url)
		s := start(t, nil, nil, "server", "--balancer", back.url, "--token", readToken(t, dir, "join"), "--data", t.TempDir())
		s.waitFor("joined")
		initTogether(t, wire.ClientConfig{URL: front.url, Token: readToken(t, dir, "client")}, clients, spec, code)
		front.crossedOnce(t, "to the balancer", len(code), clients)
		back.crossedOnce(t, "to the server", len(code), clients)
	})
}

// Real runtimes too, all of the same function at the same moment; text crosses compressed,
// each part of the way.
func TestManyRuntimesAtOnceSendTheirCodeOnce(t *testing.T) {
	dir := t.TempDir()
	b := start(t, nil, nil, "balancer", "--listen", "127.0.0.1:0", "--data", dir)
	url := b.waitFor(`balancer listening on (\S+)`)
	front, back := startRelay(t, url), startRelay(t, url)
	s := start(t, nil, nil, "server", "--balancer", back.url, "--token", readToken(t, dir, "join"), "--label", "box", "--data", t.TempDir())
	s.waitFor("joined")
	big := "#" + strings.Repeat("a long line of words that say little; ", 50_000) + "\ndef main(args):\n    return args\n"
	var all sync.WaitGroup
	for range 5 {
		c := startRuntime(t, "WHISKAWAY_KIND=python:3", "WHISKAWAY_BALANCER="+front.url, "WHISKAWAY_TOKEN="+readToken(t, dir, "client"))
		all.Go(func() {
			if status, b := c.post("/init", initBody("main@box", big, nil)); status != 200 {
				t.Errorf("/init: %d %s", status, b)
			}
		})
	}
	all.Wait()
	for what, r := range map[string]*relay{"to the balancer": front, "to the server": back} {
		if puts, bytes := r.puts.Load(), r.bytes.Load(); puts != 1 || bytes > int64(len(big))/10 {
			t.Errorf("%s: the code of %d bytes was sent %d times, in %d bytes with all else", what, len(big), puts, bytes)
		}
	}
}

// Who was asked for the code and is gone costs the next its grace, no more.
func TestAClientThatDiesWhileItSendsHoldsUpNobody(t *testing.T) {
	_, url := direct(t, testToken)
	code := noisyZip(t, 1<<20)
	spec := specOf("python:3", string(code))
	spec.Binary = true
	c, err := wire.NewClient(wire.ClientConfig{URL: url, Token: testToken})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Init(t.Context(), spec, function.Lease{ID: "first"}); function.CodeOf(err) != function.CodeCodeMissing {
		t.Fatalf("%v", err)
	}
	half, cut := io.Pipe()
	died := make(chan error)
	go func() { died <- c.PutCode(t.Context(), spec.Namespace, spec.Code, half) }()
	cut.Write(code[:len(code)/2])
	others := make(chan struct{})
	go func() {
		defer close(others)
		initTogether(t, wire.ClientConfig{URL: url, Token: testToken}, 3, spec, code)
	}()
	cut.CloseWithError(io.ErrClosedPipe)
	if err := <-died; err == nil {
		t.Error("half of the code was taken")
	}
	<-others
}

// A few bytes that become very many are refused at the limit, and cost no memory.
func TestACompressionBombIsRefused(t *testing.T) {
	p, url := direct(t, testToken)
	var bomb bytes.Buffer
	z, err := zstd.NewWriter(&bomb, zstd.WithWindowSize(8<<20))
	if err != nil {
		t.Fatal(err)
	}
	zeros := make([]byte, 1<<20)
	for range 256 { // MB: more than code may have
		z.Write(zeros)
	}
	z.Close()
	before := anonMemory(t, p.cmd.Process.Pid)
	var all sync.WaitGroup
	for range 3 {
		all.Go(func() {
			r, err := http.NewRequest(http.MethodPut, url+"/code/"+strings.Repeat("0", 64), bytes.NewReader(bomb.Bytes()))
			if err != nil {
				t.Error(err)
				return
			}
			r.Header.Set("Authorization", "Bearer "+testToken)
			r.Header.Set("Whiskaway-Namespace", "guest")
			r.Header.Set("Content-Encoding", "zstd")
			resp, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Error(err)
				return
			}
			defer resp.Body.Close()
			if text, _ := io.ReadAll(resp.Body); resp.StatusCode != 413 {
				t.Errorf("a bomb of %d bytes: %d %s", bomb.Len(), resp.StatusCode, text)
			}
		})
	}
	all.Wait()
	if after := anonMemory(t, p.cmd.Process.Pid); after > before+200<<20 {
		t.Errorf("the server's memory grew from %d to %d MB", before>>20, after>>20)
	}
}

// anonMemory returns what a process has of anonymous memory in RAM, in bytes.
func anonMemory(t *testing.T, pid int) int64 {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		var kb int64
		if n, _ := fmt.Sscanf(line, "RssAnon: %d kB", &kb); n == 1 {
			return kb << 10
		}
	}
	t.Skip("this kernel does not tell RssAnon")
	return 0
}
