package gateway

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

// metrics are the gateway's series. The collectors are made once in the process and registered again with each
// config's registry, so that a reload resets none.
type metrics struct {
	requests   *prometheus.CounterVec
	duration   *prometheus.HistogramVec
	overhead   *prometheus.HistogramVec
	inFlight   prometheus.Gauge
	rejections *prometheus.CounterVec
	cache      *prometheus.CounterVec
	upstream   *prometheus.CounterVec
	waited     *prometheus.HistogramVec
	truncated  *prometheus.CounterVec
	dropped    *prometheus.CounterVec
	unsaid     *prometheus.CounterVec
	panics     prometheus.Counter

	tokens     *prometheus.HistogramVec
	operation  *prometheus.HistogramVec
	firstToken *prometheus.HistogramVec
	perToken   *prometheus.HistogramVec

	known knownSeries
}

// Each bucket is a series for each of a histogram's labels, so there are no more than a quantile needs, and always one where an alert begins.
var (
	// llmBuckets reach from a cached answer to a reasoning model's, in seconds.
	llmBuckets = []float64{.001, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 120, 600}
	// overheadBuckets are for the gateway's own share, in seconds.
	overheadBuckets = []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .1, .5}
	// tokenBuckets are of those that the OpenTelemetry GenAI conventions advise for gen_ai.client.token.usage, as far as models can read.
	tokenBuckets = []float64{16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576}
	// operationBuckets are of those that the conventions advise for gen_ai.client.operation.duration, in seconds, and on to minutes.
	operationBuckets = []float64{.04, .16, .64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92, 163.84, 327.68}
	// firstTokenBuckets are of those that the conventions advise for gen_ai.server.time_to_first_token, in seconds, and on.
	firstTokenBuckets = []float64{.01, .04, .1, .25, .5, 1, 2.5, 5, 10, 20, 40, 80}
	// perTokenBuckets are of those that the conventions advise for gen_ai.server.time_per_output_token, in seconds.
	perTokenBuckets = []float64{.01, .025, .05, .1, .2, .5, 1, 2.5}
)

var processMetrics = sync.OnceValue(func() *metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	histogram := func(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
		return prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, labels)
	}
	return &metrics{
		requests:   counter("gateway_requests_total", "Calls answered, by surface, model and HTTP status code.", "surface", "model", "code"),
		duration:   histogram("gateway_request_duration_seconds", "Time from a call's arrival to the end of its answer.", llmBuckets, "surface", "code"),
		overhead:   histogram("gateway_overhead_seconds", "The gateway's own share of a call's time: all that was not waiting for a provider.", overheadBuckets, "surface"),
		inFlight:   prometheus.NewGauge(prometheus.GaugeOpts{Name: "gateway_requests_in_flight", Help: "Calls in progress."}),
		rejections: counter("gateway_rate_limit_rejections_total", "Calls refused by a limit, by its scope and by what it counts.", "scope", "limit"),
		cache:      counter("gateway_cache_results_total", "How the cache took part in calls: hit, miss, collapsed or bypass.", "surface", "result"),
		upstream:   counter("gateway_upstream_requests_total", "Attempts at providers, by how they ended.", "provider", "model", "outcome"),
		waited:     histogram("gateway_upstream_duration_seconds", "Time that one attempt took, to the end of its answer.", llmBuckets, "provider"),
		truncated:  counter("gateway_streams_truncated_total", "Streams that broke after their head was sent.", "provider"),
		unsaid:     counter("gateway_fields_dropped_total", "Fields of calls that were left out, since the provider's dialect cannot express them.", "provider"),
		dropped:    counter("gateway_ledger_dropped_total", "Rows for the ledger that found no room in memory while it could not be written: sums of usage, or calls of the request log.", "what"),
		panics:     prometheus.NewCounter(prometheus.CounterOpts{Name: "gateway_panics_total", Help: "Calls that ended in a panic of the gateway."}),

		tokens: histogram("gen_ai_client_token_usage", "Tokens of model calls, by type.", tokenBuckets,
			"gen_ai_operation_name", "gen_ai_provider_name", "gen_ai_request_model", "gen_ai_token_type"),
		operation: histogram("gen_ai_client_operation_duration_seconds", "Duration of model calls.", operationBuckets,
			"gen_ai_operation_name", "gen_ai_provider_name", "gen_ai_request_model", "error_type"),
		firstToken: histogram("gen_ai_server_time_to_first_token_seconds", "Time to the first event of a streamed answer.", firstTokenBuckets,
			"gen_ai_operation_name", "gen_ai_provider_name", "gen_ai_request_model"),
		perToken: histogram("gen_ai_server_time_per_output_token_seconds", "Time for each token of a streamed answer after its first event.", perTokenBuckets,
			"gen_ai_operation_name", "gen_ai_provider_name", "gen_ai_request_model"),
	}
})

