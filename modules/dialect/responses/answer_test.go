package responses

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

const whole = `{"id":"resp_1","status":"completed","error":null,"model":"m","output":[{"id":"ws_1","type":"web_search_call","status":"completed"},` +
	`{"id":"msg_1","type":"message","status":"completed","role":"assistant","content":[{"type":"output_text","text":"pong","annotations":[{"type":"file_citation","index":1}]}]}],` +
	`"usage":{"input_tokens":10,"input_tokens_details":{"cached_tokens":4},"output_tokens":8,"output_tokens_details":{"reasoning_tokens":5},"total_tokens":18}}`

func TestOnlyAnswersThatEndedAreComplete(t *testing.T) {
	for answer, complete := range map[string]bool{
		whole: true,
		strings.Replace(whole, "completed", "incomplete", 1):              true,
		strings.Replace(whole, `"completed"`, `"in_progress"`, 1):         false,
		strings.Replace(whole, `"completed"`, `"failed"`, 1):              false,
		strings.Replace(whole, `"error":null`, `"error":{"code":"a"}`, 1): false,
		strings.Replace(whole, `"output"`, `"input"`, 1):                  false,
		whole[:40]: false,
		"":         false,
	} {
		if err := Complete([]byte(answer)); (err == nil) != complete {
			t.Errorf("%s: %v", answer, err)
		}
	}
}

func TestUsageIsCountedInDisjointParts(t *testing.T) {
	want := dialect.Usage{Input: 6, CacheRead: 4, Output: 3, Reasoning: 5}
	if got, ok := UsageOf([]byte(whole)); !ok || got != want {
		t.Errorf("it is %+v, %t", got, ok)
	}
	for _, usage := range []string{`null`, `{}`, `{"input_tokens":-1,"output_tokens":1}`, `{"input_tokens":1e300,"output_tokens":1}`, `{"input_tokens":"1","output_tokens":1}`} {
		if got, ok := UsageOf([]byte(`{"usage":` + usage + `}`)); ok {
			t.Errorf("%s is %+v", usage, got)
		}
	}
	bare := SetUsage([]byte(`{"usage":null}`), want)
	if got, ok := UsageOf(bare); !ok || got != want {
		t.Errorf("%s is %+v", bare, got)
	}
	if kept := SetUsage([]byte(whole), dialect.Usage{Input: 1}); string(kept) != whole {
		t.Errorf("the answer became %s", kept)
	}
}

// replayed gives the events of an answer.
func replayed(t *testing.T, answer string) (events []string) {
	t.Helper()
	if err := Replay([]byte(answer), func(event []byte) bool {
		events = append(events, string(event))
		return true
	}); err != nil {
		t.Fatal(err)
	}
	return events
}

func dataOf(event string) []byte {
	_, data, _ := strings.Cut(strings.TrimSuffix(event, "\n\n"), "\ndata: ")
	return []byte(data)
}

