//go:build nvml && linux

package gpu

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/ebitengine/purego"
)

// The results of NVML that matter here. This and all else about NVML is from NVIDIA's NVML API
// Reference Guide.
const (
	nvmlSuccess          = 0
	nvmlNotSupported     = 3
	nvmlInsufficientSize = 7
)

// nvmlUUIDSize is NVML_DEVICE_UUID_V2_BUFFER_SIZE and
// NVML_DEVICE_NAME_V2_BUFFER_SIZE, which are the same.
const nvmlUUIDSize = 96

// nvmlMemory is nvmlMemory_t.
type nvmlMemory struct{ Total, Free, Used uint64 }

// nvmlProcess is nvmlProcessInfo_t, as version 2 and 3 of
// nvmlDeviceGetComputeRunningProcesses have it.
type nvmlProcess struct {
	PID             uint32
	_               uint32
	Memory          uint64 // bytes; all ones: not known
	GPUInstance     uint32
	ComputeInstance uint32
}

// nvmlLibrary is the functions of NVML that are used.
type nvmlLibrary struct {
	handle    uintptr
	init      func() int32
	shutdown  func() int32
	words     func(result int32) string
	count     func(count *uint32) int32
	device    func(index uint32, device *uintptr) int32
	uuid      func(device uintptr, text *byte, size uint32) int32
	name      func(device uintptr, text *byte, size uint32) int32
	memory    func(device uintptr, memory *nvmlMemory) int32
	processes func(device uintptr, count *uint32, processes *nvmlProcess) int32 // nil: the driver is too old
}

// loadNVML loads the library. Not to find it means that there is no driver.
func loadNVML(path string) (*nvmlLibrary, error) {
	handle, err := purego.Dlopen(path, purego.RTLD_NOW|purego.RTLD_LOCAL)
	if err != nil {
		return nil, absence(fmt.Sprintf("NVML is not here: %v", err))
	}
	l := &nvmlLibrary{handle: handle}
	for _, f := range []struct {
		name string
		to   any
	}{
		{"nvmlInit_v2", &l.init},
		{"nvmlShutdown", &l.shutdown},
		{"nvmlErrorString", &l.words},
		{"nvmlDeviceGetCount_v2", &l.count},
		{"nvmlDeviceGetHandleByIndex_v2", &l.device},
		{"nvmlDeviceGetUUID", &l.uuid},
		{"nvmlDeviceGetName", &l.name},
		{"nvmlDeviceGetMemoryInfo", &l.memory},
	} {
		address, err := purego.Dlsym(handle, f.name)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("%s is no NVML that is known here: %w", path, err), purego.Dlclose(handle))
		}
		purego.RegisterFunc(f.to, address)
	}
	for _, name := range []string{"nvmlDeviceGetComputeRunningProcesses_v3", "nvmlDeviceGetComputeRunningProcesses_v2"} {
		if address, err := purego.Dlsym(handle, name); err == nil {
			purego.RegisterFunc(&l.processes, address)
			break
		}
	}
	return l, nil
}

// check makes an error of a result.
func (l *nvmlLibrary) check(doing string, result int32) error {
	if result == nvmlSuccess {
		return nil
	}
	return fmt.Errorf("NVML: %s: %s (%d)", doing, l.words(result), result)
}

// An nvml asks NVML. Below the line, one call at a time, are up and the library.
type nvml struct {
	line *line
	*nvmlLibrary
	up bool // NVML is initialised
}

func openNVML(ctx context.Context, o Options) (Source, error) {
	n := &nvml{line: newLine(o.answerLimit)}
	devices, err := call(ctx, n.line, func(context.Context) (_ []Device, err error) {
		if n.nvmlLibrary, err = loadNVML(o.Library); err != nil {
			return nil, err
		}
		devices, err := n.devices()
		if len(devices) == 0 {
			return nil, errors.Join(cmp.Or(err, error(absence("NVML lists no GPU"))), n.unload())
		}
		return devices, nil
	})
	if len(devices) == 0 {
		return nil, err
	}
	return n, nil
}

func (n *nvml) Name() string { return "NVML" }

func (n *nvml) Devices(ctx context.Context) ([]Device, error) {
	return call(ctx, n.line, func(context.Context) ([]Device, error) { return n.devices() })
}

func (n *nvml) Processes(ctx context.Context) ([]Usage, error) {
	return call(ctx, n.line, func(context.Context) ([]Usage, error) { return n.usages() })
}

func (n *nvml) Close() error {
	if err := n.line.close(); err != nil {
		return fmt.Errorf("ending NVML: %w", err)
	}
	return n.unload()
}

