package report

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

var update = flag.Bool("update", false, "write testdata anew")

func series() *Series {
	s := new(Series)
	for _, cpu := range [][2]float64{{50, 60}, {100, 90}, {40, 44}} {
		s.Add("stock", Busy, Sample{CPU: cpu[0], Rate: 10_000})
		s.Add("ours", Busy, Sample{CPU: cpu[1], Rate: 12_345.6})
	}
	return s
}

func TestRatiosAreOfTheSameRound(t *testing.T) {
	ratios := series().Ratios("ours", "stock", Busy, CPU)
	if !slices.Equal(ratios, []float64{1.2, 0.9, 1.1}) {
		t.Error(ratios)
	}
	if summary := series().Summary("ours", Busy, CPU); summary.Median != 60 || summary.Min != 44 || summary.Max != 90 {
		t.Error(summary)
	}
	if series().Has("ours", Open) || !series().Has("ours", Busy) {
		t.Error("a series does not know what it has")
	}
}

func TestSeriesOfARoundJoinsTheOthers(t *testing.T) {
	all, one := series(), new(Series)
	one.Add("ours", Busy, Sample{CPU: 1})
	all.Append(one)
	if got := all.Values("ours", Busy, CPU); !slices.Equal(got, []float64{60, 90, 44, 1}) {
		t.Error(got)
	}
}

func TestFigureIsTheMedianInThreeDigits(t *testing.T) {
	for _, c := range []struct {
		values []float64
		goal   float64
		want   float64
		met    bool
	}{
		{[]float64{0.96712, 0.5, 3}, 1, 0.967, true},
		{[]float64{1.00449}, 1, 1, true}, // what three digits do not tell apart is met
		{[]float64{1.006}, 1, 1.01, false},
		{[]float64{233.6}, 150, 234, false},
		{[]float64{12345.6}, 20000, 12346, true},
		{[]float64{0}, 1, 0, true},
		{[]float64{-0.01234}, 1, -0.0123, true},
	} {
		f := NewFigure("1", "work", c.values, c.goal, "ratio")
		if f.Value != c.want || f.Met() != c.met {
			t.Errorf("%v: %g, met %t; want %g, %t", c.values, f.Value, f.Met(), c.want, c.met)
		}
	}
}

func TestNumbersAreReadable(t *testing.T) {
	for v, want := range map[float64]string{0: "0.00", 0.966: "0.97", 12.34: "12.3", 233.4: "233", 1234.5: "1,234", 1234567: "1,234,567", -1234: "-1,234", -0.5: "-0.50"} {
		if got := Number(v); got != want {
			t.Errorf("%g: %s, want %s", v, got, want)
		}
	}
}

func TestCountsAreWhole(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 8: "8", 999: "999", 20_000: "20,000"} {
		if got := Count(v); got != want {
			t.Errorf("%g: %s, want %s", v, got, want)
		}
	}
}

func TestReportIsWrittenToBeReadAndToBeCompared(t *testing.T) {
	dir := t.TempDir()
	r := &Report{
		Title: "The gateway", Command: "make bench", Facts: []string{"a machine"}, Invalid: "others used up to 1.42 cores",
		Figures: []Figure{
			NewFigure("1", "cached answer", series().Ratios("ours", "stock", Busy, CPU), 1, "ratio"),
			NewFigure("11", "start & first answer", []float64{250, 260}, 300, "ms"),
		},
		Tables: []Table{{Title: "Cost", Text: "In µs.", Header: []string{"work", "CPU"}, Rows: [][]string{{"cached answer", "60.0"}}}},
	}
	if err := r.Write(filepath.Join(dir, "results"), "latest"); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"latest.md", "latest.json"} {
		got, err := os.ReadFile(filepath.Join(dir, "results", name))
		if err != nil {
			t.Fatal(err)
		}
		golden := filepath.Join("testdata", name)
		if *update {
			if err := os.WriteFile(golden, got, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != string(want) {
			t.Errorf("%s is\n%s\nwant\n%s", name, got, want)
		}
	}
	text, err := r.JSON()
	if err != nil {
		t.Fatal(err)
	}
	var figures []map[string]any
	if err := json.Unmarshal(text, &figures); err != nil || len(figures) != 2 || figures[0]["value"] != 1.1 || figures[0]["goal"] != 1.0 || figures[1]["target"] != "11" {
		t.Errorf("%v: %v", err, figures)
	}
}

func TestReportWithoutFiguresIsAnEmptyList(t *testing.T) {
	text, err := new(Report).JSON()
	var figures []Figure
	if err != nil || json.Unmarshal(text, &figures) != nil || len(figures) != 0 {
		t.Errorf("%q, %v", text, err)
	}
}
