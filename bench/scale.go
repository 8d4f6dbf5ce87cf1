package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/caddy-llm/caddy-llm/bench/fleet"
	"github.com/caddy-llm/caddy-llm/bench/machine"
	"github.com/caddy-llm/caddy-llm/bench/plot"
	"github.com/caddy-llm/caddy-llm/bench/report"
	"github.com/caddy-llm/caddy-llm/bench/stats"
)

// scale is one way in which a gateway can grow, and what it costs on the way.
type scale struct {
	name  string // of its files
	title string
	x, y  string // what grows, and what is measured, with its unit
	logY  bool

	// points are where it is measured; the last ones are left out without --full.
	points, full []float64
	measure      func(m *scaling, ctx context.Context, points []float64) ([]plot.Curve, error)
}

// scaling is what the scales are measured with.
type scaling struct {
	*bench
	built    binaries
	upstream *fleet.Process
	rounds   int
}

var scales = []scale{
	{name: "keys", title: "A cached answer, by the number of keys that call", x: "keys", y: "µs of CPU for each call",
		points: []float64{10, 100, 1000, 10_000, 100_000}, full: []float64{1_000_000}, measure: (*scaling).keys},
	{name: "limits", title: "A cached answer, by the limits of a key", x: "limits of a key", y: "µs of CPU for each call",
		points: []float64{1, 2, 4, 8}, measure: (*scaling).limits},
	{name: "body", title: "A proxied call, by the size of its body", x: "bytes", y: "µs of CPU for each call", logY: true,
		points: []float64{1e3, 1e4, 1e5, 1e6, 1e7}, measure: (*scaling).bodies},
	{name: "entries", title: "A cached answer, by the number of answers that are kept and asked for", x: "answers", y: "µs of CPU for each call",
		points: []float64{10, 100, 1000, 10_000, 100_000}, full: []float64{1_000_000}, measure: (*scaling).entries},
	{name: "streams", title: "Live streams with an event a second each", x: "streams", y: "the units of the curves",
		points: []float64{10, 100, 1000, 2000, 5000}, measure: (*scaling).streams},
}

// runScale is make bench-scale.
func runScale(ctx context.Context, f flags) error {
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
	up, err := all.Upstream(ctx, 0)
	if err != nil {
		return err
	}
	m := &scaling{bench: &bench{fleet: all, measure: f.measuring(), rate: f.rate}, built: built, upstream: up, rounds: f.rounds}
	out := filepath.Join(f.out, "scale")
	if err := os.MkdirAll(out, 0o755); err != nil {
		return fmt.Errorf("writing plots: %w", err)
	}
	meter, err := machine.System.Measure(os.Getpid())
	if err != nil {
		return err
	}
	result := &report.Report{Title: "How the gateway's cost grows", Command: fmt.Sprintf("make bench-scale ROUNDS=%d SECONDS=%g", f.rounds, f.seconds)}
	if f.full {
		result.Command += " FLAGS=--full"
	}
	for _, s := range scales {
		if !strings.Contains(s.name, f.only) {
			continue
		}
		points := s.points
		if f.full {
			points = append(points[:len(points):len(points)], s.full...)
		}
		say("%s, at %d points", s.title, len(points))
		curves, err := s.measure(m, ctx, points)
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		table, err := s.write(out, points, curves)
		if err != nil {
			return err
		}
		result.Tables = append(result.Tables, table)
	}
	share, err := meter.Others()
	if err != nil {
		return err
	}
	if share > tolerated && !f.allowBusy {
		say("others used %.2f cores meanwhile", share)
		return errBusy
	}
	others := []float64{share}
	result.Facts = facts(f, cores, others)
	return publish(result, f, "scale", others)
}

// write draws a scale, keeps its values, and says in a sentence for each curve how it grows.
func (s *scale) write(dir string, points []float64, curves []plot.Curve) (report.Table, error) {
	chart := plot.Chart{Title: s.title, X: s.x, Y: s.y, At: points, Curves: curves, LogY: s.logY}
	table := report.Table{Title: s.title, Header: []string{s.x}}
	var csv, sentences strings.Builder
	csv.WriteString(s.x)
	for _, curve := range curves {
		table.Header = append(table.Header, curve.Name)
		fmt.Fprintf(&csv, ",%s", curve.Name)
		fmt.Fprintf(&sentences, "%s: %s.\n", curve.Name, grows(s.x, points, curve.Values))
	}
	csv.WriteString("\n")
	for i, at := range points {
		row := []string{report.Count(at)}
		fmt.Fprintf(&csv, "%g", at)
		for _, curve := range curves {
			row = append(row, report.Number(curve.Values[i]))
			fmt.Fprintf(&csv, ",%.4g", curve.Values[i])
		}
		table.Rows = append(table.Rows, row)
		csv.WriteString("\n")
	}
	table.Text = fmt.Sprintf("![%s](scale/%s.svg)\n\nIn %s, medians; [as data](scale/%s.csv).\n\n%s", s.title, s.name, s.y, s.name, strings.TrimSpace(sentences.String()))
	for name, text := range map[string]string{s.name + ".svg": chart.SVG(), s.name + ".csv": csv.String()} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			return table, fmt.Errorf("writing plots: %w", err)
		}
	}
	return table, nil
}

// grows is the sentence on how a cost grows.
func grows(x string, points, values []float64) string {
	last := len(points) - 1
	exponent := stats.Exponent(points, values)
	how := "as the power " + report.Number(exponent) + " of it"
	switch {
	case exponent < 0.05:
		how = "hardly at all"
	case exponent > 0.9 && exponent < 1.1:
		how = "in proportion"
	}
	return fmt.Sprintf("%s times as many %s cost %s times as much, %s to %s; it grows %s",
		report.Count(points[last]/points[0]), x, report.Number(values[last]/values[0]), report.Number(values[0]), report.Number(values[last]), how)
}
