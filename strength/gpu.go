package strength

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os/exec"
	"strings"
	"time"
)

// The reference of a GPU is an A100 with 40 GB, by NVIDIA's data sheet ("NVIDIA A100 Tensor Core
// GPU"): bytes of memory and operations with 32 bits, a second. No GPU reaches its data sheet, so
// that one measures somewhat below 1.
const (
	referenceBandwidth = 1555e9
	referenceFlops     = 19.5e12
)

// cudaPy asks the driver's library: this program, which is linked statically, cannot load one.
//
//go:embed cuda.py
var cudaPy string

// gpuLimit bounds the measuring of all GPUs. The work itself takes some 20 ms for each; the
// driver may need seconds to be ready.
const gpuLimit = 30 * time.Second

// maxSaid bounds what is read of what the process prints, in bytes.
const maxSaid = 64 << 10

// stuckAfter is how much longer a process may take to end that was killed. One that does
// not is stuck in the driver, and is left to it.
const stuckAfter = 2 * time.Second

// GPUs measures those GPUs, by UUID, in a process of that python that has ended when
// GPUs returns. Where some could be measured and some not, it returns those that could and
// says in the error what went wrong.
func GPUs(ctx context.Context, python string, uuids []string) (map[string]float64, error) {
	ctx, cancel := context.WithTimeout(ctx, gpuLimit)
	defer cancel()
	ended := make(chan answer, 1)
	go func() { ended <- ask(ctx, python, uuids) }()
	var a answer
	select {
	case a = <-ended:
	case <-time.After(gpuLimit + stuckAfter):
		a.err = errors.New("the driver does not answer, and its caller cannot be ended")
	}
	if a.err != nil {
		a.err = fmt.Errorf("measuring the GPUs: %w", a.err)
	}
	return a.measured, a.err
}

// An answer is what a process of cuda.py has said.
type answer struct {
	measured map[string]float64
	err      error
}

func ask(ctx context.Context, python string, uuids []string) answer {
	cmd := exec.CommandContext(ctx, python, append([]string{"-I", "-c", cudaPy}, uuids...)...)
	cmd.WaitDelay = time.Second
	lifeline, err := cmd.StdinPipe() // it ends when we do, see cuda.py
	if err != nil {
		return answer{err: err}
	}
	defer lifeline.Close()
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &bounded{&out}, &bounded{&said}
	err = cmd.Run()
	if ctx.Err() != nil {
		err = fmt.Errorf("it was ended: %w", ctx.Err())
	}
	if text := strings.TrimSpace(said.String()); text != "" {
		err = errors.Join(err, fmt.Errorf("%.500s", text))
	}
	measured, unread := readMeasures(out.Bytes())
	return answer{measured, errors.Join(err, unread)}
}

// A gpuMeasure is one line of cuda.py.
type gpuMeasure struct {
	UUID      string  `json:"uuid"`
	Bandwidth float64 `json:"bandwidth"` // bytes a second
	Flops     float64 `json:"flops"`     // operations a second
}

// strength is the geometric mean of the two.
func (m gpuMeasure) strength() float64 {
	return math.Sqrt(m.Bandwidth / referenceBandwidth * (m.Flops / referenceFlops))
}

func readMeasures(text []byte) (map[string]float64, error) {
	all := map[string]float64{}
	for d := json.NewDecoder(bytes.NewReader(text)); ; {
		var m gpuMeasure
		err := d.Decode(&m)
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return all, fmt.Errorf("reading what was measured: %w", err)
		}
		if m.Bandwidth <= 0 || m.Flops <= 0 {
			return all, fmt.Errorf("the GPU %s cannot have %g bytes and %g operations a second", m.UUID, m.Bandwidth, m.Flops)
		}
		all[m.UUID] = m.strength()
	}
}

// A bounded drops what comes beyond maxSaid.
type bounded struct{ b *bytes.Buffer }

func (w *bounded) Write(p []byte) (int, error) {
	w.b.Write(p[:min(len(p), maxSaid-w.b.Len())])
	return len(p), nil
}
