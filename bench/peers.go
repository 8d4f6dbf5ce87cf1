package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/caddy-llm/caddy-llm/bench/fleet"
	"github.com/caddy-llm/caddy-llm/bench/load"
	"github.com/caddy-llm/caddy-llm/bench/report"
	"github.com/caddy-llm/caddy-llm/bench/upstream"
)

// peerGoals are the shares of a peer's cost that the gateway's is to be at most: as many times more calls for each core.
var peerGoals = map[string]float64{"one-api": 1.0 / 3, "Portkey": 1.0 / 15, "LiteLLM": 1.0 / 40}

// runPeers is make bench-peers.
func runPeers(ctx context.Context, f flags) error {
	cores, err := fleet.Pin()
	if err != nil {
		return err
	}
	built, err := build(ctx, cores)
	if err != nil {
		return err
	}
	installed, err := installPeers(ctx, cores)
	if err != nil {
		return err
	}
	if err := refuseBusy(ctx, f); err != nil {
		return err
	}
	all, err := fleet.New(cores)
	if err != nil {
		return err
	}
	defer all.Stop()
	say("starting the upstream, stock Caddy, the gateway and its peers; servers on core %s, load on %s", cores.Server, cores.Load)
	s, err := startServers(ctx, all, built)
	if err != nil {
		return err
	}
	works, err := comparable(ctx, s)
	if err != nil {
		return err
	}
	ours := works[len(works)-1].name
	names, notes := make(map[string]string), []string{"the gateway: keys, two limits, cache, metrics and usage"}
	for _, kind := range fleet.Peers {
		say("starting %s", kind.Name)
		peer, err := kind.Start(all, ctx, installed, s.upstream.Port)
		if err != nil {
			return err
		}
		names[kind.Name] = peer.Name
		notes = append(notes, peer.Name+": "+peer.Note)
		headers := append([]string{"Authorization", "Bearer " + peer.Key}, peer.Headers...)
		works = append(works, &work{
			name: peer.Name, server: peer.Process, ways: []report.Way{report.Busy, report.Alone},
			request: load.Post(peer.Address(), "/v1/chat/completions", chat(upstream.Model, "", questionSize), headers...),
			expect:  []string{"It knows who is asking"},
		})
	}
	for _, w := range works {
		if err := w.check(ctx); err != nil {
			return err
		}
	}
	b := &bench{fleet: all, measure: f.measuring(), rate: f.rate}
	series, others, err := b.rounds(ctx, f, works)
	if err != nil {
		return err
	}
	versions, err := describe(ctx, built, s)
	if err != nil {
		return err
	}
	result := &report.Report{
		Title: "The gateway beside other gateways", Command: fmt.Sprintf("make bench-peers ROUNDS=%d SECONDS=%g", f.rounds, f.seconds),
		Facts: append(append(versions, facts(f, cores, others)...), notes...),
	}
	toPeers := make(map[string]string)
	for _, kind := range fleet.Peers {
		name := names[kind.Name]
		toPeers[name] = ours
		result.Figures = append(result.Figures, report.NewFigure("10", "CPU of a proxied call, the gateway's beside that of "+name,
			series.Ratios(ours, name, report.Busy, report.CPU), peerGoals[kind.Name], ratio))
	}
	toPeers[ours] = plain
	var order []string
	for _, w := range works {
		order = append(order, w.name)
	}
	result.Tables = []report.Table{costTable(series, order, toPeers), latencyTable(series, order, f.rate)}
	return publish(result, f, "peers", others)
}

// comparable are the works that peers have as well: a proxied call through stock Caddy, and through the gateway, in this order.
func comparable(ctx context.Context, s servers) ([]*work, error) {
	all, err := makeWorks(ctx, s)
	if err != nil {
		return nil, err
	}
	var chosen []*work
	for _, w := range all {
		if w.name == plain || w.name == proxied {
			chosen = append(chosen, w)
		}
	}
	return chosen, nil
}

// installPeers gets the peers from their registries, at the versions that are pinned, where they are not there yet.
func installPeers(ctx context.Context, cores fleet.Cores) (string, error) {
	say("installing the peers, which takes minutes the first time")
	dir, err := filepath.Abs(".cache/peers")
	if err != nil {
		return "", fmt.Errorf("looking for the peers: %w", err)
	}
	cmd := exec.CommandContext(ctx, "taskset", "-c", cores.Server+","+cores.Load, "bench/peers/install.sh", dir)
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("installing the peers: %w", err)
	}
	return dir, nil
}
