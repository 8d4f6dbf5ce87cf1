package plot

import (
	"encoding/xml"
	"io"
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestPictureIsWellFormedAndHoldsItsWords(t *testing.T) {
	c := &Chart{Title: "CPU & memory", X: "keys", Y: "µs", At: []float64{10, 1000, 100_000}, Curves: []Curve{{"the <gateway>", []float64{30, 31, 35}}, {"stock", []float64{20, 21, 22}}}}
	for _, c.LogY = range []bool{false, true} {
		svg := c.SVG()
		decoder, words, circles := xml.NewDecoder(strings.NewReader(svg)), "", 0
		for {
			token, err := decoder.Token()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatalf("%v in\n%s", err, svg)
			}
			switch token := token.(type) {
			case xml.CharData:
				words += string(token) + "\n"
			case xml.StartElement:
				if token.Name.Local == "circle" {
					circles++
				}
			}
		}
		for _, want := range []string{"CPU & memory", "keys", "µs", "the <gateway>", "stock", "10\n", "1k\n", "100k\n"} {
			if !strings.Contains(words, want) {
				t.Errorf("no %q in %q", want, words)
			}
		}
		if circles != 6 {
			t.Errorf("%d points of 6", circles)
		}
	}
}

// Whatever is drawn lies within the picture, and what is larger lies higher.
func TestValuesLieWithinThePictureInTheirOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(rapid.Float64Range(0.001, 1e9), 1, 20).Draw(t, "values")
		c := &Chart{Curves: []Curve{{"", values}}, LogY: rapid.Bool().Draw(t, "log")}
		y, ticks := c.vertical()
		if len(ticks) < 2 || len(ticks) > 16 {
			t.Fatalf("%d ticks: %v", len(ticks), ticks)
		}
		for i, v := range values {
			at := y.place(v)
			if math.IsNaN(at) || at < top-0.01 || at > height-bottom+0.01 {
				t.Fatalf("%g lies at %g", v, at)
			}
			if i > 0 && (v > values[i-1]) != (at < y.place(values[i-1])) && v != values[i-1] && at != y.place(values[i-1]) {
				t.Fatalf("%g lies at %g, %g at %g", v, at, values[i-1], y.place(values[i-1]))
			}
		}
	})
}

func TestStepsAreRoundAndFew(t *testing.T) {
	for largest, want := range map[float64]float64{0: 1, 1: 0.2, 4: 1, 7: 2, 9.9: 2, 10: 2, 55: 20, 100: 20, 240: 50} {
		if got := Step(largest); math.Abs(got-want) > 1e-9 {
			t.Errorf("%g: %g, want %g", largest, got, want)
		}
	}
}

func TestShortNumbers(t *testing.T) {
	for v, want := range map[float64]string{0.25: "0.25", 10: "10", 1000: "1k", 2500: "2.5k", 1e6: "1M", 1e7: "10M"} {
		if got := Short(v); got != want {
			t.Errorf("%g: %s, want %s", v, got, want)
		}
	}
}
