package main

import (
	"bytes"
	"context"
	"fmt"

	"github.com/caddy-llm/caddy-llm/bench/fleet"
	"github.com/caddy-llm/caddy-llm/bench/load"
	"github.com/caddy-llm/caddy-llm/bench/machine"
	"github.com/caddy-llm/caddy-llm/bench/plot"
	"github.com/caddy-llm/caddy-llm/bench/report"
	"github.com/caddy-llm/caddy-llm/bench/stats"
	"github.com/caddy-llm/caddy-llm/bench/upstream"
)

const repeatable = `"temperature":0,`

// cost is the median over the rounds.
func (m *scaling) cost(ctx context.Context, w *work, way report.Way, next func(connection, n int) []byte) (float64, error) {
	w.next = next
	var values []float64
	for range m.rounds {
		sample, err := m.run(ctx, w, way)
		if err != nil {
			return 0, err
		}
		values = append(values, sample.CPU)
	}
	return stats.Median(values), nil
}

func (m *scaling) gateway(ctx context.Context, store string) (*fleet.Gateway, string, error) {
	dir, err := m.fleet.Home()
	if err != nil {
		return nil, "", err
	}
	gateway, err := m.fleet.GatewayWith(ctx, dir, m.built.gateway, m.upstream.Port, store)
	if err != nil {
		return nil, "", err
	}
	key, err := gateway.Key(ctx, unlimited)
	return gateway, key, err
}

// keys has more and more keys ask the same, each of which has an answer of its own.
func (m *scaling) keys(ctx context.Context, points []float64) ([]plot.Curve, error) {
	most := int(points[len(points)-1])
	dir, err := m.fleet.Home()
	if err != nil {
		return nil, err
	}
	say("  making %d keys", most)
	keys, err := makeKeys(ctx, m.fleet, dir, m.built.gateway, m.upstream, most, unlimited)
	if err != nil {
		return nil, err
	}
	gateway, err := m.fleet.GatewayWith(ctx, dir, m.built.gateway, m.upstream.Port, storeOf(most))
	if err != nil {
		return nil, err
	}
	defer gateway.Stop()
	w := &work{name: "keys", server: gateway.Process}
	request := post(gateway.Address(), "/v1/chat/completions", keys[0], chat(upstream.Model, repeatable, questionSize))
	curve := plot.Curve{Name: "cached answer"}
	for _, point := range points {
		next := patched(request, keys[0], func(i int) string { return keys[i%int(point)] })
		if err := each(ctx, gateway.Address(), next, int(point)); err != nil {
			return nil, err
		}
		cost, err := m.cost(ctx, w, report.Busy, next)
		if err != nil {
			return nil, err
		}
		say("  %s keys: %s µs", report.Count(point), report.Number(cost))
		curve.Values = append(curve.Values, cost)
	}
	return []plot.Curve{curve}, nil
}

// storeOf is a store that has room for as many answers.
func storeOf(answers int) string {
	return fmt.Sprintf("store memory {\n\t\t\tmax_size %dMiB\n\t\t}", 64+answers/256)
}

// patched asks with a part of the request replaced each time, by one that is as long. Each connection has a copy of its own.
func patched(request []byte, part string, pick func(i int) string) func(connection, n int) []byte {
	at := bytes.Index(request, []byte(part))
	copies := make([][]byte, connections)
	for i := range copies {
		copies[i] = bytes.Clone(request)
	}
	return func(connection, n int) []byte {
		copy(copies[connection][at:], pick(n*connections+connection))
		return copies[connection]
	}
}

// each sends the first requests of a kind, once each.
func each(ctx context.Context, address string, next func(connection, n int) []byte, count int) error {
	c, err := load.Dial(ctx, address)
	if err != nil {
		return err
	}
	defer c.Close()
	for i := range count {
		if err := c.Exchange(next(i%connections, i/connections)); err != nil {
			return err
		}
	}
	return nil
}

// limits has a key with more and more windows of different lengths.
func (m *scaling) limits(ctx context.Context, points []float64) ([]plot.Curve, error) {
	gateway, _, err := m.gateway(ctx, "")
	if err != nil {
		return nil, err
	}
	defer gateway.Stop()
	w := &work{name: "limits", server: gateway.Process}
	curve := plot.Curve{Name: "cached answer"}
	for _, point := range points {
		var limits []string
		for i := range int(point) {
			limits = append(limits, fmt.Sprintf("1000000000/%dh", i+1))
		}
		key, err := gateway.Key(ctx, limits...)
		if err != nil {
			return nil, err
		}
		cost, err := m.cost(ctx, w, report.Busy, same(post(gateway.Address(), "/v1/chat/completions", key, chat(upstream.Model, repeatable, questionSize))))
		if err != nil {
			return nil, err
		}
		say("  %s limits: %s µs", report.Count(point), report.Number(cost))
		curve.Values = append(curve.Values, cost)
	}
	return []plot.Curve{curve}, nil
}

