package gateway_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

// scout notes what it is sent for.
type scout struct {
	goOn  bool
	named bool // whether it knows the answer's key
	sent  int
}

func (s *scout) Scout(c *gateway.Call, _ *http.Request) bool {
	s.sent++
	c.Ahead.Keyed = c.Ahead.Keyed || s.named
	return s.goOn
}

func chatRequest(body string) *http.Request {
	return httptest.NewRequest("POST", "/v1/chat/completions", strings.NewReader(body))
}

func chatCall() *gateway.Call { return &gateway.Call{Surface: gateway.ChatCompletions} }

func TestScoutsAreSentWhereTheLastCallHasMetThem(t *testing.T) {
	reader, namer := &scout{goOn: true}, &scout{goOn: true, named: true}
	var scouts gateway.Scouts
	first := chatCall()
	if scouts.Send(first, chatRequest("{}")) || reader.sent+namer.sent > 0 {
		t.Error("scouts are sent that nobody has met")
	}
	for _, s := range []gateway.Scout{reader, namer} {
		if first.Meet(s) {
			t.Error("a scout was sent that was not")
		}
	}
	scouts.Learn(first)

	second := chatCall()
	if !scouts.Send(second, chatRequest("{}")) || reader.sent != 1 || namer.sent != 1 {
		t.Errorf("sent %d and %d times, want once", reader.sent, namer.sent)
	}
	if !second.Meet(reader) || !second.Meet(namer) || second.Meet(&scout{}) {
		t.Error("a call does not know whom it has sent")
	}
	if !scouts.Send(second, chatRequest("{}")) || reader.sent != 1 {
		t.Error("a scout was sent twice for one call")
	}

	third := chatCall()
	third.Meet(namer)
	scouts.Learn(third)
	if !scouts.Send(chatCall(), chatRequest("{}")) || reader.sent != 1 || namer.sent != 2 {
		t.Errorf("sent %d and %d times; the last call has met the second only", reader.sent, namer.sent)
	}
}

func TestAScoutThatFindsNothingEndsTheSearch(t *testing.T) {
	stuck, namer := &scout{}, &scout{goOn: true, named: true}
	var scouts gateway.Scouts
	call := chatCall()
	call.Meet(stuck)
	call.Meet(namer)
	scouts.Learn(call)
	next := chatCall()
	if scouts.Send(next, chatRequest("{}")) || namer.sent > 0 || next.Meet(stuck) {
		t.Error("the search went on")
	}
}

func TestABodyThatIsLargeOrOfUnknownLengthIsNotReadAhead(t *testing.T) {
	namer := &scout{goOn: true, named: true}
	var scouts gateway.Scouts
	call := chatCall()
	call.Meet(namer)
	scouts.Learn(call)
	large, chunked := chatRequest(strings.Repeat(" ", 1<<20+1)), chatRequest("{}")
	chunked.ContentLength = -1
	for _, r := range []*http.Request{large, chunked} {
		if scouts.Send(chatCall(), r) || namer.sent > 0 {
			t.Errorf("a body of length %d was read before the limits were decided on", r.ContentLength)
		}
	}
	if other := (&gateway.Call{Surface: gateway.ModelsList}); scouts.Send(other, chatRequest("{}")) {
		t.Error("scouts were sent for a surface that asks no model")
	}
}
