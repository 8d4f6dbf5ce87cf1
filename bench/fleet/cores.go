package fleet

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
)

// Cores says what runs where, as taskset has it: the measured server has a core for itself.
type Cores struct{ Server, Load string }

const pinned = "BENCH_CORES" // set for the process that Pin has made of this one

// Pin moves this process, and with it the load that it makes, to other cores than the one that servers get. It does so by running
// the program anew, so that Go's runtime sees no more cores than there are for it.
func Pin() (Cores, error) {
	if server, load, ok := strings.Cut(os.Getenv(pinned), " "); ok {
		return Cores{Server: server, Load: load}, nil
	}
	taskset, err := exec.LookPath("taskset")
	if err != nil {
		return Cores{}, errors.New("taskset is missing: measuring needs Linux with util-linux, which pins processes to cores")
	}
	allowed, err := allowedCores()
	if err != nil {
		return Cores{}, err
	}
	if len(allowed) < 2 {
		return Cores{}, errors.New("measuring needs two cores: one for the server, one for the load")
	}
	cores := Cores{Server: allowed[0], Load: strings.Join(allowed[1:], ",")}
	self, err := os.Executable()
	if err != nil {
		return Cores{}, fmt.Errorf("looking for this program: %w", err)
	}
	env := append(os.Environ(), pinned+"="+cores.Server+" "+cores.Load)
	err = syscall.Exec(taskset, append([]string{"taskset", "-c", cores.Load, self}, os.Args[1:]...), env)
	return Cores{}, fmt.Errorf("running anew under taskset: %w", err) // where it works, it does not come back
}

func allowedCores() ([]string, error) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return nil, fmt.Errorf("reading which cores may be used: %w", err)
	}
	for line := range strings.Lines(string(status)) {
		if list, ok := strings.CutPrefix(line, "Cpus_allowed_list:"); ok {
			return parseCores(strings.TrimSpace(list))
		}
	}
	return nil, errors.New("reading which cores may be used: the kernel does not say")
}

// parseCores reads a list as in 0-3,8.
func parseCores(list string) ([]string, error) {
	var cores []string
	for part := range strings.SplitSeq(list, ",") {
		first, last, isRange := strings.Cut(part, "-")
		if !isRange {
			last = first
		}
		from, err := strconv.Atoi(first)
		if err != nil {
			return nil, fmt.Errorf("reading which cores may be used: %w", err)
		}
		to, err := strconv.Atoi(last)
		if err != nil {
			return nil, fmt.Errorf("reading which cores may be used: %w", err)
		}
		for ; from <= to; from++ {
			cores = append(cores, strconv.Itoa(from))
		}
	}
	return cores, nil
}
