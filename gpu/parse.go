package gpu

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/whiskaway/whiskaway/function"
)

// parse reads nvidia-smi's CSV: a line for each GPU, with its UUID, its name, and
// its total and used memory in MiB.
func parse(text string) ([]function.GPU, error) {
	var gpus []function.GPU
	for line := range strings.Lines(text) {
		if strings.TrimSpace(line) == "" {
			continue
		}
		g, err := parseLine(line)
		if err != nil {
			return nil, err
		}
		gpus = append(gpus, g)
	}
	return gpus, nil
}

func parseLine(line string) (function.GPU, error) {
	fields := strings.Split(line, ",")
	if len(fields) != 4 {
		return function.GPU{}, fmt.Errorf("nvidia-smi printed %q: 4 fields are wanted", line)
	}
	for i := range fields {
		fields[i] = strings.TrimSpace(fields[i])
	}
	total, err := mebibytes(fields[2])
	if err != nil {
		return function.GPU{}, fmt.Errorf("nvidia-smi printed %q: the memory: %w", line, err)
	}
	used, err := mebibytes(fields[3])
	if err != nil {
		return function.GPU{}, fmt.Errorf("nvidia-smi printed %q: the memory in use: %w", line, err)
	}
	return function.GPU{UUID: fields[0], Name: fields[1], Memory: function.Memory{Budget: total, Used: used}}, nil
}

// mebibytes returns bytes. A GPU that shares the machine's memory prints
// "[N/A]", which counts as 0: not known.
func mebibytes(text string) (int64, error) {
	if strings.HasPrefix(text, "[") {
		return 0, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 || n > 1<<40 {
		return 0, fmt.Errorf("%q is not a number of MiB", text)
	}
	return n << 20, nil
}
