package proxy

import "github.com/caddy-llm/caddy-llm/modules/gateway"

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
	return append(order, route.Fallbacks...)
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
