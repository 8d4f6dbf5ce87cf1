// Package providertest is the behaviour that every gateway.Provider must show. A provider's own test calls Run
// with the provider set up against an upstream of its making.
package providertest

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

// Setup is a provider to be examined. Its three forms may be one provider's, against three upstreams.
type Setup struct {
	// Provider answers promptly, and refuses the model "no-such-model".
	Provider gateway.Provider
	// Stalled has an upstream that takes a call and sends nothing.
	Stalled gateway.Provider
	// Paused has an upstream that sends the first event of a stream, and nothing after it.
	Paused gateway.Provider
	// Embeddings is a model that makes embeddings; "" where the provider has none.
	Embeddings string
	// Deterministic says that equal bodies are answered with equal texts, whole or streamed.
	Deterministic bool
}

// Run examines a provider. It asks for a new setup for each of its tests; what the setup needs closed belongs
// in t.Cleanup, since no goroutine may be left after that.
func Run(t *testing.T, setup func(t *testing.T) Setup) {
	for _, behaviour := range []struct {
		name  string
		check func(t *testing.T, s Setup)
	}{
		{"lists a chat model first", listsChatModelFirst},
		{"refuses an unknown model", refusesUnknownModel},
		{"answers whole", answersWhole},
		{"answers in events", answersInEvents},
		{"sends usage to those who want it", sendsUsageOnRequest},
		{"says the same whole and in events", saysTheSame},
		{"answers many at once", answersManyAtOnce},
		{"does not begin after the context's end", heedsEndedContext},
		{"gives up waiting with the context", heedsContextWhileWaiting},
		{"breaks off a stream with the context", heedsContextMidStream},
		{"lets go of a stream that is closed early", closesEarly},
		{"embeds in both encodings", embedsInBothEncodings},
	} {
		t.Run(behaviour.name, func(t *testing.T) {
			// Cleanups run last in, first out: this one sees what is left after the setup's own.
			before := goleak.IgnoreCurrent()
			t.Cleanup(func() { goleak.VerifyNone(t, before) })
			behaviour.check(t, setup(t))
		})
	}
}
