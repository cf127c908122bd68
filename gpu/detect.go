package gpu

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"

	"github.com/whiskaway/whiskaway/function"
)

// detectTimeout bounds how long nvidia-smi may take. It loads the driver when
// nothing else uses the GPU, which takes seconds on machines with many.
const detectTimeout = 20 * time.Second

// noDevices is what nvidia-smi says, with an exit code of its own, when there is
// a driver but no GPU.
const noDevices = "No devices were found"

// Detect returns this machine's GPUs, with the memory of each and what is used of
// it now. None is not an error; a driver that does not answer is one, with
// nvidia-smi's own words.
func Detect(ctx context.Context) ([]function.GPU, error) { return detect(ctx, "nvidia-smi") }

func detect(ctx context.Context, command string) ([]function.GPU, error) {
	path, err := exec.LookPath(command)
	if err != nil {
		return nil, nil // no driver, no GPU that could be used
	}
	ctx, cancel := context.WithTimeout(ctx, detectTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, "--query-gpu=uuid,name,memory.total,memory.used", "--format=csv,noheader,nounits")
	cmd.WaitDelay = time.Second // for a child of its own that keeps its output open
	var out, words bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &words
	err = cmd.Run()
	text := strings.TrimSpace(out.String() + words.String())
	switch {
	case ctx.Err() != nil:
		return nil, fmt.Errorf("asking nvidia-smi for the GPUs: %w", ctx.Err())
	case strings.Contains(text, noDevices):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("asking nvidia-smi for the GPUs: %w", errors.Join(err, errors.New(text)))
	}
	return parse(out.String())
}
