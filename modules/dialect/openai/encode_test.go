package openai

import (
	"encoding/json"
	"testing"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

// encoded is one member of an encoded request.
func encoded(t *testing.T, r *dialect.Request, p dialect.Policy, member string) string {
	t.Helper()
	body, _, fault := EncodeRequest(nil, r, p)
	if fault != nil {
		t.Fatal(fault)
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(body, &members); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	return string(members[member])
}

func TestTurnsAreAsOpenAIWantsThem(t *testing.T) {
	text := func(s string) dialect.Part { return dialect.Part{Kind: dialect.PartText, Text: dialect.Escape(s)} }
	result := func(id string, parts ...dialect.Part) dialect.Part {
		return dialect.Part{Kind: dialect.PartToolResult, ID: id, Result: parts}
	}
	user := func(parts ...dialect.Part) dialect.Turn {
		return dialect.Turn{Role: dialect.RoleUser, Parts: parts}
	}
	assistant := func(parts ...dialect.Part) dialect.Turn {
		return dialect.Turn{Role: dialect.RoleAssistant, Parts: parts}
	}
	thought := dialect.Part{Kind: dialect.PartReasoning, Text: dialect.Inside("Hm."), Signature: dialect.Inside("c2ln"), Signer: dialect.Anthropic}
	tests := []struct {
		name   string
		turns  []dialect.Turn
		policy dialect.Policy
		want   string
	}{
		{"each result is a message, before what the user says", []dialect.Turn{user(text("1"), result("a", text("2")), result("b"))}, dialect.Policy{},
			`[{"role":"tool","tool_call_id":"a","content":"2"},{"role":"tool","tool_call_id":"b","content":""},{"role":"user","content":"1"}]`},
		{"texts of the model's are one", []dialect.Turn{assistant(text("1"), text("2"))}, dialect.Policy{}, `[{"role":"assistant","content":"12"}]`},
		{"texts of the user's stay apart", []dialect.Turn{user(text("1"), text("2"))}, dialect.Policy{},
			`[{"role":"user","content":[{"type":"text","text":"1"},{"type":"text","text":"2"}]}]`},
		{"thoughts are not sent back", []dialect.Turn{assistant(thought, text("1"))}, dialect.Policy{}, `[{"role":"assistant","content":"1"}]`},
		{"thoughts are sent back to servers that want them, without the signature", []dialect.Turn{assistant(thought, text("1"))}, dialect.Policy{KeepReasoning: true},
			`[{"role":"assistant","content":"1","reasoning_content":"Hm."}]`},
		{"Google's signature is not for OpenAI", []dialect.Turn{assistant(dialect.Part{Kind: dialect.PartToolUse, ID: "a", Name: "f", Signature: dialect.Inside("s"), Signer: dialect.Gemini})}, dialect.Policy{},
			`[{"role":"assistant","content":null,"tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":"{}"}}]}]`},
		{"a file without a name gets one", []dialect.Turn{user(dialect.Part{Kind: dialect.PartFile, Source: dialect.Source{Kind: dialect.SourceInline, MediaType: "application/pdf", Data: dialect.Inside("QQ==")}})}, dialect.Policy{},
			`[{"role":"user","content":[{"type":"file","file":{"filename":"file","file_data":"data:application/pdf;base64,QQ=="}}]}]`},
		{"an upload of OpenAI's own", []dialect.Turn{user(dialect.Part{Kind: dialect.PartFile, Signer: dialect.OpenAI, Source: dialect.Source{Kind: dialect.SourceID, Data: dialect.Inside("file-1")}})}, dialect.Policy{},
			`[{"role":"user","content":[{"type":"file","file":{"file_id":"file-1"}}]}]`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := encoded(t, &dialect.Request{Turns: tt.turns}, tt.policy, "messages"); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

func TestABudgetForThoughtsBecomesAnEffort(t *testing.T) {
	for budget, want := range map[string]string{"0": `"none"`, "1024": `"low"`, "4000": `"low"`, "8192": `"medium"`, "16000": `"medium"`, "16384": `"high"`, "1e9": `"high"`} {
		r := &dialect.Request{Reasoning: dialect.Reasoning{Mode: dialect.ReasoningOn, Budget: dialect.Raw(budget)}}
		if got := encoded(t, r, dialect.Policy{}, "reasoning_effort"); got != want {
			t.Errorf("%s tokens become %s, want %s", budget, got, want)
		}
	}
	for _, r := range []dialect.Reasoning{{}, {Mode: dialect.ReasoningAdaptive}, {Mode: dialect.ReasoningOn}} {
		if got := encoded(t, &dialect.Request{Reasoning: r}, dialect.Policy{}, "reasoning_effort"); got != "" {
			t.Errorf("%+v becomes %s", r, got)
		}
	}
}

func TestFilesAreReadInAllTheirForms(t *testing.T) {
	inline := func(media string) dialect.Source {
		return dialect.Source{Kind: dialect.SourceInline, MediaType: media, Data: dialect.Inside("QQ==")}
	}
	tests := []struct {
		part string
		kind dialect.PartKind
		want dialect.Source
	}{
		{`{"type":"image_url","image_url":{"url":"data:image\/png;base64,QQ=="}}`, dialect.PartImage, inline("image/png")},
		{`{"type":"image_url","image_url":"data:image/png;base64,QQ=="}`, dialect.PartImage, inline("image/png")},
		{`{"type":"image_url","image_url":{"url":"https://example.com/a,b"}}`, dialect.PartImage, dialect.Source{Kind: dialect.SourceURL, Data: dialect.Inside("https://example.com/a,b")}},
		{`{"type":"image_url","image_url":{"url":"data:text/plain,abc"}}`, dialect.PartImage, dialect.Source{Kind: dialect.SourceURL, Data: dialect.Inside("data:text/plain,abc")}},
		{`{"type":"file","file":{"file_data":"QQ=="}}`, dialect.PartFile, inline("application/pdf")},
		{`{"type":"file","file":{"file_data":"data:text/csv;base64,QQ=="}}`, dialect.PartFile, inline("text/csv")},
		{`{"type":"input_audio","input_audio":{"data":"QQ==","format":"mp3"}}`, dialect.PartAudio, inline("audio/mp3")},
		{`{"type":"image_url"}`, 0, dialect.Source{}},
		{`{"type":"file","file":{}}`, 0, dialect.Source{}},
		{`{"type":"text"}`, 0, dialect.Source{}},
		{`"text"`, 0, dialect.Source{}},
	}
	for _, tt := range tests {
		got := decodePart([]byte(tt.part))
		if got.Kind != tt.kind || got.Source.Kind != tt.want.Kind || got.Source.MediaType != tt.want.MediaType || string(got.Source.Data) != string(tt.want.Data) {
			t.Errorf("%s is read as %+v, want %+v", tt.part, got, tt.want)
		}
	}
}

func TestStreamedThoughtsAreOneWithTheirSignature(t *testing.T) {
	tests := []struct{ name, message, text, signature string }{
		{"told in full", `{"reasoning_details":[{"type":"reasoning.text","text":"a","signature":"s"}],"reasoning_content":"a"}`, "a", "s"},
		{"text before the signature", `{"reasoning_details":[{"type":"reasoning.text","text":"a"},{"type":"reasoning.text","text":"b"},{"type":"reasoning.text","signature":"s"}],"reasoning":"ab"}`, "ab", "s"},
		{"text beside the signature", `{"reasoning_details":[{"type":"reasoning.text","signature":"s"}],"reasoning":"ab"}`, "ab", "s"},
		{"no signature", `{"reasoning_details":[{"type":"reasoning.text","text":"a"}],"reasoning":"a"}`, "a", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			parts := decodeReasoning(nil, readMessage([]byte(tt.message)))
			if len(parts) != 1 || string(parts[0].Text) != tt.text || string(parts[0].Signature) != tt.signature {
				t.Errorf("got %+v", parts)
			}
		})
	}
}
