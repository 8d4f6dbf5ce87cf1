package demo

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/tidwall/gjson"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

func FuzzSend(f *testing.F) {
	f.Add(hello)
	f.Add(fmt.Sprintf(withTools, userTurn, `,"tool_choice":"required","n":2`))
	f.Add(`{"messages":[{"role":"user","content":[{"type":"text","text":"x"}]}],"response_format":{"type":"json_object"},"stop":["a"],"max_tokens":9}`)
	p := provision(f, new(Provider))
	f.Fuzz(func(t *testing.T, body string) {
		if !gjson.Valid(body) {
			return // the gateway checks that before
		}
		whole, err := p.Send(context.Background(), ask(body, false))
		if err != nil {
			var e *dialect.Error
			if !errors.As(err, &e) || e.Kind != dialect.InvalidRequest {
				t.Errorf("the error is %v", err)
			}
			return
		}
		if !gjson.ValidBytes(whole.Body) {
			t.Errorf("the answer is no JSON: %s", whole.Body)
		}
		streamed, err := p.Send(context.Background(), ask(body, true))
		if err != nil {
			t.Fatalf("whole there is an answer, streamed there is %v", err)
		}
		for streamed.Stream.Next() {
			if !streamed.Stream.Last() && !gjson.ValidBytes(streamed.Stream.Data()) {
				t.Errorf("the event is no JSON: %s", streamed.Stream.Event())
			}
		}
		if streamed.Stream.Err() != nil || streamed.Stream.Usage() != whole.Usage {
			t.Errorf("usage is %+v streamed and %+v whole, error %v", streamed.Stream.Usage(), whole.Usage, streamed.Stream.Err())
		}
	})
}