// bodies sends larger and larger questions, through stock Caddy as well; one at a time, since the largest take long.
func (m *scaling) bodies(ctx context.Context, points []float64) ([]plot.Curve, error) {
	stock, err := m.fleet.Stock(ctx, m.built.stock, m.upstream.Port)
	if err != nil {
		return nil, err
	}
	defer stock.Stop()
	gateway, key, err := m.gateway(ctx, "")
	if err != nil {
		return nil, err
	}
	defer gateway.Stop()
	curves := []plot.Curve{{Name: "the gateway"}, {Name: "stock reverse_proxy"}}
	for _, point := range points {
		for i, server := range []*fleet.Process{gateway.Process, stock.Process} {
			w := &work{name: "body", server: server}
			cost, err := m.cost(ctx, w, report.Alone, same(post(server.Address(), "/v1/chat/completions", key, chat(upstream.Model, "", int(point)))))
			if err != nil {
				return nil, err
			}
			say("  %s bytes, %s: %s µs", report.Count(point), curves[i].Name, report.Number(cost))
			curves[i].Values = append(curves[i].Values, cost)
		}
	}
	return curves, nil
}

// entries asks for more and more answers that are kept.
func (m *scaling) entries(ctx context.Context, points []float64) ([]plot.Curve, error) {
	gateway, key, err := m.gateway(ctx, storeOf(int(points[len(points)-1])))
	if err != nil {
		return nil, err
	}
	defer gateway.Stop()
	w := &work{name: "entries", server: gateway.Process}
	request := post(gateway.Address(), "/v1/chat/completions", key, chat(upstream.Model, repeatable, questionSize))
	curve := plot.Curve{Name: "cached answer"}
	for _, point := range points {
		next := patched(request, counter, func(i int) string { return fmt.Sprintf("%0*d", len(counter), i%int(point)) })
		if err := each(ctx, gateway.Address(), next, int(point)); err != nil {
			return nil, err
		}
		cost, err := m.cost(ctx, w, report.Busy, next)
		if err != nil {
			return nil, err
		}
		say("  %s answers: %s µs", report.Count(point), report.Number(cost))
		curve.Values = append(curve.Values, cost)
	}
	return []plot.Curve{curve}, nil
}

// streams has more and more streams live at a time. Each takes two descriptors of the gateway.
func (m *scaling) streams(ctx context.Context, points []float64) ([]plot.Curve, error) {
	cost, memory := plot.Curve{Name: "µs of CPU for each event"}, plot.Curve{Name: "kB of memory for each stream"}
	for _, point := range points {
		events, kilobytes, err := m.liveStreams(ctx, int(point))
		if err != nil {
			return nil, err
		}
		say("  %s streams: %s µs for each event, %s kB for each", report.Count(point), report.Number(events), report.Number(kilobytes))
		cost.Values, memory.Values = append(cost.Values, events), append(memory.Values, kilobytes)
	}
	return []plot.Curve{cost, memory}, nil
}

func (m *scaling) liveStreams(ctx context.Context, n int) (events, kilobytes float64, err error) {
	gateway, key, err := m.gateway(ctx, "")
	if err != nil {
		return 0, 0, err
	}
	defer gateway.Stop()
	var before, after []float64
	if err := resident(ctx, gateway.Process, &before); err != nil {
		return 0, 0, err
	}
	stop, err := openStreams(ctx, gateway, key, n)
	if err != nil {
		return 0, 0, err
	}
	defer stop()
	began, err := machine.System.CPU(gateway.ID)
	if err != nil {
		return 0, 0, err
	}
	length := 5 * m.measure // an event comes once a second
	if _, err := watch(ctx, length); err != nil {
		return 0, 0, err
	}
	ended, err := machine.System.CPU(gateway.ID)
	if err != nil {
		return 0, 0, err
	}
	if err := resident(ctx, gateway.Process, &after); err != nil {
		return 0, 0, err
	}
	// A tick is the least that can be seen, and a curve of logarithms has no zero.
	used := max(ended-began, machine.Tick)
	return micros(used) / (float64(n) * length.Seconds()), max(after[0]-before[0], 0.001) * 1000 / float64(n), nil
}
