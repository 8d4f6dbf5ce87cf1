// Package machine reads what Linux tells in /proc of processes, processors and sockets.
package machine

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Tick is the unit of times in /proc: USER_HZ is 100 on every platform that Go runs on.
const Tick = 10 * time.Millisecond

// Proc is where the kernel's tables are, /proc outside of tests.
type Proc string

// System is the machine that this process runs on.
const System Proc = "/proc"

// Process is what the kernel has accounted to a process.
type Process struct {
	ID, Parent int
	Name       string
	CPU        time.Duration // its own, in user and in kernel mode
	Reaped     time.Duration // that of children which have ended and were waited for
}

// Processes lists those that run now. One that ends meanwhile is left out.
func (p Proc) Processes() ([]Process, error) {
	entries, err := os.ReadDir(string(p))
	if err != nil {
		return nil, fmt.Errorf("listing processes: %w", err)
	}
	var found []Process
	for _, entry := range entries {
		if _, err := strconv.Atoi(entry.Name()); err != nil {
			continue
		}
		stat, err := os.ReadFile(filepath.Join(string(p), entry.Name(), "stat"))
		if err != nil {
			continue
		}
		process, err := parseProcess(stat)
		if err != nil {
			return nil, err
		}
		found = append(found, process)
	}
	return found, nil
}

// parseProcess reads /proc/<pid>/stat. The name, in parentheses, may hold anything, so what follows is counted from the last one.
func parseProcess(stat []byte) (Process, error) {
	id, rest, ok := bytes.Cut(stat, []byte(" ("))
	end := bytes.LastIndexByte(rest, ')')
	if !ok || end < 0 {
		return Process{}, fmt.Errorf("reading a process's times: %q", stat)
	}
	fields := strings.Fields(string(rest[end+1:]))
	if len(fields) < 15 {
		return Process{}, fmt.Errorf("reading a process's times: %d fields in %q", len(fields), stat)
	}
	process := Process{Name: string(rest[:end])}
	var errs [6]error
	process.ID, errs[0] = strconv.Atoi(string(id))
	process.Parent, errs[1] = strconv.Atoi(fields[1])
	var ticks [4]int64 // utime, stime, cutime, cstime
	for i := range ticks {
		ticks[i], errs[2+i] = strconv.ParseInt(fields[11+i], 10, 64)
	}
	if err := errors.Join(errs[:]...); err != nil {
		return Process{}, fmt.Errorf("reading a process's times: %w", err)
	}
	process.CPU = time.Duration(ticks[0]+ticks[1]) * Tick
	process.Reaped = time.Duration(ticks[2]+ticks[3]) * Tick
	return process, nil
}

// Tree picks a process and all that descend from it.
func Tree(all []Process, root int) map[int]bool {
	tree := map[int]bool{root: true}
	for grown := true; grown; {
		grown = false
		for _, process := range all {
			if tree[process.Parent] && !tree[process.ID] {
				tree[process.ID], grown = true, true
			}
		}
	}
	return tree
}

// CPU is what a process and its descendants have used. It is precise to a tick for each of them.
func (p Proc) CPU(root int) (time.Duration, error) {
	all, err := p.Processes()
	if err != nil {
		return 0, err
	}
	var used time.Duration
	tree := Tree(all, root)
	for _, process := range all {
		if tree[process.ID] {
			used += process.CPU
		}
	}
	return used, nil
}

// Resident is the memory in RAM of a process and its descendants, in bytes. Pages that they share count for each.
func (p Proc) Resident(root int) (int64, error) {
	all, err := p.Processes()
	if err != nil {
		return 0, err
	}
	var bytes int64
	for id := range Tree(all, root) {
		status, err := os.ReadFile(filepath.Join(string(p), strconv.Itoa(id), "status"))
		if errors.Is(err, fs.ErrNotExist) && id != root {
			continue // ended meanwhile
		}
		if err != nil {
			return 0, fmt.Errorf("reading a process's memory: %w", err)
		}
		resident, err := parseResident(string(status))
		if err != nil {
			return 0, err
		}
		bytes += resident
	}
	return bytes, nil
}

func parseResident(status string) (int64, error) {
	for line := range strings.Lines(status) {
		value, ok := strings.CutPrefix(line, "VmRSS:")
		if !ok {
			continue
		}
		kilobytes, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
		if err != nil {
			return 0, fmt.Errorf("reading a process's memory: %w", err)
		}
		return kilobytes << 10, nil
	}
	return 0, errors.New("reading a process's memory: no VmRSS in its status")
}
