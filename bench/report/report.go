package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"

	"github.com/caddy-llm/caddy-llm/bench/stats"
)

// Figure is one that has a goal. Lower is better.
type Figure struct {
	Target string  `json:"target"`
	Work   string  `json:"work"`
	Value  float64 `json:"value"`
	Goal   float64 `json:"goal"`
	Unit   string  `json:"unit"`

	Range stats.Summary `json:"-"`
}

// NewFigure is the median of one value for each round.
func NewFigure(target, work string, values []float64, goal float64, unit string) Figure {
	summary := stats.Summarize(values)
	return Figure{Target: target, Work: work, Value: round(summary.Median), Goal: goal, Unit: unit, Range: summary}
}

// Met says whether the goal is.
func (f Figure) Met() bool { return f.Value <= f.Goal }

// round keeps three digits, since there is no more in a measurement.
func round(v float64) float64 {
	if v == 0 || math.IsInf(v, 0) || math.IsNaN(v) {
		return v
	}
	unit := math.Pow(10, math.Floor(math.Log10(math.Abs(v)))-2)
	if unit >= 1 {
		return math.Round(v)
	}
	return math.Round(v/unit) / math.Round(1/unit)
}

// Table is one of Markdown.
type Table struct {
	Title  string
	Text   string // before it; may be empty
	Header []string
	Rows   [][]string
}

// Report is what is written.
type Report struct {
	Title   string
	Command string   // which has made it
	Facts   []string // when, where, of what
	Invalid string   // why it does not count; empty where it does
	Figures []Figure
	Tables  []Table
}

// Markdown is the report to be read.
func (r *Report) Markdown() string {
	var text strings.Builder
	fmt.Fprintf(&text, "# %s\n\n", r.Title)
	if r.Invalid != "" {
		fmt.Fprintf(&text, "**Not valid: %s.**\n\n", r.Invalid)
	}
	fmt.Fprintf(&text, "Made by `%s`. Do not edit it.\n\n", r.Command)
	for _, fact := range r.Facts {
		fmt.Fprintf(&text, "- %s\n", fact)
	}
	tables := r.Tables
	if len(r.Figures) > 0 {
		tables = append([]Table{r.targets()}, tables...)
	}
	for _, table := range tables {
		text.WriteString("\n" + table.markdown())
	}
	return text.String()
}

func (r *Report) targets() Table {
	table := Table{
		Title:  "Targets",
		Text:   "Lower is better. A ratio is the median of the ratios of each round.",
		Header: []string{"#", "work", "median", "range", "goal", "unit", "met"},
	}
	for _, f := range r.Figures {
		met := "no"
		if f.Met() {
			met = "yes"
		}
		table.Rows = append(table.Rows, []string{f.Target, f.Work, Number(f.Value), Number(f.Range.Min) + " to " + Number(f.Range.Max), "≤ " + Number(f.Goal), f.Unit, met})
	}
	return table
}

func (t Table) markdown() string {
	var text strings.Builder
	fmt.Fprintf(&text, "## %s\n\n", t.Title)
	if t.Text != "" {
		fmt.Fprintf(&text, "%s\n\n", t.Text)
	}
	line := func(cells []string) { fmt.Fprintf(&text, "| %s |\n", strings.Join(cells, " | ")) }
	line(t.Header)
	fmt.Fprintf(&text, "|%s\n", strings.Repeat("---|", len(t.Header)))
	for _, row := range t.Rows {
		line(row)
	}
	return text.String()
}

// JSON is the figures, to be compared.
func (r *Report) JSON() ([]byte, error) {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	text.WriteString("[\n")
	for i, figure := range r.Figures {
		if i > 0 {
			text.Truncate(text.Len() - 1)
			text.WriteString(",\n")
		}
		text.WriteString("  ")
		if err := encoder.Encode(figure); err != nil {
			return nil, fmt.Errorf("writing figures: %w", err)
		}
	}
	text.WriteString("]\n")
	return text.Bytes(), nil
}

// Write puts both forms beside each other: name.md and name.json.
func (r *Report) Write(dir, name string) error {
	figures, err := r.JSON()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	for suffix, text := range map[string][]byte{".md": []byte(r.Markdown()), ".json": figures} {
		if err := os.WriteFile(filepath.Join(dir, name+suffix), text, 0o644); err != nil {
			return fmt.Errorf("writing the report: %w", err)
		}
	}
	return nil
}

// Count writes a whole number.
func Count(v float64) string {
	if v < 1000 {
		return fmt.Sprintf("%.0f", v)
	}
	return Number(v)
}

// Number writes a value as people read it: three digits, thousands apart.
func Number(v float64) string {
	switch a := math.Abs(v); {
	case math.IsNaN(v) || math.IsInf(v, 0):
		return "-"
	case a >= 1000:
		digits := fmt.Sprintf("%.0f", v)
		for i := len(digits) - 3; i > 0 && digits[i-1] != '-'; i -= 3 {
			digits = digits[:i] + "," + digits[i:]
		}
		return digits
	case a >= 100:
		return fmt.Sprintf("%.0f", v)
	case a >= 10:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}