func (n *nvml) unload() error {
	n.end()
	if err := purego.Dlclose(n.handle); err != nil {
		return fmt.Errorf("ending NVML: %w", err)
	}
	return nil
}

// begin initialises NVML, also again after a failure: a driver that was replaced
// or reset wants that.
func (n *nvml) begin() error {
	if n.up {
		return nil
	}
	if err := n.check("initialising", n.init()); err != nil {
		return err
	}
	n.up = true
	return nil
}

func (n *nvml) end() {
	if n.up {
		n.shutdown() // what could be done about its failure?
		n.up = false
	}
}

// devices lists the GPUs that answer. When none does, NVML is begun anew the next time.
func (n *nvml) devices() ([]Device, error) {
	var devices []Device
	err := n.each(func(index int, handle uintptr) error {
		d, err := n.one(index, handle)
		if err == nil {
			devices = append(devices, d)
		}
		return err
	})
	if err != nil && len(devices) == 0 {
		n.end()
	}
	return devices, err
}

// each calls f for each GPU. An error at one does not keep it from the others.
func (n *nvml) each(f func(index int, handle uintptr) error) error {
	if err := n.begin(); err != nil {
		return err
	}
	var count uint32
	if err := n.check("counting the GPUs", n.count(&count)); err != nil {
		return err
	}
	var failed []error
	for i := range int(count) {
		var handle uintptr
		err := n.check(fmt.Sprintf("opening GPU %d", i), n.device(uint32(i), &handle))
		if err == nil {
			err = f(i, handle)
		}
		failed = append(failed, err)
	}
	return errors.Join(failed...)
}

func (n *nvml) one(index int, handle uintptr) (Device, error) {
	d := Device{Index: index}
	var err error
	if d.UUID, err = n.uuidOf(handle); err != nil {
		return Device{}, err
	}
	if d.Name, err = n.text("asking for the name of "+d.UUID, n.name, handle); err != nil {
		return Device{}, err
	}
	var memory nvmlMemory
	result := n.memory(handle, &memory)
	if result == nvmlNotSupported {
		return d, nil
	}
	if err := n.check("asking for the memory of "+d.UUID, result); err != nil {
		return Device{}, err
	}
	if memory.Free > memory.Total || memory.Total > math.MaxInt64 {
		return Device{}, fmt.Errorf("NVML: %s has %d bytes of memory, it says, and %d are free", d.UUID, memory.Total, memory.Free)
	}
	d.Total, d.Free = int64(memory.Total), int64(memory.Free)
	d.Used = d.Total - d.Free
	return d, nil
}

func (n *nvml) uuidOf(handle uintptr) (string, error) {
	return n.text("asking for a GPU's UUID", n.uuid, handle)
}

// text calls a function that writes into a buffer.
func (n *nvml) text(doing string, f func(uintptr, *byte, uint32) int32, handle uintptr) (string, error) {
	buffer := make([]byte, nvmlUUIDSize)
	if err := n.check(doing, f(handle, &buffer[0], uint32(len(buffer)))); err != nil {
		return "", err
	}
	text, _, _ := bytes.Cut(buffer, []byte{0})
	return string(text), nil
}

// usages lists the processes of the GPUs that answer. Those that do not are
// told of by devices.
func (n *nvml) usages() ([]Usage, error) {
	if n.processes == nil {
		return nil, nil
	}
	var all []Usage
	err := n.each(func(_ int, handle uintptr) error {
		uuid, err := n.uuidOf(handle)
		if err != nil {
			return err
		}
		found, err := n.running(uuid, handle)
		for _, p := range found {
			if p.Memory <= math.MaxInt64 {
				all = append(all, Usage{UUID: uuid, PID: int(p.PID), Memory: int64(p.Memory)})
			}
		}
		return err
	})
	return all, err
}

// running lists a GPU's processes. There may be more when the list is there than when
// its length was asked for, so it is tried a few times.
func (n *nvml) running(uuid string, handle uintptr) ([]nvmlProcess, error) {
	result, room := int32(nvmlInsufficientSize), 64
	for try := 0; try < 4 && result == nvmlInsufficientSize; try++ {
		found, count := make([]nvmlProcess, room), uint32(room)
		result = n.processes(handle, &count, &found[0])
		if result == nvmlSuccess {
			return slices.Clip(found[:min(int(count), room)]), nil
		}
		room = max(2*room, int(min(count, 1<<16))+16)
	}
	if result == nvmlNotSupported {
		return nil, nil
	}
	return nil, n.check("asking for the processes of "+uuid, result)
}
