package machine

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// Describe names the machine: its processors, memory and kernel.
func (p Proc) Describe() string {
	model := "unknown processor"
	if info, err := os.ReadFile(filepath.Join(string(p), "cpuinfo")); err == nil {
		model = field(string(info), "model name", model)
	}
	memory := "unknown memory"
	if info, err := os.ReadFile(filepath.Join(string(p), "meminfo")); err == nil {
		memory = field(string(info), "MemTotal", memory)
	}
	kernel := "unknown"
	if release, err := os.ReadFile(filepath.Join(string(p), "sys/kernel/osrelease")); err == nil {
		kernel = strings.TrimSpace(string(release))
	}
	return fmt.Sprintf("%d × %s, %s of memory, %s %s, %s", processors(p), model, memory, runtime.GOOS, kernel, runtime.GOARCH)
}

func field(text, name, otherwise string) string {
	for line := range strings.Lines(text) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return otherwise
}

// processors counts all of the machine's, also those that this process may not use.
func processors(p Proc) int {
	stat, err := os.ReadFile(filepath.Join(string(p), "stat"))
	if err != nil {
		return runtime.NumCPU()
	}
	return strings.Count(string(stat), "\ncpu")
}
