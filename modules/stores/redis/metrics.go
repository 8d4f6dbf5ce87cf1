package redis

import (
	"errors"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

// metrics are this package's series. The collectors are made once in the process and registered again with each config's
// registry, so that a reload resets none.
type metrics struct {
	mode      *prometheus.GaugeVec
	fallbacks *prometheus.CounterVec
	fleetSize prometheus.Gauge
}

var processMetrics = sync.OnceValue(func() *metrics {
	return &metrics{
		mode: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "gateway_limiter_mode",
			Help: "1 for what decides on limits now: redis, or what on_error says while Redis does not answer."}, []string{"mode"}),
		fallbacks: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "gateway_limiter_fallbacks_total",
			Help: "Calls that Redis did not decide on, by what decided instead."}, []string{"mode"}),
		fleetSize: prometheus.NewGauge(prometheus.GaugeOpts{Name: "gateway_fleet_size",
			Help: "Gateways that use the same Redis, this one too, as Redis said when it was last asked; 1 before that."}),
	}
})

// Reachable says whether the client asks Redis, which it does not where Redis has failed too often.
func (s *Store) Reachable() bool { return s.state.client.Up() }

func (m *metrics) setMode(mode string) {
	for _, each := range []string{"redis", string(Local), string(Allow), string(Deny)} {
		value := 0.0
		if each == mode {
			value = 1
		}
		m.mode.WithLabelValues(each).Set(value)
	}
}

func registerMetrics(registry prometheus.Registerer) error {
	m := processMetrics()
	for _, c := range []prometheus.Collector{m.mode, m.fallbacks, m.fleetSize} {
		var already prometheus.AlreadyRegisteredError
		if err := registry.Register(c); err != nil && !errors.As(err, &already) {
			return err
		}
	}
	for _, policy := range []Policy{Local, Allow, Deny} {
		m.fallbacks.WithLabelValues(string(policy)) // at zero, so that a rate sees the first
	}
	return nil
}

// Interface guard
var _ gateway.Remote = (*Store)(nil)
