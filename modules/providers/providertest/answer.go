package providertest

import (
	"bytes"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/tidwall/gjson"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

func listsChatModelFirst(t *testing.T, s Setup) {
	models, err := s.Provider.Models(t.Context())
	if err != nil {
		t.Fatalf("listing models: %v", err)
	}
	if len(models) == 0 {
		t.Fatal("the provider lists no models")
	}
	for _, m := range models {
		if m.ID == "" || !s.Provider.Serves(m.ID) {
			t.Errorf("the model %q is listed, but not served", m.ID)
		}
	}
	asked := []string{models[0].ID}
	if d := s.Provider.DefaultModel(); d != "" {
		asked = append(asked, d)
	}
	for _, model := range asked {
		if _, err := whole(t, s.Provider, chatWith(t, s.Provider, model, false, false)); err != nil {
			t.Errorf("chatting with %s: %v", model, err)
		}
	}
}

func refusesUnknownModel(t *testing.T, s Setup) {
	for _, stream := range []bool{false, true} {
		reply, err := s.Provider.Send(t.Context(), chatWith(t, s.Provider, "no-such-model", stream, false))
		if err == nil {
			if reply.Stream != nil {
				reply.Stream.Close()
			}
			t.Fatalf("stream %t: a model that is not there answered", stream)
		}
		var e *dialect.Error
		if !errors.As(err, &e) || e.Kind != dialect.ModelNotFound {
			t.Errorf("stream %t: the error is %v, want kind %s", stream, err, dialect.ModelNotFound)
		}
	}
}

func answersWhole(t *testing.T, s Setup) {
	attempt := chat(t, s.Provider, false, false)
	before := bytes.Clone(attempt.Body)
	reply, err := whole(t, s.Provider, attempt)
	if err != nil {
		t.Fatal(err)
	}
	if wireOf(t, s.Provider).text(gjson.ParseBytes(reply.Body)) == "" {
		t.Errorf("the answer says nothing: %s", reply.Body)
	}
	if !bytes.Equal(before, attempt.Body) {
		t.Error("the client's body was changed")
	}
}

// whole sends an attempt that is not streamed, and checks the answer's form.
func whole(t *testing.T, p gateway.Provider, attempt *gateway.Attempt) (*gateway.Reply, error) {
	reply, err := p.Send(t.Context(), attempt)
	if err != nil {
		return nil, err
	}
	if reply.Stream != nil {
		reply.Stream.Close()
		return nil, errors.New("a stream came that nobody asked for")
	}
	if !gjson.ValidBytes(reply.Body) {
		return nil, fmt.Errorf("the answer is no JSON: %q", reply.Body)
	}
	input, output, ok := wireOf(t, p).usage(gjson.ParseBytes(reply.Body))
	if !ok || input == 0 || output == 0 {
		return nil, fmt.Errorf("the answer has no usage: %s", reply.Body)
	}
	return reply, sameUsage(reply.Usage, input, output)
}

func sameUsage(u dialect.Usage, input, output int64) error {
	if u.InputTotal() != input || u.OutputTotal() != output {
		return fmt.Errorf("usage is %d and %d tokens, but the answer says %d and %d", u.InputTotal(), u.OutputTotal(), input, output)
	}
	return nil
}

// streamed sends an attempt and reads the stream.
func streamed(t *testing.T, p gateway.Provider, usage bool) (transcript, error) {
	reply, err := p.Send(t.Context(), chat(t, p, true, usage))
	if err != nil {
		return transcript{}, err
	}
	if reply.Stream == nil {
		return transcript{}, errors.New("a stream was asked for, and none came")
	}
	return wireOf(t, p).read(reply.Stream)
}

func answersInEvents(t *testing.T, s Setup) {
	attempt := chat(t, s.Provider, true, false)
	before := bytes.Clone(attempt.Body)
	reply, err := s.Provider.Send(t.Context(), attempt)
	if err != nil {
		t.Fatal(err)
	}
	if reply.Stream == nil {
		t.Fatal("a stream was asked for, and none came")
	}
	if !bytes.Equal(before, attempt.Body) {
		t.Error("the client's body was changed")
	}
	clear(attempt.Body) // it is another call's by now
	tr, err := wireOf(t, s.Provider).read(reply.Stream)
	if err != nil {
		t.Fatal(err)
	}
	if tr.text == "" {
		t.Error("the stream says nothing")
	}
	if tr.usage.InputTotal() == 0 || tr.usage.OutputTotal() == 0 {
		t.Errorf("usage after the stream is %+v", tr.usage)
	}
	if reply.Stream.Next() {
		t.Error("an event comes after the end")
	}
}

func sendsUsageOnRequest(t *testing.T, s Setup) {
	if !wireOf(t, s.Provider).asked {
		return // the dialect's streams have usage in any case
	}
	without, err := streamed(t, s.Provider, false)
	if err != nil {
		t.Fatal(err)
	}
	if len(without.usages) > 0 {
		t.Errorf("events %v carry usage that the client did not ask for", without.usages)
	}

	reply, err := s.Provider.Send(t.Context(), chat(t, s.Provider, true, true))
	if err != nil {
		t.Fatal(err)
	}
	defer reply.Stream.Close()
	var found int
	var input, output int64
	for reply.Stream.Next() {
		event := gjson.ParseBytes(bytes.Clone(reply.Stream.Data()))
		if reply.Stream.Last() || !event.Get("usage").IsObject() {
			continue
		}
		found++
		if choices := event.Get("choices"); !choices.IsArray() || len(choices.Array()) > 0 {
			t.Errorf("the usage event has choices: %s", event.Raw)
		}
		input, output, _ = wireOf(t, s.Provider).usage(event)
	}
	if err := reply.Stream.Err(); err != nil {
		t.Fatal(err)
	}
	if found != 1 {
		t.Fatalf("%d events carry usage, want 1", found)
	}
	if err := sameUsage(reply.Stream.Usage(), input, output); err != nil {
		t.Error(err)
	}
}

func saysTheSame(t *testing.T, s Setup) {
	if !s.Deterministic {
		return // nothing to compare
	}
	reply, err := whole(t, s.Provider, chat(t, s.Provider, false, false))
	if err != nil {
		t.Fatal(err)
	}
	text := wireOf(t, s.Provider).text(gjson.ParseBytes(reply.Body))
	for _, usage := range []bool{false, true} {
		tr, err := streamed(t, s.Provider, usage)
		if err != nil {
			t.Fatal(err)
		}
		if tr.text != text {
			t.Errorf("the stream says %q, the whole answer %q", tr.text, text)
		}
		if tr.usage != reply.Usage {
			t.Errorf("the stream used %+v, the whole answer %+v", tr.usage, reply.Usage)
		}
	}
}

func answersManyAtOnce(t *testing.T, s Setup) {
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if _, err := whole(t, s.Provider, chat(t, s.Provider, false, false)); err != nil {
				t.Error(err)
			}
			if _, err := streamed(t, s.Provider, false); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}
