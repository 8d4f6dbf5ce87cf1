package main

import (
	"fmt"

	"github.com/caddy-llm/caddy-llm/bench/report"
	"github.com/caddy-llm/caddy-llm/bench/stats"
)

const (
	ratio = "ratio"
	mb    = "MB"
)

// figures are those that have a goal. A cost is CPU for each request at 64 connections.
func figures(s *report.Series, r resources) []report.Figure {
	cost := func(target, name, work, reference string, goal float64) report.Figure {
		return report.NewFigure(target, name, s.Ratios(work, reference, report.Busy, report.CPU), goal, ratio)
	}
	added := func(work string) []float64 {
		return report.Subtract(s.Values(work, report.Alone, report.P50), s.Values(direct, report.Alone, report.P50))
	}
	return []report.Figure{
		cost("1", "cached answer in memory, beside stock respond: CPU", hit, respond, 1.0),
		cost("2", "cached answer, limits and cache in Redis, beside stock respond: CPU", hitRedis, respond, 1.5),
		report.NewFigure("2", "cached answer, limits and cache in Redis: round trips of a call that comes alone", s.Values(hitRedis, report.Alone, report.RoundTrips), 1, "round trips"),
		report.NewFigure("2", "the same of calls that come together", s.Values(hitRedis, report.Busy, report.RoundTrips), 1, "round trips"),
		report.NewFigure("2", "cached answer, limits and cache in Redis: Redis's own CPU", s.Values(hitRedis, report.Busy, report.RedisCPU), 60, "µs"),
		cost("3", "proxied call beside stock reverse_proxy: CPU", proxied, plain, 0.9),
		cost("3", "proxied call that is kept in the cache, beside stock reverse_proxy: CPU", missed, plain, 0.9),
		cost("4", "proxied call with limits in Redis, beside stock reverse_proxy: CPU", proxiedRedis, plain, 1.1),
		cost("5", "proxied stream of 20 events, beside stock reverse_proxy: CPU", stream, plainStream, 0.9),
		cost("6", "translated call beside stock reverse_proxy: CPU", translated, plain, 1.2),
		cost("6", "translated stream beside stock reverse_proxy: CPU", translatedStream, plainStream, 1.0),
		report.NewFigure("7", "added latency at 1 connection, P50, beside stock reverse_proxy", report.Divide(added(proxied), added(plain)), 1.0, ratio),
		cost("8", "/v1/analyze/ from the cache, beside a cached answer: CPU", analyzeHit, hit, 1.1),
		report.NewFigure("9", "resident memory at rest, beside stock Caddy", report.Divide(r.idle, r.stockIdle), 1.3, ratio),
		report.NewFigure("9", fmt.Sprintf("resident memory with %s live streams", report.Count(liveStreams)), r.live, 150, mb),
		report.NewFigure("9", fmt.Sprintf("resident memory that %s keys limited at 1,000,000 an hour add", report.Count(manyKeys)),
			report.Subtract(r.allKeys, r.oneKey), 20, mb),
		report.NewFigure("11", "start from nothing to the first answer", r.start, 300, "ms"),
	}
}

// references are what works are shown beside.
var references = map[string]string{
	hit: respond, hitRedis: respond, analyzeHit: respond,
	proxied: plain, missed: plain, proxiedRedis: plain, translated: plain,
	stream: plainStream, translatedStream: plainStream, paced: plainPaced,
}

func tables(s *report.Series, works []*work, r resources, rate float64) []report.Table {
	var names []string
	for _, w := range works {
		names = append(names, w.name)
	}
	return []report.Table{costTable(s, names, references), latencyTable(s, names, rate), resourceTable(r)}
}

// costTable is CPU, throughput and allocations. Works without a reference have no ratio.
func costTable(s *report.Series, names []string, references map[string]string) report.Table {
	table := report.Table{
		Title: "Cost",
		Text: "Medians over the rounds, with the range in parentheses. CPU is the operating system's account of the server's process, for each request. " +
			"The ratio is to the stock work that does the same. Allocations are by Go's own count, at 1 connection.",
		Header: []string{"work", "µs of CPU, 64 connections", "ratio", "requests a second", "µs of CPU, 1 connection", "ratio", "allocations"},
	}
	for _, name := range names {
		if !s.Has(name, report.Busy) {
			continue
		}
		row := []string{name}
		for _, way := range []report.Way{report.Busy, report.Alone} {
			row = append(row, spread(s.Summary(name, way, report.CPU)))
			if reference, ok := references[name]; ok {
				row = append(row, spread(stats.Summarize(s.Ratios(name, reference, way, report.CPU))))
			} else {
				row = append(row, "1")
			}
			if way == report.Busy {
				row = append(row, report.Number(s.Summary(name, way, report.Rate).Median))
			}
		}
		allocations := "" // of other languages there is no such count
		if median := s.Summary(name, report.Alone, report.Allocations).Median; median > 0 {
			allocations = report.Number(median)
		}
		table.Rows = append(table.Rows, append(row, allocations))
	}
	return table
}

func latencyTable(s *report.Series, names []string, rate float64) report.Table {
	table := report.Table{
		Title: "Latency",
		Text: fmt.Sprintf("In µs, medians over the rounds, to the last byte of the answer. The open loop sends %s requests a second, whether they are answered or not, "+
			"and counts from when each was due.", report.Count(rate)),
		Header: []string{"work", "P50, 1 connection", "P99", "P50, 64 connections", "P99", "P50, open loop", "P99"},
	}
	for _, name := range names {
		row := []string{name}
		for _, way := range []report.Way{report.Alone, report.Busy, report.Open} {
			for _, pick := range []report.Pick{report.P50, report.P99} {
				if s.Has(name, way) {
					row = append(row, report.Number(s.Summary(name, way, pick).Median))
				} else {
					row = append(row, "")
				}
			}
		}
		table.Rows = append(table.Rows, row)
	}
	return table
}

func resourceTable(r resources) report.Table {
	table := report.Table{
		Title:  "Memory and start",
		Header: []string{"", "median", "range", "unit"},
	}
	for _, row := range []struct {
		name   string
		values []float64
		unit   string
	}{
		{"stock Caddy at rest", r.stockIdle, mb},
		{"the gateway at rest", r.idle, mb},
		{fmt.Sprintf("stock Caddy after %s proxied calls", report.Count(manyKeys*callsOfEach)), r.stockAfter, mb},
		{fmt.Sprintf("the gateway after as many calls of one key, which is limited at 1,000,000 an hour, with %s keys in its database", report.Count(manyKeys)), r.oneKey, mb},
		{fmt.Sprintf("the same, after as many more of all %s keys", report.Count(manyKeys)), r.allKeys, mb},
		{fmt.Sprintf("the gateway with %s live streams", report.Count(liveStreams)), r.live, mb},
		{"the gateway's start from nothing to its first answer", r.start, "ms"},
	} {
		summary := stats.Summarize(row.values)
		table.Rows = append(table.Rows, []string{row.name, report.Number(summary.Median), report.Number(summary.Min) + " to " + report.Number(summary.Max), row.unit})
	}
	return table
}

// spread is a median and its range.
func spread(s stats.Summary) string {
	if s.Min == s.Max {
		return report.Number(s.Median)
	}
	return fmt.Sprintf("%s (%s to %s)", report.Number(s.Median), report.Number(s.Min), report.Number(s.Max))
}
