package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/caddy-llm/caddy-llm/bench/fleet"
	"github.com/caddy-llm/caddy-llm/bench/report"
)

// runProfiles writes a profile of the processor's time of each work of stock Caddy and of the gateway, under load.
func runProfiles(ctx context.Context, f flags) error {
	cores, err := fleet.Pin()
	if err != nil {
		return err
	}
	built, err := build(ctx, cores)
	if err != nil {
		return err
	}
	all, err := fleet.New(cores)
	if err != nil {
		return err
	}
	defer all.Stop()
	s, err := startServers(ctx, all, built)
	if err != nil {
		return err
	}
	works, err := makeWorks(ctx, s)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(f.out, 0o755); err != nil {
		return fmt.Errorf("writing profiles: %w", err)
	}
	b := &bench{fleet: all, measure: f.measuring(), rate: f.rate}
	for _, w := range works {
		if w.caddy == nil || !strings.Contains(w.name, f.only) {
			continue
		}
		file := filepath.Join(f.out, strings.Map(fileName, w.name)+".pprof")
		if err := b.profile(ctx, w, file); err != nil {
			return err
		}
		say("%s: go tool pprof -top %s", w.name, file)
	}
	return nil
}

func (b *bench) profile(ctx context.Context, w *work, file string) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	loading := make(chan error, 1)
	longer := *b
	longer.measure = time.Hour // it ends with the profile
	go func() {
		_, err := longer.run(ctx, w, report.Busy)
		loading <- err
	}()
	text, err := w.caddy.Profile(ctx, b.measure)
	cancel()
	if loaded := <-loading; !errors.Is(loaded, context.Canceled) {
		err = loaded
	}
	if err != nil {
		return err
	}
	return os.WriteFile(file, text, 0o644)
}

// fileName leaves letters and digits of a work's name.
func fileName(r rune) rune {
	switch {
	case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
		return r
	}
	return '-'
}
