package strength

import (
	"os"
	"runtime"
	"strings"
)

// cpuModel tells one processor from another, as Linux names it. Elsewhere it is only the
// architecture.
func cpuModel() string {
	text, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return runtime.GOARCH
	}
	return modelIn(string(text))
}

// modelIn reads /proc/cpuinfo up to the first processor's end. x86 has a name, ARM has numbers; what
// changes from moment to moment, as the clock's rate does, is left out.
func modelIn(cpuinfo string) string {
	words := []string{runtime.GOARCH}
	first, _, _ := strings.Cut(cpuinfo, "\n\n")
	for line := range strings.Lines(first) {
		name, value, _ := strings.Cut(line, ":")
		switch strings.TrimSpace(name) {
		case "model name", "cpu family", "model", "stepping", "CPU implementer", "CPU variant", "CPU part", "CPU revision":
			words = append(words, strings.TrimSpace(value))
		}
	}
	return strings.Join(words, " ")
}

// DriverVersion is that of NVIDIA's kernel module; empty where there is none, or Linux does not
// tell it.
func DriverVersion() string {
	text, err := os.ReadFile("/sys/module/nvidia/version")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}
