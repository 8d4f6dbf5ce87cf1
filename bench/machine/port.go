package machine

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

const listening = "0A" // a socket's state in /proc/net/tcp

// Holders are the processes that listen on a TCP port, each once for each of its sockets. Caddy listens with SO_REUSEPORT, so a
// stray process shares the port unnoticed and takes half of the calls.
func (p Proc) Holders(port int) ([]int, error) {
	var inodes []string
	for _, table := range []string{"net/tcp", "net/tcp6"} {
		text, err := os.ReadFile(filepath.Join(string(p), table))
		if err != nil {
			return nil, fmt.Errorf("listing sockets: %w", err)
		}
		inodes = append(inodes, parseListeners(string(text), port)...)
	}
	if len(inodes) == 0 {
		return nil, nil
	}
	all, err := p.Processes()
	if err != nil {
		return nil, err
	}
	var holders []int
	for _, process := range all {
		dir := filepath.Join(string(p), strconv.Itoa(process.ID), "fd")
		descriptors, err := os.ReadDir(dir)
		if err != nil {
			continue // somebody else's, or ended meanwhile
		}
		for _, descriptor := range descriptors {
			target, err := os.Readlink(filepath.Join(dir, descriptor.Name()))
			if err != nil {
				continue
			}
			inode := strings.TrimSuffix(strings.TrimPrefix(target, "socket:["), "]")
			if slices.Contains(inodes, inode) {
				holders = append(holders, process.ID)
			}
		}
	}
	// Sockets whose holder cannot be seen are somebody's, too.
	for len(holders) < len(inodes) {
		holders = append(holders, 0)
	}
	return holders, nil
}

// parseListeners returns the inodes of the sockets that listen on a port.
func parseListeners(table string, port int) []string {
	var inodes []string
	suffix := fmt.Sprintf(":%04X", port)
	for line := range strings.Lines(table) {
		fields := strings.Fields(line)
		if len(fields) > 9 && strings.HasSuffix(fields[1], suffix) && fields[3] == listening {
			inodes = append(inodes, fields[9])
		}
	}
	return inodes
}
