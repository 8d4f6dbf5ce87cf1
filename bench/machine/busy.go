package machine

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Meter tells how much of the machine others use between Start and Share.
type Meter struct {
	proc  Proc
	root  int
	began time.Time
	start reading
}

// reading is what had been used up at a moment.
type reading struct {
	ours, theirs time.Duration // by processes
	busy, stolen time.Duration // by processors
}

// Measure begins to watch what is used by others than the given process and its descendants.
func (p Proc) Measure(root int) (*Meter, error) {
	start, err := p.read(root)
	if err != nil {
		return nil, err
	}
	return &Meter{proc: p, root: root, began: time.Now(), start: start}, nil
}

// Others is what others have used since the beginning, in processors: 0.05 is a twentieth of one. It counts what the hypervisor
// took, and it asks both processes and processors, of which each misses something: processes in another container are not
// listed, and processors are billed without interrupts.
func (m *Meter) Others() (float64, error) {
	now, err := m.proc.read(m.root)
	if err != nil {
		return 0, err
	}
	return now.since(m.start).others().Seconds() / time.Since(m.began).Seconds(), nil
}

func (r reading) since(start reading) reading {
	return reading{r.ours - start.ours, r.theirs - start.theirs, r.busy - start.busy, r.stolen - start.stolen}
}

func (r reading) others() time.Duration { return max(r.theirs, r.busy-r.ours, 0) + r.stolen }

func (p Proc) read(root int) (reading, error) {
	stat, err := os.ReadFile(filepath.Join(string(p), "stat"))
	if err != nil {
		return reading{}, fmt.Errorf("reading the processors' times: %w", err)
	}
	var now reading
	if now.busy, now.stolen, err = parseProcessors(string(stat)); err != nil {
		return reading{}, err
	}
	all, err := p.Processes()
	if err != nil {
		return reading{}, err
	}
	tree := Tree(all, root)
	for _, process := range all {
		if tree[process.ID] {
			now.ours += process.CPU + process.Reaped
		} else {
			// With what its children used, so that one that is waited for meanwhile is not lost.
			now.theirs += process.CPU + process.Reaped
		}
	}
	return now, nil
}

// parseProcessors reads the first line of /proc/stat: what all processors have spent on processes, and what was stolen. Interrupts
// are left out, since some kernels bill them to the process that they interrupt as well.
func parseProcessors(stat string) (busy, stolen time.Duration, err error) {
	line, _, _ := strings.Cut(stat, "\n")
	fields := strings.Fields(line)
	if len(fields) < 9 || fields[0] != "cpu" {
		return 0, 0, fmt.Errorf("reading the processors' times: %q", line)
	}
	ticks := func(field int) time.Duration {
		n, parseErr := strconv.ParseInt(fields[field], 10, 64)
		if parseErr != nil {
			err = fmt.Errorf("reading the processors' times: %w", parseErr)
		}
		return time.Duration(n) * Tick
	}
	busy, stolen = ticks(1)+ticks(2)+ticks(3), ticks(8) // user, nice, system; steal
	return busy, stolen, err
}
