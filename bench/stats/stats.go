// Package stats makes few numbers of many.
package stats

import (
	"math"
	"slices"
)

// Summary is a median with the range around it.
type Summary struct{ Median, Min, Max float64 }

// Summarize needs one value at least.
func Summarize(values []float64) Summary {
	sorted := slices.Clone(values)
	slices.Sort(sorted)
	return Summary{Median: Median(sorted), Min: sorted[0], Max: sorted[len(sorted)-1]}
}

// Median of one value at least, in any order: the middle one, or the mean of the two in the middle.
func Median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}

// Percentile of values in ascending order, by the nearest rank: the smallest value that at least the given share, from 0 to 1, does
// not exceed. It is always one of the values.
func Percentile[T any](sorted []T, share float64) T {
	rank := int(math.Ceil(share * float64(len(sorted))))
	return sorted[min(max(rank, 1), len(sorted))-1]
}

// Exponent is how y grows with x, as the slope of a straight line through the logarithms of both by least squares: 0 where y stays,
// 1 where it grows as x does. All values must be above zero.
func Exponent(x, y []float64) float64 {
	var sumX, sumY, sumXX, sumXY float64
	n := float64(len(x))
	for i := range x {
		lx, ly := math.Log(x[i]), math.Log(y[i])
		sumX, sumY, sumXX, sumXY = sumX+lx, sumY+ly, sumXX+lx*lx, sumXY+lx*ly
	}
	return (n*sumXY - sumX*sumY) / (n*sumXX - sumX*sumX)
}