func registerMetrics(registry prometheus.Registerer) (*metrics, error) {
	m := processMetrics()
	for _, c := range []prometheus.Collector{
		m.requests, m.duration, m.overhead, m.inFlight, m.rejections, m.cache, m.upstream, m.waited, m.truncated, m.unsaid, m.dropped, m.panics,
		m.tokens, m.operation, m.firstToken, m.perToken,
	} {
		var already prometheus.AlreadyRegisteredError
		if err := registry.Register(c); err != nil && !errors.As(err, &already) {
			return nil, err
		}
	}
	return m, nil
}

// observe counts a call that is over.
func (m *metrics) observe(c *Call) {
	if c.Surface == Health {
		return
	}
	took := time.Since(c.Started)
	series := m.known.of(callKind{c.Surface.Name, c.modelLabel(), c.Status, c.Cache}, m)
	series.requests.Inc()
	series.duration.Observe(took.Seconds())
	if c.Cache != CacheCollapsed { // such a call has waited for another's provider
		series.overhead.Observe((took - c.UpstreamFor).Seconds())
	}
	if series.cache != nil {
		series.cache.Inc()
	}
	if c.Surface.Operation == "" || c.Attempts == 0 {
		return
	}
	operation, model := string(c.Surface.Operation), c.modelLabel()
	if c.Usage != (dialect.Usage{}) {
		m.tokens.WithLabelValues(operation, c.Provider, model, "input").Observe(float64(c.Usage.InputTotal()))
		m.tokens.WithLabelValues(operation, c.Provider, model, "output").Observe(float64(c.Usage.OutputTotal()))
	}
	m.operation.WithLabelValues(operation, c.Provider, model, c.errorType()).Observe(took.Seconds())
	if c.FirstToken > 0 {
		m.firstToken.WithLabelValues(operation, c.Provider, model).Observe(c.FirstToken.Seconds())
		if rest := c.Usage.OutputTotal() - 1; rest > 0 && c.Err == nil {
			m.perToken.WithLabelValues(operation, c.Provider, model).Observe((took - c.FirstToken).Seconds() / float64(rest))
		}
	}
}

// modelLabel is the call's model as the config names it, else "_other": never a client's word.
func (c *Call) modelLabel() string {
	if c.Route == nil {
		return OtherLabel
	}
	return c.Route.Name
}

func (c *Call) errorType() string {
	var e *dialect.Error
	switch {
	case c.Err == nil:
		return ""
	case errors.As(c.Err, &e):
		return string(e.Kind)
	}
	return OtherLabel
}

// ObserveRejection counts a call that a limit refused.
func (app *App) ObserveRejection(scope string, kind LimitKind) {
	app.metrics.rejections.WithLabelValues(scope, string(kind)).Inc()
}

// ObserveAttempt counts one attempt at a provider. The outcome is "ok", a dialect.Kind, or "canceled" where the client left.
func (app *App) ObserveAttempt(c *Call, provider string, err error, took time.Duration) {
	outcome := "ok"
	var e *dialect.Error
	switch {
	case errors.As(err, &e) && !errors.Is(err, context.Canceled):
		outcome = string(e.Kind)
	case err != nil:
		outcome = "canceled"
	}
	app.metrics.upstream.WithLabelValues(provider, c.modelLabel(), outcome).Inc()
	app.metrics.waited.WithLabelValues(provider).Observe(took.Seconds())
}

// ObserveDropped counts fields of a call that were left out for a provider.
func (app *App) ObserveDropped(provider string, fields int) {
	app.metrics.unsaid.WithLabelValues(provider).Add(float64(fields))
}

// ObserveTruncation counts a stream that broke after its head was sent.
func (app *App) ObserveTruncation(provider string) {
	app.metrics.truncated.WithLabelValues(provider).Inc()
}
