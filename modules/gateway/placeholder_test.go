package gateway

import "testing"

// A timer may send the head of a stream while a target is asked, and the config may have placeholders in the head.
func TestPlaceholdersCanBeReadWhileATargetIsAsked(t *testing.T) {
	call := &Call{Surface: ChatCompletions}
	asked := make(chan struct{})
	go func() {
		defer close(asked)
		for range 1000 {
			call.Asking("a", "model-a")
			call.Asking("b", "model-b")
		}
	}()
	for range 1000 {
		for _, name := range []string{"http.llm.provider", "http.llm.upstream_model", "http.llm.attempts", "http.llm.usage.total_tokens"} {
			if _, ok := call.placeholder(name); !ok {
				t.Fatalf("there is no %s", name)
			}
		}
	}
	<-asked
	if call.Provider != "b" || call.Attempts != 2000 {
		t.Errorf("asked is %s after %d attempts", call.Provider, call.Attempts)
	}
}
