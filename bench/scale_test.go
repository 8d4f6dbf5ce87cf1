package main

import (
	"encoding/xml"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-llm/caddy-llm/bench/plot"
)

func TestGrowthIsToldInASentence(t *testing.T) {
	for want, values := range map[string][]float64{
		"10,000 times as many keys cost 1.04 times as much, 50.0 to 52.0; it grows hardly at all":         {50, 51, 52},
		"10,000 times as many keys cost 10,000 times as much, 2.00 to 20,000; it grows in proportion":     {2, 200, 20_000},
		"10,000 times as many keys cost 100 times as much, 1.00 to 100; it grows as the power 0.50 of it": {1, 10, 100},
	} {
		if got := grows("keys", []float64{10, 1000, 100_000}, values); got != want {
			t.Errorf("%s\nwant %s", got, want)
		}
	}
}

func TestScaleIsWrittenAsAPictureAndAsData(t *testing.T) {
	dir := t.TempDir()
	s := &scale{name: "keys", title: "By keys", x: "keys", y: "µs"}
	table, err := s.write(dir, []float64{10, 1000}, []plot.Curve{{Name: "cached answer", Values: []float64{50, 51.5}}})
	if err != nil {
		t.Fatal(err)
	}
	csv, err := os.ReadFile(filepath.Join(dir, "keys.csv"))
	if err != nil || string(csv) != "keys,cached answer\n10,50\n1000,51.5\n" {
		t.Errorf("%v, %q", err, csv)
	}
	svg, err := os.ReadFile(filepath.Join(dir, "keys.svg"))
	if err != nil || xml.Unmarshal(svg, new(struct{})) != nil || !strings.Contains(string(svg), "By keys") {
		t.Errorf("%v, %s", err, svg)
	}
	if !strings.Contains(table.Text, "scale/keys.svg") || len(table.Rows) != 2 || table.Rows[1][0] != "1,000" {
		t.Errorf("%+v", table)
	}
}

func TestScalesHaveNamesOfTheirOwnAndGrow(t *testing.T) {
	seen := make(map[string]bool)
	for _, s := range scales {
		if seen[s.name] || s.measure == nil || s.title == "" {
			t.Errorf("%+v", s)
		}
		seen[s.name] = true
		all := append(append([]float64{}, s.points...), s.full...)
		for i := 1; i < len(all); i++ {
			if all[i] <= all[i-1] {
				t.Errorf("%s: %g follows %g", s.name, all[i], all[i-1])
			}
		}
	}
}

func TestPatchedRequestsDifferInTheirPartOnly(t *testing.T) {
	next := patched([]byte("GET key_00 HTTP"), "key_00", func(i int) string { return []string{"key_01", "key_02"}[i%2] })
	if a, b := string(next(0, 0)), string(next(1, 0)); a != "GET key_01 HTTP" || b != "GET key_02 HTTP" {
		t.Errorf("%q, %q", a, b)
	}
}
