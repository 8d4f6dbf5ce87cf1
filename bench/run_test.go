package main

import (
	"strings"
	"testing"

	"github.com/caddy-llm/caddy-llm/bench/fleet"
	"github.com/caddy-llm/caddy-llm/bench/report"
)

func TestRoundIsSpoiltByOthersAndByARedisThatWasNotAsked(t *testing.T) {
	works := []*work{{name: hit}, {name: hitRedis, redis: new(fleet.Process)}}
	for _, c := range []struct {
		decisions, others float64
		want              string
	}{
		{1, 0.01, ""},
		{1.02, tolerated, ""},
		{1, 0.3, "others used 0.30 cores"},
		{0.6, 0, "Redis was not asked"},
	} {
		one := new(report.Series)
		one.Add(hit, report.Busy, report.Sample{})
		one.Add(hitRedis, report.Busy, report.Sample{Decisions: c.decisions})
		if got := spoils(one, works, c.others); (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%+v: %q", c, got)
		}
	}
}

// Every figure comes from what a round measures, and each target that a single gateway can have is among them.
func TestFiguresAreThoseOfTheTargets(t *testing.T) {
	s := new(report.Series)
	works := []*work{}
	for _, name := range []string{direct, respond, plain, plainStream, plainPaced, hit, hitRedis, analyzeHit, proxied, missed, proxiedRedis, stream, paced, translated, translatedStream} {
		works = append(works, &work{name: name})
		for _, way := range []report.Way{report.Busy, report.Alone} {
			s.Add(name, way, report.Sample{CPU: 100, Rate: 1, P50: 200, P99: 300, Allocations: 7, RedisCPU: 30, RoundTrips: 1})
		}
	}
	s.Add(hit, report.Open, report.Sample{P50: 42})
	r := resources{stockIdle: []float64{50}, idle: []float64{60}, stockAfter: []float64{55}, live: []float64{140}, oneKey: []float64{70}, allKeys: []float64{80}, start: []float64{250}}
	seen := make(map[string]bool)
	for _, f := range figures(s, r) {
		seen[f.Target] = true
		if f.Work == "" || f.Unit == "" || f.Goal <= 0 {
			t.Errorf("%+v", f)
		}
		// 7 divides what is added by nothing here, and 9 memory, which differs.
		if f.Unit == ratio && f.Target != "7" && f.Target != "9" && f.Value != 1 {
			t.Errorf("%+v: equal costs have the ratio 1", f)
		}
	}
	for _, target := range strings.Fields("1 2 3 4 5 6 7 8 9 11") {
		if !seen[target] {
			t.Errorf("no figure of target %s", target)
		}
	}
	made := tables(s, works, r, 1000)
	for _, table := range made {
		for _, row := range table.Rows {
			if len(row) != len(table.Header) {
				t.Errorf("%s: %d cells under %d titles: %q", table.Title, len(row), len(table.Header), row)
			}
		}
	}
	if len(made) != 3 || len(made[0].Rows) != len(works) {
		t.Errorf("%+v", made)
	}
}
