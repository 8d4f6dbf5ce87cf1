package providertest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

// patience is how long an end may take that should come at once. It only bounds a test that fails.
const patience = 10 * time.Second

// promptly fails the test where f does not return.
func promptly(t *testing.T, what string, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
		t.Fatalf("%s took longer than %s", what, patience)
	}
}

func heedsEndedContext(t *testing.T, s Setup) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, stream := range []bool{false, true} {
		attempt := chat(t, s.Provider, stream, false)
		promptly(t, "a call whose context is over", func() {
			if _, err := s.Provider.Send(ctx, attempt); !errors.Is(err, context.Canceled) {
				t.Errorf("stream %t: the error is %v, want the context's", stream, err)
			}
		})
	}
}

func heedsContextWhileWaiting(t *testing.T, s Setup) {
	for _, stream := range []bool{false, true} {
		attempt := chatWith(t, s.Stalled, s.Stalled.DefaultModel(), stream, false)
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		promptly(t, "giving up", func() {
			if _, err := s.Stalled.Send(ctx, attempt); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("stream %t: the error is %v, want the context's", stream, err)
			}
		})
	}
}

func heedsContextMidStream(t *testing.T, s Setup) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	promptly(t, "breaking off", func() {
		reply, err := s.Paused.Send(ctx, chatWith(t, s.Paused, s.Paused.DefaultModel(), true, false))
		if err != nil {
			t.Errorf("sending: %v", err)
			return
		}
		defer reply.Stream.Close()
		if !reply.Stream.Next() {
			t.Errorf("the first event did not come: %v", reply.Stream.Err())
			return
		}
		cancel()
		for reply.Stream.Next() {
			if reply.Stream.Last() {
				t.Error("the stream was complete")
			}
		}
		var e *dialect.Error
		if err := reply.Stream.Err(); !errors.As(err, &e) {
			t.Errorf("the stream's error is %v, want a *dialect.Error", err)
		} else if e.Retryable {
			t.Error("the error of a stream says that it is retryable")
		}
	})
}

func closesEarly(t *testing.T, s Setup) {
	promptly(t, "closing", func() {
		reply, err := s.Paused.Send(t.Context(), chatWith(t, s.Paused, s.Paused.DefaultModel(), true, false))
		if err != nil {
			t.Errorf("sending: %v", err)
			return
		}
		if !reply.Stream.Next() {
			t.Errorf("the first event did not come: %v", reply.Stream.Err())
		}
		if err := reply.Stream.Close(); err != nil {
			t.Errorf("closing: %v", err)
		}
	})
}