func TestAnswersOfTheProvidersOwnToolsAreReplayedAsTheyAre(t *testing.T) {
	answer := strings.Replace(whole, `"output":[`, "\"output\":[\n", 1)
	f := NewFold(1 << 20)
	var kinds []string
	for _, event := range replayed(t, answer) {
		data := dataOf(event)
		if dialect.Check(data) != nil || bytes.ContainsAny(data, "\r\n") {
			t.Fatalf("%q is no event", event)
		}
		kinds = append(kinds, ReadEvent(data).Kind.String())
		if err := f.Add(data); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := f.Answer(); err != nil || string(got) != strings.ReplaceAll(answer, "\n", " ") {
		t.Errorf("%s, %v", got, err)
	}
	want := []string{"response.created", "response.in_progress", "response.output_item.added", "response.output_item.done",
		"response.output_item.added", "response.content_part.added", "response.output_text.delta", "response.output_text.annotation.added",
		"response.output_text.done", "response.content_part.done", "response.output_item.done", "response.completed"}
	if !slices.Equal(kinds, want) {
		t.Errorf("the events are %q", kinds)
	}
}

func TestAReplayStopsWithItsClient(t *testing.T) {
	events := 0
	if err := Replay([]byte(whole), func([]byte) bool { events++; return events < 3 }); err != nil || events != 3 {
		t.Errorf("%d events, %v", events, err)
	}
	if err := Replay([]byte(`{"status":"failed"}`), func([]byte) bool { t.Error("an event"); return true }); err == nil {
		t.Error("what failed was replayed")
	}
}

func TestAFoldKeepsOnlyWholeAnswers(t *testing.T) {
	last := `{"type":"response.completed","response":` + whole + `}`
	for name, events := range map[string][]string{
		"no end":       {`{"type":"response.created","response":` + whole + `}`},
		"an error":     {`{"type":"error","message":"a"}`, last},
		"a failure":    {`{"type":"response.failed","response":{"status":"failed"}}`},
		"too large":    {`{"type":"response.completed","response":` + strings.Replace(whole, "pong", strings.Repeat("a", 2000), 1) + `}`},
		"a bare end":   {`{"type":"response.output_item.done","item":{}}`, `{"type":"response.completed","response":{"status":"completed","output":[]}}`},
		"another word": {`{"type":"response.completed","response":{"status":"queued","output":[]}}`},
	} {
		f := NewFold(1500)
		for _, event := range events {
			f.Add([]byte(event)) //nolint:errcheck // the answer tells
		}
		if answer, err := f.Answer(); err == nil {
			t.Errorf("%s: %s is kept", name, answer)
		}
	}
}

func TestTheOutcomeIsTheStatusOrWhyItIsIncomplete(t *testing.T) {
	for reason, events := range map[string][]string{
		"completed":         {`{"type":"response.created","response":{"status":"in_progress","model":"m"}}`, `{"type":"response.output_text.delta","delta":"a"}`, `{"type":"response.completed","response":` + whole + `}`},
		"max_output_tokens": {`{"incomplete_details":{"reason":"max_output_tokens"},"status":"incomplete","model":"m"}`},
		"content_filter":    {`{"status":"incomplete","model":"m","incomplete_details":{"reason":"content_filter"}}`},
	} {
		var o dialect.Outcome
		for _, event := range events {
			ReadOutcome(&o, []byte(event))
		}
		if o.Model != "m" || !slices.Equal(o.Reasons, []string{reason}) {
			t.Errorf("%s: it is %+v", reason, o)
		}
	}
}

func TestAnAnswerRepeatsItsRequest(t *testing.T) {
	asked := dialect.Raw("{\"model\":\"alias\",\"input\":\"secret\",\"store\":true,\"tools\":[\n{\"type\":\"function\",\r\n\"name\":\"f\"}],\"temperature\":0.50,\"metadata\":{\"a\":\"b\"}}")
	body, fault := EncodeAnswer(nil, &dialect.Answer{ID: "a", Model: "m", Finish: dialect.FinishStop, Asked: asked})
	if fault != nil || dialect.Check(body) != nil {
		t.Fatal(fault, string(body))
	}
	for _, member := range []string{`"temperature":0.50`, `"metadata":{"a":"b"}`, `"tools":[ {"type":"function",  "name":"f"}]`, `"top_p":null`, `"store":false`, `"usage":null`} {
		if !bytes.Contains(body, []byte(member)) {
			t.Errorf("%s is not in %s", member, body)
		}
	}
	if bytes.Contains(body, []byte("secret")) || bytes.Contains(body, []byte("alias")) {
		t.Errorf("%s tells more", body)
	}
}

// Whatever a provider answers, what is kept of it is replayed in events that fold to the same answer.
func FuzzReplay(f *testing.F) {
	f.Add([]byte(whole))
	f.Add([]byte(`{"status":"incomplete","output":[{"type":"reasoning","id":1,"summary":[{"text":"a"},1],"content":[]},{"type":"function_call","arguments":"{\"a\":1}"},{"type":"message","content":[null,{"type":"refusal","refusal":"no"},{"type":"output_text","text":7,"annotations":{}}]},[],"a"]}`))
	f.Fuzz(func(t *testing.T, answer []byte) {
		fold := NewFold(1 << 20)
		err := Replay(answer, func(event []byte) bool {
			data := dataOf(string(event))
			if fault := dialect.Check(data); fault != nil || bytes.ContainsAny(data, "\r\n") {
				t.Fatalf("%q becomes %q: %v", answer, event, fault)
			}
			fold.Add(data) //nolint:errcheck // the answer tells
			return true
		})
		if (err == nil) != (Complete(answer) == nil) {
			t.Fatalf("%q: %v", answer, err)
		}
		if err != nil || len(answer) > 1<<20 {
			return
		}
		oneLine(answer)
		if got, err := fold.Answer(); err != nil || !bytes.Equal(got, bytes.TrimSpace(answer)) {
			t.Errorf("%q becomes %q, %v", answer, got, err)
		}
	})
}
