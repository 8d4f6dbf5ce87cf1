package proxy

import (
	"slices"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

// plan is the order in which a route's targets are asked: one by weight, then the other targets, then the fallbacks.
func plan(route *gateway.Route, random func(int64) int64) []gateway.Target {
	if len(route.Targets) == 1 && len(route.Fallbacks) == 0 {
		return route.Targets
	}
	order := make([]gateway.Target, 0, len(route.Targets)+len(route.Fallbacks))
	first := pick(route.Targets, random)
	order = append(order, route.Targets[first])
	order = append(order, route.Targets[:first]...)
	order = append(order, route.Targets[first+1:]...)
	order = append(order, route.Fallbacks...)
	if route.AvailableFirst {
		slices.SortStableFunc(order, byAvailability)
	}
	return order
}

// byAvailability puts a target whose provider is unavailable now behind the others.
func byAvailability(a, b gateway.Target) int {
	switch x, y := a.Upstream().Available(), b.Upstream().Available(); {
	case x == y:
		return 0
	case x:
		return -1
	}
	return 1
}

// pick takes a target by weight.
func pick(targets []gateway.Target, random func(int64) int64) int {
	var total int64
	for _, t := range targets {
		total += int64(t.Weight)
	}
	n := random(total)
	for i, t := range targets {
		if n -= int64(t.Weight); n < 0 {
			return i
		}
	}
	return 0
}
