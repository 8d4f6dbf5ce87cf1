// Package report turns samples into figures and tables.
package report

import (
	"github.com/caddy-llm/caddy-llm/bench/stats"
)

// Way is how the load is made.
type Way string

// Ways of load.
const (
	Busy  Way = "64 connections" // each asks again as it is answered
	Alone Way = "1 connection"
	Open  Way = "open loop" // a constant rate, whether the server keeps up or not
)

// Sample is what one round has given for one work. Times are in µs; what was not measured is zero.
type Sample struct {
	CPU         float64 // of the server, for each request
	Rate        float64 // requests a second
	P50, P99    float64
	Allocations float64 // of the server, for each request
	RedisCPU    float64 // for each request
	RoundTrips  float64 // to Redis, for each request; calls may share one
	Decisions   float64 // of Redis on limits, for each request
}

// Pick takes one value out of a sample.
type Pick func(Sample) float64

// The values of a sample.
var (
	CPU         Pick = func(s Sample) float64 { return s.CPU }
	Rate        Pick = func(s Sample) float64 { return s.Rate }
	P50         Pick = func(s Sample) float64 { return s.P50 }
	P99         Pick = func(s Sample) float64 { return s.P99 }
	Allocations Pick = func(s Sample) float64 { return s.Allocations }
	RedisCPU    Pick = func(s Sample) float64 { return s.RedisCPU }
	RoundTrips  Pick = func(s Sample) float64 { return s.RoundTrips }
	Decisions   Pick = func(s Sample) float64 { return s.Decisions }
)

type key struct {
	work string
	way  Way
}

// Series is the samples of all rounds.
type Series struct{ rounds map[key][]Sample }

// Add takes the next round's sample of a work.
func (s *Series) Add(work string, way Way, sample Sample) {
	if s.rounds == nil {
		s.rounds = make(map[key][]Sample)
	}
	k := key{work, way}
	s.rounds[k] = append(s.rounds[k], sample)
}

// Append takes all rounds of another series.
func (s *Series) Append(other *Series) {
	for k, samples := range other.rounds {
		for _, sample := range samples {
			s.Add(k.work, k.way, sample)
		}
	}
}

// Has says whether a work was measured in a way.
func (s *Series) Has(work string, way Way) bool { return len(s.rounds[key{work, way}]) > 0 }

// Values are one of each round.
func (s *Series) Values(work string, way Way, pick Pick) []float64 {
	var values []float64
	for _, sample := range s.rounds[key{work, way}] {
		values = append(values, pick(sample))
	}
	return values
}

// Ratios divide a work's value by a reference's of the same round, so that what slows a whole round down cancels out.
func (s *Series) Ratios(work, reference string, way Way, pick Pick) []float64 {
	return Divide(s.Values(work, way, pick), s.Values(reference, way, pick))
}

// Divide divides round by round.
func Divide(values, by []float64) []float64 {
	var ratios []float64
	for i := range values {
		ratios = append(ratios, values[i]/by[i])
	}
	return ratios
}

// Subtract subtracts round by round.
func Subtract(values, less []float64) []float64 {
	var differences []float64
	for i := range values {
		differences = append(differences, values[i]-less[i])
	}
	return differences
}

// Summary is the median of a work's values and their range.
func (s *Series) Summary(work string, way Way, pick Pick) stats.Summary {
	return stats.Summarize(s.Values(work, way, pick))
}
