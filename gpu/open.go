package gpu

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// ErrNoGPU says that this machine has no GPU that could be used, or no driver for
// one. That is no failure.
var ErrNoGPU = errors.New("no GPU")

// Options say where to look. The zero value looks in the usual places.
type Options struct {
	NVIDIASMI string // the program nvidia-smi; empty: the one on the PATH
	Library   string // NVML; empty: libnvidia-ml.so.1 where the system keeps libraries
	Log       *slog.Logger

	answerLimit time.Duration // for tests; 0: answerLimit
}

func (o Options) filled() Options {
	o.NVIDIASMI = cmp.Or(o.NVIDIASMI, "nvidia-smi")
	o.Library = cmp.Or(o.Library, "libnvidia-ml.so.1")
	o.answerLimit = cmp.Or(o.answerLimit, answerLimit)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

// Open finds a way to ask the driver: NVML, then nvidia-smi. The error is ErrNoGPU
// when both say that there is nothing to ask, else it is what failed.
func Open(ctx context.Context, o Options) (Source, error) {
	o = o.filled()
	library, noLibrary := openNVML(ctx, o)
	if noLibrary == nil {
		return library, nil
	}
	program, noProgram := openSMI(ctx, o)
	if noProgram == nil {
		if !errors.Is(noLibrary, ErrNoGPU) {
			o.Log.Warn("NVML cannot be used; nvidia-smi is asked instead", "error", noLibrary)
		}
		return program, nil
	}
	return nil, nothing(noLibrary, noProgram)
}

// nothing joins why there is neither way. Who is absent says less than who failed.
func nothing(library, program error) error {
	switch noLibrary, noProgram := errors.Is(library, ErrNoGPU), errors.Is(program, ErrNoGPU); {
	case noLibrary && noProgram:
		return fmt.Errorf("%w: %w; %w", ErrNoGPU, library, program)
	case noLibrary:
		return program
	case noProgram:
		return library
	}
	return errors.Join(library, program)
}

// An absence says what is not there. It is an ErrNoGPU.
type absence string

func (a absence) Error() string        { return string(a) }
func (a absence) Is(target error) bool { return target == ErrNoGPU }
