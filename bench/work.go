package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/caddy-llm/caddy-llm/bench/fleet"
	"github.com/caddy-llm/caddy-llm/bench/load"
	"github.com/caddy-llm/caddy-llm/bench/machine"
	"github.com/caddy-llm/caddy-llm/bench/report"
	"github.com/caddy-llm/caddy-llm/bench/stats"
)

// connections of the busy way, and of the open loop, which has as many as it may come to need.
const connections = 64

// work is one kind of request to one server.
type work struct {
	name   string
	server *fleet.Process
	port   int            // where it is asked, if that is not the server's first one
	caddy  *fleet.Caddy   // where allocations can be asked for
	redis  *fleet.Process // where the work uses it
	ways   []report.Way

	request []byte
	next    func(connection, n int) []byte // where requests differ otherwise than by fresh
	fresh   bool                           // each request asks something new
	expect  []string                       // what a right answer has in its head or its body
}

// has says whether the work is measured in a way.
func (w *work) has(way report.Way) bool { return slices.Contains(w.ways, way) }

func (w *work) address() string {
	if w.port != 0 {
		return fleet.Local(w.port)
	}
	return w.server.Address()
}

// check asks once and looks at the answer. Cached works are asked twice, so that the second one is the one that is meant.
func (w *work) check(ctx context.Context) error {
	c, err := load.Dial(ctx, w.address())
	if err != nil {
		return err
	}
	defer c.Close()
	if _, err := c.Ask(w.request); err != nil {
		return fmt.Errorf("%s: %w", w.name, err)
	}
	answer, err := c.Ask(w.request)
	if err != nil {
		return fmt.Errorf("%s: %w", w.name, err)
	}
	for _, text := range w.expect {
		if !strings.Contains(answer.Head, text) && !strings.Contains(string(answer.Body), text) {
			return fmt.Errorf("%s: the answer lacks %q:\n%s%s", w.name, text, answer.Head, answer.Body)
		}
	}
	return nil
}

// bench runs works and keeps what they give.
type bench struct {
	fleet   *fleet.Fleet
	measure time.Duration // for one work in one way
	rate    float64       // of open loops
	runs    int           // of fresh questions, so that none is asked in two of them
}

// usage is what had been used up at a moment.
type usage struct {
	cpu, redisCPU time.Duration
	allocations   int64
	roundTrips    int64
	decisions     int64
}

func (b *bench) run(ctx context.Context, w *work, way report.Way) (report.Sample, error) {
	plan := load.Plan{
		Address: w.address(), Connections: connections, Next: same(w.request),
		WarmUp: min(300*time.Millisecond, b.measure/4), Measure: b.measure,
	}
	switch way {
	case report.Alone:
		plan.Connections = 1
	case report.Open:
		plan.Rate = b.rate
	}
	if w.fresh {
		b.runs++
		plan.Next = fresh(w.request, plan.Connections, b.runs)
	}
	if w.next != nil {
		plan.Next = w.next
	}
	var began, ended usage
	plan.Began = func() (err error) { began, err = w.usage(ctx, way); return err }
	plan.Ended = func() (err error) { ended, err = w.usage(ctx, way); return err }
	result, err := load.Run(ctx, plan)
	if err != nil {
		return report.Sample{}, fmt.Errorf("%s, %s: %w", w.name, way, err)
	}
	n := float64(len(result.Latencies))
	return report.Sample{
		CPU:         micros(ended.cpu-began.cpu) / n,
		Rate:        n / result.Elapsed.Seconds(),
		P50:         micros(stats.Percentile(result.Latencies, 0.50)),
		P99:         micros(stats.Percentile(result.Latencies, 0.99)),
		Allocations: float64(ended.allocations-began.allocations) / n,
		RedisCPU:    micros(ended.redisCPU-began.redisCPU) / n,
		RoundTrips:  float64(ended.roundTrips-began.roundTrips) / n,
		Decisions:   float64(ended.decisions-began.decisions) / n,
	}, nil
}

// usage asks the machine, and where it disturbs nobody the servers.
func (w *work) usage(ctx context.Context, way report.Way) (now usage, err error) {
	if now.cpu, err = machine.System.CPU(w.server.ID); err != nil {
		return usage{}, err
	}
	if w.redis != nil {
		if now.redisCPU, err = machine.System.CPU(w.redis.ID); err != nil {
			return usage{}, err
		}
		if now.roundTrips, err = fleet.RedisReads(ctx, w.redis); err != nil {
			return usage{}, err
		}
		if now.decisions, err = fleet.RedisScripts(ctx, w.redis); err != nil {
			return usage{}, err
		}
	}
	if w.caddy != nil && way == report.Alone {
		now.allocations, err = w.caddy.Allocations(ctx)
	}
	return now, err
}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }
