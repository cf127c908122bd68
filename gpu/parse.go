package gpu

import (
	"fmt"
	"strconv"
	"strings"
)

// What nvidia-smi is asked for, as parseDevice and parseUsage read it. The name is
// last, for it may hold anything.
const (
	deviceFields = "count,index,uuid,memory.total,memory.free,name"
	usageFields  = "gpu_uuid,pid,used_gpu_memory"
	format       = "--format=csv,noheader,nounits"
)

// parseDevice reads one line of nvidia-smi's CSV. count is how many GPUs there are.
func parseDevice(text string) (d Device, count int, err error) {
	fields, err := split(text, 6)
	if err != nil {
		return Device{}, 0, err
	}
	d.UUID, d.Name = fields[2], fields[5]
	if count, err = number(fields[0]); err != nil {
		return Device{}, 0, fmt.Errorf("nvidia-smi printed %.200q: how many GPUs there are: %w", text, err)
	}
	if d.Index, err = number(fields[1]); err != nil {
		return Device{}, 0, fmt.Errorf("nvidia-smi printed %.200q: the index: %w", text, err)
	}
	if !strings.HasPrefix(d.UUID, "GPU-") {
		return Device{}, 0, fmt.Errorf("nvidia-smi printed %.200q: the UUID must begin with GPU-", text)
	}
	if d.Total, err = mebibytes(fields[3]); err != nil {
		return Device{}, 0, fmt.Errorf("nvidia-smi printed %.200q: the memory: %w", text, err)
	}
	if d.Free, err = mebibytes(fields[4]); err != nil {
		return Device{}, 0, fmt.Errorf("nvidia-smi printed %.200q: the free memory: %w", text, err)
	}
	if d.Free > d.Total {
		return Device{}, 0, fmt.Errorf("nvidia-smi printed %.200q: more memory is free than there is", text)
	}
	d.Used = d.Total - d.Free
	return d, count, nil
}

// parseUsage reads one line of nvidia-smi's CSV. known is false where the driver does not
// say how much the process has.
func parseUsage(text string) (u Usage, known bool, err error) {
	fields, err := split(text, 3)
	if err != nil {
		return Usage{}, false, err
	}
	u.UUID = fields[0]
	if u.PID, err = number(fields[1]); err != nil {
		return Usage{}, false, fmt.Errorf("nvidia-smi printed %.200q: the process: %w", text, err)
	}
	if strings.HasPrefix(fields[2], "[") {
		return Usage{}, false, nil
	}
	if u.Memory, err = mebibytes(fields[2]); err != nil {
		return Usage{}, false, fmt.Errorf("nvidia-smi printed %.200q: the memory: %w", text, err)
	}
	return u, true, nil
}

func split(text string, count int) ([]string, error) {
	fields := strings.SplitN(text, ",", count)
	if len(fields) != count {
		return nil, fmt.Errorf("nvidia-smi printed %.200q: %d fields are wanted", text, count)
	}
	for i := range fields {
		fields[i] = strings.TrimSpace(fields[i])
	}
	return fields, nil
}

// number reads an index, a count or a PID, which has at most 22 bits on Linux.
func number(text string) (int, error) {
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 || n > 1<<22 {
		return 0, fmt.Errorf("%.50q is not such a number", text)
	}
	return n, nil
}

// mebibytes returns bytes. A GPU that shares the machine's memory prints
// "[N/A]", which counts as 0: not known.
func mebibytes(text string) (int64, error) {
	if strings.HasPrefix(text, "[") {
		return 0, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 || n > 1<<40 {
		return 0, fmt.Errorf("%.50q is not a number of MiB", text)
	}
	return n << 20, nil
}
