package stats

import (
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestSummaryIsTheMedianAndTheRange(t *testing.T) {
	for _, c := range []struct {
		values []float64
		want   Summary
	}{
		{[]float64{3}, Summary{3, 3, 3}},
		{[]float64{9, 1, 2}, Summary{2, 1, 9}},
		{[]float64{4, 1, 2, 100}, Summary{3, 1, 100}},
	} {
		given := slices.Clone(c.values)
		if got := Summarize(c.values); got != c.want {
			t.Errorf("%v: %+v, want %+v", c.values, got, c.want)
		}
		if !slices.Equal(given, c.values) {
			t.Errorf("%v was sorted in place", given)
		}
	}
}

// As many values are below a median as are above it, whatever the order.
func TestMedianIsInTheMiddle(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(rapid.Float64Range(-1e9, 1e9), 1, 50).Draw(t, "values")
		median := Median(values)
		below, above := 0, 0
		for _, v := range values {
			if v < median {
				below++
			}
			if v > median {
				above++
			}
		}
		if below > len(values)/2 || above > len(values)/2 {
			t.Fatalf("%v: %d below %g, %d above", values, below, median, above)
		}
	})
}

// The oracle counts: the smallest value which at least that share of all does not exceed.
func TestPercentileIsTheSmallestValueThatCoversItsShare(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(rapid.IntRange(0, 30), 1, 60).Draw(t, "values")
		hundredths := rapid.IntRange(1, 100).Draw(t, "hundredths")
		slices.Sort(values)
		got := Percentile(values, float64(hundredths)/100)
		for _, v := range values {
			covered := 0
			for _, other := range values {
				if other <= v {
					covered++
				}
			}
			if covered*100 >= hundredths*len(values) {
				if got != v {
					t.Fatalf("P%d of %v is %d, want %d", hundredths, values, got, v)
				}
				return
			}
		}
	})
}

func TestExponentSaysHowValuesGrow(t *testing.T) {
	x := []float64{10, 100, 1000, 10_000, 100_000}
	for want, f := range map[float64]func(float64) float64{
		0:   func(float64) float64 { return 7 },
		0.5: math.Sqrt,
		1:   func(x float64) float64 { return 3 * x },
		2:   func(x float64) float64 { return x * x / 9 },
	} {
		var y []float64
		for _, v := range x {
			y = append(y, f(v))
		}
		if got := Exponent(x, y); math.Abs(got-want) > 1e-9 {
			t.Errorf("%v: %g, want %g", y, got, want)
		}
	}
}
