package gemini

import (
	"testing"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

func text(s string) dialect.Part {
	return dialect.Part{Kind: dialect.PartText, Text: dialect.Escape(s)}
}

func user(parts ...dialect.Part) dialect.Turn {
	return dialect.Turn{Role: dialect.RoleUser, Parts: parts}
}

func model(parts ...dialect.Part) dialect.Turn {
	return dialect.Turn{Role: dialect.RoleAssistant, Parts: parts}
}

func encoded(t *testing.T, r *dialect.Request, p dialect.Policy) string {
	t.Helper()
	body, _, fault := EncodeRequest(nil, r, p)
	if fault != nil {
		t.Fatal(fault)
	}
	if err := dialect.Check(body); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	return string(body)
}

func TestTurnsAreWrittenAsGoogleTakesThem(t *testing.T) {
	call := func(id string) dialect.Part {
		return dialect.Part{Kind: dialect.PartToolUse, ID: id, Name: "f", Arguments: dialect.Raw(`{"a":1}`)}
	}
	result := func(id, said string) dialect.Part {
		return dialect.Part{Kind: dialect.PartToolResult, ID: id, Result: []dialect.Part{text(said)}}
	}
	signed := call("a")
	signed.Signature, signed.Signer = dialect.Inside("c2ln"), dialect.Gemini
	foreign := call("a")
	foreign.Signature, foreign.Signer = dialect.Inside("c2ln"), dialect.Anthropic
	failed := result("a", "no")
	failed.Failed = true
	const called = `{"role":"model","parts":[{"functionCall":{"id":"a","name":"f","args":{"a":1}}`
	const answered = `{"role":"user","parts":[{"functionResponse":{"id":"a","name":"f","response":`
	thought := dialect.Part{Kind: dialect.PartReasoning, Text: dialect.Inside("Hm.")}
	tests := []struct {
		name  string
		model string
		turns []dialect.Turn
		want  string
	}{
		{"turns of one role are one, results first", "gemini-2.5-pro", []dialect.Turn{model(call("a"), call("b")), user(result("a", "x")), user(text("y")), user(result("b", "z"))},
			called + `},{"functionCall":{"id":"b","name":"f","args":{"a":1}}}]},` + answered + `{"output":"x"}}},{"functionResponse":{"id":"b","name":"f","response":{"output":"z"}}},{"text":"y"}]}`},
		{"Google's own signature", "gemini-3-pro", []dialect.Turn{model(signed, call("b"))}, called + `,"thoughtSignature":"c2ln"},{"functionCall":{"id":"b","name":"f","args":{"a":1}}}]}`},
		{"a lost signature", "gemini-3-pro", []dialect.Turn{model(call("a"))}, called + `,"thoughtSignature":"c2tpcF90aG91Z2h0X3NpZ25hdHVyZV92YWxpZGF0b3I="}]}`},
		{"another's signature", "gemini-3-pro", []dialect.Turn{model(foreign)}, called + `,"thoughtSignature":"c2tpcF90aG91Z2h0X3NpZ25hdHVyZV92YWxpZGF0b3I="}]}`},
		{"a model that wants none", "gemini-2.5-pro", []dialect.Turn{model(foreign)}, called + `}]}`},
		{"a result that is an object", "gemini-2.5-pro", []dialect.Turn{model(call("a")), user(result("a", `{"b": [1]}`))}, called + `}]},` + answered + `{"b": [1]}}}]}`},
		{"a result that is like ours", "gemini-2.5-pro", []dialect.Turn{model(call("a")), user(result("a", `{"output":1}`))}, called + `}]},` + answered + `{"output":"{\"output\":1}"}}}]}`},
		{"a result that is no JSON", "gemini-2.5-pro", []dialect.Turn{model(call("a")), user(result("a", `{"b":`))}, called + `}]},` + answered + `{"output":"{\"b\":"}}}]}`},
		{"a tool that failed", "gemini-2.5-pro", []dialect.Turn{model(call("a")), user(failed)}, called + `}]},` + answered + `{"error":"no"}}}]}`},
		{"thoughts that nobody signed, and nothing else", "gemini-3-pro", []dialect.Turn{user(text("a")), model(thought), user(text("b"))}, `{"role":"user","parts":[{"text":"a"},{"text":"b"}]}`},
		{"empty texts", "gemini-3-pro", []dialect.Turn{user(text(""), text("b"))}, `{"role":"user","parts":[{"text":"b"}]}`},
		{"nothing at all", "gemini-3-pro", []dialect.Turn{user()}, `{"role":"user","parts":[{"text":""}]}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got, want := encoded(t, &dialect.Request{Model: tt.model, Turns: tt.turns}, dialect.Policy{}), `{"contents":[`+tt.want+`]}`; got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

func TestThoughtsAreAskedForByALevelOrABudget(t *testing.T) {
	budget := dialect.Raw("5000")
	tests := []struct {
		name   string
		ask    dialect.Reasoning
		policy dialect.Policy
		want   string
	}{
		{"nothing", dialect.Reasoning{}, dialect.Policy{}, ``},
		{"off", dialect.Reasoning{Mode: dialect.ReasoningOff}, dialect.Policy{}, `{"thinkingBudget":0}`},
		{"effort none", dialect.Reasoning{Effort: "none"}, dialect.Policy{}, `{"thinkingBudget":0}`},
		{"an effort", dialect.Reasoning{Mode: dialect.ReasoningAdaptive, Effort: "xhigh"}, dialect.Policy{}, `{"thinkingLevel":"HIGH","includeThoughts":true}`},
		{"an effort without a mode", dialect.Reasoning{Effort: "minimal"}, dialect.Policy{}, `{"thinkingLevel":"MINIMAL","includeThoughts":true}`},
		{"an effort, by budget", dialect.Reasoning{Mode: dialect.ReasoningAdaptive, Effort: "low"}, dialect.Policy{BudgetReasoning: true}, `{"thinkingBudget":1024,"includeThoughts":true}`},
		{"a budget", dialect.Reasoning{Mode: dialect.ReasoningOn, Budget: budget, Effort: "low"}, dialect.Policy{}, `{"thinkingBudget":5000,"includeThoughts":true}`},
		{"as the model likes, unseen", dialect.Reasoning{Mode: dialect.ReasoningAdaptive, Display: "omitted"}, dialect.Policy{}, `{"thinkingBudget":-1}`},
		{"seen, if any", dialect.Reasoning{Display: "summarized"}, dialect.Policy{}, `{"includeThoughts":true}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			want := `{"contents":[]}`
			if tt.want != "" {
				want = `{"contents":[],"generationConfig":{"thinkingConfig":` + tt.want + `}}`
			}
			if got := encoded(t, &dialect.Request{Reasoning: tt.ask}, tt.policy); got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

func TestMediaAreGivenInlineOrByAddress(t *testing.T) {
	source := func(kind dialect.SourceKind, media, data string) dialect.Source {
		return dialect.Source{Kind: kind, MediaType: media, Data: dialect.Inside(data)}
	}
	tests := []struct {
		part dialect.Part
		want string
	}{
		{dialect.Part{Kind: dialect.PartAudio, Source: source(dialect.SourceInline, "audio/wav", "QQ==")}, `{"inlineData":{"mimeType":"audio/wav","data":"QQ=="}}`},
		{dialect.Part{Kind: dialect.PartImage, Source: source(dialect.SourceURL, "", "https://example.com/A.JPG?x=.png")}, `{"fileData":{"mimeType":"image/jpeg","fileUri":"https://example.com/A.JPG?x=.png"}}`},
		{dialect.Part{Kind: dialect.PartImage, Source: source(dialect.SourceURL, "", "https://example.com/a")}, `{"fileData":{"fileUri":"https://example.com/a"}}`},
		{dialect.Part{Kind: dialect.PartFile, Source: source(dialect.SourceURL, "", "https://example.com/a")}, `{"fileData":{"mimeType":"application/pdf","fileUri":"https://example.com/a"}}`},
		{dialect.Part{Kind: dialect.PartFile, Signer: dialect.Gemini, Source: source(dialect.SourceID, "video/mp4", "files/a")}, `{"fileData":{"mimeType":"video/mp4","fileUri":"files/a"}}`},
		{dialect.Part{Kind: dialect.PartFile, Source: source(dialect.SourceText, "text/plain", `a\nb`)}, `{"text":"a\nb"}`},
		{dialect.Part{Kind: dialect.PartOpaque, Signer: dialect.Gemini, Raw: dialect.Raw(`{"executableCode":{}}`)}, `{"executableCode":{}}`},
	}
	for _, tt := range tests {
		want := `{"contents":[{"role":"user","parts":[` + tt.want + `]}]}`
		if got := encoded(t, &dialect.Request{Turns: []dialect.Turn{user(tt.part)}}, dialect.Policy{}); got != want {
			t.Errorf("got\n%s\nwant\n%s", got, want)
		}
	}
}

// Clients that give their calls no ids answer them in their order, by name.
func TestResultsWithoutIDsFindTheirCalls(t *testing.T) {
	body := `{"contents":[{"role":"model","parts":[{"functionCall":{"name":"f"}},{"functionCall":{"name":"g"}},{"functionCall":{"name":"f"}},{"functionCall":{"id":"x","name":"f"}}]},
		{"role":"user","parts":[{"functionResponse":{"name":"g","response":{"output":"1"}}},{"functionResponse":{"name":"f","response":{"output":"2"}}},{"functionResponse":{"id":"x","name":"f","response":{"output":"3"}}},
		{"functionResponse":{"name":"f","response":{"output":"4"}}},{"functionResponse":{"name":"f","response":{"output":"5"}}}]}]}`
	r, fault := DecodeRequest([]byte(body))
	if fault != nil {
		t.Fatal(fault)
	}
	calls, results := r.Turns[0].Parts, r.Turns[1].Parts
	for i, want := range []string{calls[1].ID, calls[0].ID, "x", calls[2].ID} {
		if results[i].ID != want || want == "" {
			t.Errorf("result %d is for call %q, want %q", i, results[i].ID, want)
		}
	}
	ids := map[string]bool{}
	for _, part := range append(calls, results[4]) {
		if ids[part.ID] {
			t.Errorf("the id %q is there twice", part.ID)
		}
		ids[part.ID] = true
	}
}
