package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"

	"github.com/caddy-llm/caddy-llm/bench/fleet"
)

// binaries are what is measured.
type binaries struct{ gateway, stock string }

// build makes both binaries, in the same way, on all cores.
func build(ctx context.Context, cores fleet.Cores) (binaries, error) {
	say("building the gateway and stock Caddy")
	made := binaries{gateway: "bin/caddy", stock: "bin/stock-caddy"}
	for _, args := range [][]string{
		{"make", "--no-print-directory", "build"},
		{"go", "build", "-trimpath", "-ldflags", "-s -w", "-o", made.stock, "./bench/stock"},
	} {
		cmd := exec.CommandContext(ctx, "taskset", append([]string{"-c", cores.Server + "," + cores.Load}, args...)...)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
		if err := cmd.Run(); err != nil {
			return binaries{}, fmt.Errorf("building: %s: %w", cmd, err)
		}
	}
	return made, nil
}

// describe names what was measured.
func describe(ctx context.Context, built binaries, s servers) ([]string, error) {
	var versions [2]string
	for i, binary := range []string{built.gateway, built.stock} {
		text, err := exec.CommandContext(ctx, binary, "version").Output()
		if err != nil {
			return nil, fmt.Errorf("asking %s for its version: %w", binary, err)
		}
		versions[i], _, _ = strings.Cut(strings.TrimSpace(string(text)), " ") // the rest is a checksum
	}
	redis, err := fleet.RedisVersion(ctx, s.redis)
	if err != nil {
		return nil, err
	}
	return []string{fmt.Sprintf("%s; stock Caddy %s; Redis %s; %s", versions[0], versions[1], redis, runtime.Version())}, nil
}
