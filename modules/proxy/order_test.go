package proxy

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

func targets(weights ...int) []gateway.Target {
	targets := make([]gateway.Target, len(weights))
	for i, w := range weights {
		targets[i] = gateway.Target{Provider: string(rune('a' + i)), Weight: w}
	}
	return targets
}

func TestPickTakesEachShareOfTheWeights(t *testing.T) {
	// Every number that can be drawn, for small weights: the shares are exact.
	for _, weights := range [][]int{{1}, {1, 1}, {3, 1}, {1, 2, 3}, {5, 1, 1, 5}} {
		list := targets(weights...)
		var total int64
		for _, w := range weights {
			total += int64(w)
		}
		got := make([]int, len(weights))
		for n := range total {
			got[pick(list, func(bound int64) int64 {
				if bound != total {
					t.Errorf("%v: drawn below %d, want %d", weights, bound, total)
				}
				return n
			})]++
		}
		if !slices.Equal(got, weights) {
			t.Errorf("%v is taken as %v", weights, got)
		}
	}
}

func TestPickTakesLargeSharesStatistically(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2)).Int64N
	list := targets(900_000, 90_000, 10_000)
	got := make([]float64, len(list))
	const draws = 100_000
	for range draws {
		got[pick(list, random)]++
	}
	for i, want := range []float64{.9, .09, .01} {
		if share := got[i] / draws; share < want*.9 || share > want*1.1 {
			t.Errorf("target %d has a share of %.3f, want %.3f", i, share, want)
		}
	}
}

func TestPlanAsksEachTargetOnceAndFallbacksLast(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		route := &gateway.Route{
			Targets:   targets(rapid.SliceOfN(rapid.IntRange(1, 9), 1, 6).Draw(t, "weights")...),
			Fallbacks: targets(rapid.SliceOfN(rapid.Just(1), 0, 3).Draw(t, "fallbacks")...),
		}
		before := slices.Clone(route.Targets)
		order := plan(route, func(n int64) int64 { return rapid.Int64Range(0, n-1).Draw(t, "drawn") })
		n := len(route.Targets)
		if len(order) != n+len(route.Fallbacks) || !slices.Equal(order[n:], route.Fallbacks) {
			t.Fatalf("the order is %v", order)
		}
		rest := slices.Clone(order[:n])
		slices.SortFunc(rest, func(x, y gateway.Target) int { return strings.Compare(x.Provider, y.Provider) })
		if !slices.Equal(rest, before) || !slices.Equal(route.Targets, before) {
			t.Errorf("the targets are %v, asked in %v", before, order)
		}
		// Behind the first one, they come in the config's order.
		if !slices.IsSortedFunc(order[1:n], func(x, y gateway.Target) int { return strings.Compare(x.Provider, y.Provider) }) {
			t.Errorf("the order is %v", order)
		}
	})
}
