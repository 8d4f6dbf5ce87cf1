package gateway

import (
	"github.com/caddyserver/caddy/v2"
	"github.com/prometheus/client_golang/prometheus"
)

// Remote is implemented by stores and databases that are servers of their own, and may so be out of reach.
type Remote interface {
	// Reachable tells whether the server answered when the gateway last asked it something. It asks nothing itself.
	Reachable() bool
}

// healthCollector tells, when it is asked, how the gateway sees what it depends on. It asks none of them, so that a scrape waits
// for nobody. Each config has its own, since each has providers and stores of its own.
type healthCollector struct{ app *App }

var (
	storeUp = prometheus.NewDesc("gateway_store_up",
		"1 while Redis or PostgreSQL answers the gateway, else 0. What is embedded in the process is always there and has no series.", []string{"store"}, nil)
	providerStatus = prometheus.NewDesc("gateway_provider_status",
		"1 for how the last calls to a provider went: available, degraded (a failure within 30s) or unavailable (three in a row).", []string{"provider", "status"}, nil)
)

// Describe names the series.
func (healthCollector) Describe(descs chan<- *prometheus.Desc) {
	descs <- storeUp
	descs <- providerStatus
}

// Collect gives their values.
func (h healthCollector) Collect(series chan<- prometheus.Metric) {
	for _, guest := range []any{h.app.store, h.app.db} {
		if remote, ok := guest.(Remote); ok {
			series <- prometheus.MustNewConstMetric(storeUp, prometheus.GaugeValue, truth(remote.Reachable()), guest.(caddy.Module).CaddyModule().ID.Name())
		}
	}
	for _, up := range h.app.Upstreams {
		now := up.Status()
		for _, status := range upstreamStatuses {
			series <- prometheus.MustNewConstMetric(providerStatus, prometheus.GaugeValue, truth(status == now), up.Name, status)
		}
	}
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
