package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/caddy-llm/caddy-llm/bench/fleet"
	"github.com/caddy-llm/caddy-llm/bench/machine"
	"github.com/caddy-llm/caddy-llm/bench/report"
	"github.com/caddy-llm/caddy-llm/bench/stats"
)

// tolerated is how much of one core others may use while a round is measured.
const tolerated = 0.05

// errBusy is why there is no report.
var errBusy = errors.New("the machine is too busy to measure on. End what else runs, or give --allow-busy for a report that says that it does not count")

// say tells of progress.
func say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, time.Now().Format("15:04:05 ")+format+"\n", args...)
}

// runGateway is make bench.
func runGateway(ctx context.Context, f flags) error {
	cores, err := fleet.Pin()
	if err != nil {
		return err
	}
	if err := refuseBusy(ctx, f); err != nil {
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
	say("starting the upstream, Redis, stock Caddy and two gateways; servers on core %s, load on %s", cores.Server, cores.Load)
	s, err := startServers(ctx, all, built)
	if err != nil {
		return err
	}
	works, err := makeWorks(ctx, s)
	if err != nil {
		return err
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
	for _, p := range []*fleet.Process{s.stock.Process, s.memory.Process, s.shared.Process} {
		p.Stop() // what follows has servers of its own
	}
	resources, err := measureResources(ctx, all, built, s.upstream, f.rounds)
	if err != nil {
		return err
	}
	result := &report.Report{
		Title: "The gateway beside stock Caddy", Command: fmt.Sprintf("make bench ROUNDS=%d SECONDS=%g", f.rounds, f.seconds),
		Facts:   append(versions, facts(f, cores, others)...),
		Figures: figures(series, resources), Tables: tables(series, works, resources, f.rate),
	}
	return publish(result, f, "latest", others)
}

// refuseBusy looks at the machine before anything else is done.
func refuseBusy(ctx context.Context, f flags) error {
	others, err := watch(ctx, 2*time.Second)
	if err != nil || others <= tolerated {
		return err
	}
	say("others use %.2f cores", others)
	if f.allowBusy {
		return nil
	}
	return errBusy
}

// watch says how much of the machine others use.
func watch(ctx context.Context, d time.Duration) (float64, error) {
	meter, err := machine.System.Measure(os.Getpid())
	if err != nil {
		return 0, err
	}
	select {
	case <-time.After(d):
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	return meter.Others()
}

// rounds measures all works in turn, again and again. A round in which others had too much of the machine is done again; where
// that does not help, there is no result.
func (b *bench) rounds(ctx context.Context, f flags, works []*work) (*report.Series, []float64, error) {
	series := new(report.Series)
	var others []float64
	for done, spoilt := 0, 0; done < f.rounds; {
		say("round %d of %d", done+1, f.rounds)
		meter, err := machine.System.Measure(os.Getpid())
		if err != nil {
			return nil, nil, err
		}
		one, err := b.round(ctx, works)
		if err != nil {
			return nil, nil, err
		}
		share, err := meter.Others()
		if err != nil {
			return nil, nil, err
		}
		if why := spoils(one, works, share); why != "" && !f.allowBusy {
			say("%s, so this round does not count", why)
			if spoilt++; spoilt > f.rounds {
				return nil, nil, errBusy
			}
			continue
		}
		series.Append(one)
		others = append(others, share)
		done++
	}
	return series, others, nil
}

// spoils says why a round does not count; it is empty where it does. A gateway that gets no answer from Redis in time decides by
// itself, which is cheaper than what is to be measured.
func spoils(one *report.Series, works []*work, others float64) string {
	if others > tolerated {
		return fmt.Sprintf("others used %.2f cores meanwhile", others)
	}
	for _, w := range works {
		if w.redis != nil && one.Summary(w.name, report.Busy, report.Decisions).Median < 0.95 {
			return fmt.Sprintf("%s: Redis was not asked for each", w.name)
		}
	}
	return ""
}

func (b *bench) round(ctx context.Context, works []*work) (*report.Series, error) {
	series := new(report.Series)
	for _, way := range []report.Way{report.Busy, report.Alone, report.Open} {
		for _, w := range works {
			if !w.has(way) {
				continue
			}
			sample, err := b.run(ctx, w, way)
			if err != nil {
				return nil, err
			}
			series.Add(w.name, way, sample)
			say("  %-14s %-52s %7s µs CPU %8s/s  P50 %s µs", way, w.name, report.Number(sample.CPU), report.Number(sample.Rate), report.Number(sample.P50))
		}
	}
	return series, nil
}

// facts are what a reader needs to know of how the figures came about.
func facts(f flags, cores fleet.Cores, others []float64) []string {
	share := stats.Summarize(others)
	return []string{
		time.Now().UTC().Format("2006-01-02 15:04 UTC") + ", " + machine.System.Describe(),
		fmt.Sprintf("the measured server on core %s; load, upstream and Redis on %s; GOMAXPROCS is what Go makes of that", cores.Server, cores.Load),
		fmt.Sprintf("%d rounds, all works in turn in each, %g s for each; of the machine others used %.3f cores (median; %.3f at most)", f.rounds, f.seconds, share.Median, share.Max),
	}
}

// publish writes the report and tells where it is.
func publish(r *report.Report, f flags, name string, others []float64) error {
	if busiest := stats.Summarize(others).Max; busiest > tolerated {
		r.Invalid = fmt.Sprintf("others used up to %.2f cores of the machine meanwhile", busiest)
	}
	if err := r.Write(f.out, name); err != nil {
		return err
	}
	fmt.Print(r.Markdown())
	say("written to %s/%s.md and %s.json", f.out, name, name)
	return nil
}
