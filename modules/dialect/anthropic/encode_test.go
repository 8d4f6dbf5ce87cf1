package anthropic

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

func text(s string) dialect.Part {
	return dialect.Part{Kind: dialect.PartText, Text: dialect.Escape(s)}
}

func result(id string) dialect.Part {
	return dialect.Part{Kind: dialect.PartToolResult, ID: id}
}

func use(id string) dialect.Part {
	return dialect.Part{Kind: dialect.PartToolUse, ID: id, Name: "f", Arguments: dialect.Raw("{}")}
}

func user(parts ...dialect.Part) dialect.Turn {
	return dialect.Turn{Role: dialect.RoleUser, Parts: parts}
}

func assistant(parts ...dialect.Part) dialect.Turn {
	return dialect.Turn{Role: dialect.RoleAssistant, Parts: parts}
}

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

func TestTurnsAreAsAnthropicWantsThem(t *testing.T) {
	const call = `{"type":"tool_use","id":"a","name":"f","input":{}}`
	tests := []struct {
		name  string
		turns []dialect.Turn
		want  string
	}{
		{"turns of one role become one", []dialect.Turn{user(text("1")), user(text("2")), assistant(text("3")), assistant(use("a"))},
			`[{"role":"user","content":[{"type":"text","text":"1"},{"type":"text","text":"2"}]},{"role":"assistant","content":[{"type":"text","text":"3"},` + call + `]}]`},
		{"results are together and first", []dialect.Turn{assistant(use("a")), user(result("a")), user(text("1")), user(result("b"), text("2"))},
			`[{"role":"assistant","content":[` + call + `]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"a"},{"type":"tool_result","tool_use_id":"b"},{"type":"text","text":"1"},{"type":"text","text":"2"}]}]`},
		{"texts that say nothing are left out", []dialect.Turn{user(text("1"), text(" \n")), assistant(text(""), use("a"))},
			`[{"role":"user","content":"1"},{"role":"assistant","content":[` + call + `]}]`},
		{"a turn of the model's that says nothing is none", []dialect.Turn{user(text("1")), assistant(text("")), user(text("2"))},
			`[{"role":"user","content":[{"type":"text","text":"1"},{"type":"text","text":"2"}]}]`},
		{"a first turn of the model's that says nothing is none", []dialect.Turn{assistant(), user(text("1"))}, `[{"role":"user","content":"1"}]`},
		{"a user who says nothing is told so by the provider", []dialect.Turn{user(text(""))}, `[{"role":"user","content":""}]`},
		{"nobody", nil, `[]`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := encoded(t, &dialect.Request{Turns: tt.turns}, dialect.Policy{}, "messages"); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

func TestThoughtsGoBackToWhoSignedThem(t *testing.T) {
	thought := func(signature string, signer dialect.Name) *dialect.Request {
		return &dialect.Request{Turns: []dialect.Turn{assistant(dialect.Part{Kind: dialect.PartReasoning, Text: dialect.Inside("Hm."), Signature: dialect.Inside(signature), Signer: signer}, text("1"))}}
	}
	const without = `[{"role":"assistant","content":"1"}]`
	with := func(signature string) string {
		return `[{"role":"assistant","content":[{"type":"thinking","thinking":"Hm.","signature":"` + signature + `"},{"type":"text","text":"1"}]}]`
	}
	tests := []struct {
		name    string
		request *dialect.Request
		keep    bool
		want    string
	}{
		{"signed by Anthropic", thought("c2ln", dialect.Anthropic), false, with("c2ln")},
		{"signed by Google", thought("c2ln", dialect.Gemini), false, without},
		{"not signed", thought("", ""), false, without},
		{"signed by Google, to a server that keeps thoughts", thought("c2ln", dialect.Gemini), true, with("")},
		{"not signed, to a server that keeps thoughts", thought("", ""), true, with("")},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := encoded(t, tt.request, dialect.Policy{KeepReasoning: tt.keep}, "messages"); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

func TestThoughtsAreAskedForAsTheModelKnowsThem(t *testing.T) {
	effort := func(effort string) dialect.Reasoning {
		return dialect.Reasoning{Mode: dialect.ReasoningAdaptive, Effort: effort}
	}
	budget := dialect.Reasoning{Mode: dialect.ReasoningOn, Budget: dialect.Raw("2048")}
	tests := []struct {
		name                        string
		reasoning                   dialect.Reasoning
		max                         string // the client's bound
		byBudget                    bool
		thinking, output, maxTokens string
	}{
		{"nothing", dialect.Reasoning{}, "", false, ``, ``, `4096`},
		{"an effort", effort("high"), "100", false, `{"type":"adaptive"}`, `{"effort":"high"}`, `100`},
		{"the least effort", effort("minimal"), "100", false, `{"type":"adaptive"}`, `{"effort":"low"}`, `100`},
		{"no thoughts", dialect.Reasoning{Mode: dialect.ReasoningOff, Effort: "none"}, "100", false, `{"type":"disabled"}`, ``, `100`},
		{"a budget", budget, "9000", false, `{"type":"enabled","budget_tokens":2048}`, ``, `9000`},
		{"a budget and no bound", budget, "", false, `{"type":"enabled","budget_tokens":2048}`, ``, `6144`},
		{"an effort, by budget", effort("high"), "100000", true, `{"type":"enabled","budget_tokens":24576}`, ``, `100000`},
		{"an effort, by budget, no bound", effort("low"), "", true, `{"type":"enabled","budget_tokens":1024}`, ``, `5120`},
		{"an effort, by budget, of a short answer", effort("high"), "4096", true, `{"type":"enabled","budget_tokens":2048}`, ``, `4096`},
		{"an effort, by budget, of an answer too short for it", effort("high"), "100", true, `{"type":"disabled"}`, ``, `100`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := &dialect.Request{Reasoning: tt.reasoning, MaxTokens: dialect.Raw(tt.max)}
			for member, want := range map[string]string{"thinking": tt.thinking, "output_config": tt.output, "max_tokens": tt.maxTokens} {
				if got := encoded(t, r, dialect.Policy{BudgetReasoning: tt.byBudget}, member); got != want {
					t.Errorf("%s is %s, want %s", member, got, want)
				}
			}
		})
	}
}

func TestToolsAreAsAnthropicWantsThem(t *testing.T) {
	for schema, want := range map[string]string{
		``:                              `{"type":"object"}`,
		`{}`:                            `{"type":"object"}`,
		`{"properties":{}}`:             `{"properties":{},"type":"object"}`,
		`{"type":"object","title":"t"}`: `{"type":"object","title":"t"}`,
	} {
		r := &dialect.Request{Tools: []dialect.Tool{{Name: "f", Schema: dialect.Raw(schema)}}}
		if got := encoded(t, r, dialect.Policy{}, "tools"); got != `[{"name":"f","input_schema":`+want+`}]` {
			t.Errorf("the schema %s becomes %s", schema, got)
		}
	}
	tools := []dialect.Tool{{Name: "f"}}
	for _, tt := range []struct {
		tools  []dialect.Tool
		choice dialect.ToolChoice
		want   string
	}{
		{tools, dialect.ToolChoice{}, ``},
		{tools, dialect.ToolChoice{Parallel: dialect.On}, ``},
		{tools, dialect.ToolChoice{Parallel: dialect.Off}, `{"type":"auto","disable_parallel_tool_use":true}`},
		{tools, dialect.ToolChoice{Mode: dialect.ToolsNone, Parallel: dialect.Off}, `{"type":"none"}`},
		{nil, dialect.ToolChoice{Mode: dialect.ToolsAuto, Parallel: dialect.Off}, ``},
		{nil, dialect.ToolChoice{Mode: dialect.ToolsAny}, `{"type":"any"}`},
	} {
		if got := encoded(t, &dialect.Request{Tools: tt.tools, Choice: tt.choice}, dialect.Policy{}, "tool_choice"); got != tt.want {
			t.Errorf("%+v becomes %s, want %s", tt.choice, got, tt.want)
		}
	}
}

func TestMarksForTheCacheAreOnesThatAnthropicKnows(t *testing.T) {
	for cache, want := range map[dialect.Cache]string{
		"": ``, dialect.CacheDefault: `{"type":"ephemeral"}`, "5m": `{"type":"ephemeral","ttl":"5m"}`,
		"1h": `{"type":"ephemeral","ttl":"1h"}`, "30m": `{"type":"ephemeral","ttl":"1h"}`,
	} {
		if got := encoded(t, &dialect.Request{Cache: cache}, dialect.Policy{}, "cache_control"); got != want {
			t.Errorf("%q becomes %s, want %s", cache, got, want)
		}
	}
}

func TestAClampedTemperatureIsTold(t *testing.T) {
	r := &dialect.Request{Sampling: dialect.Sampling{Temperature: dialect.Raw("1.7")}}
	body, dropped, fault := EncodeRequest(nil, r, dialect.Policy{Drop: true})
	if fault != nil || len(dropped) != 1 || !strings.Contains(string(body), `"temperature":1,`) && !strings.HasSuffix(string(body), `"temperature":1}`) {
		t.Errorf("got %s, %q, %v", body, dropped, fault)
	}
}

func TestACallThatIsNoObjectIsNotGivenToClients(t *testing.T) {
	tests := []struct {
		arguments string
		finish    dialect.Finish
		content   string // empty where there is no answer
	}{
		{``, dialect.FinishTools, `[{"type":"tool_use","id":"a","name":"f","input":{}}]`},
		{`{"a":1}`, dialect.FinishTools, `[{"type":"tool_use","id":"a","name":"f","input":{"a":1}}]`},
		{`{"a":`, dialect.FinishLength, `[]`},
		{`{"a":`, dialect.FinishTools, ``},
		{`[1]`, dialect.FinishTools, ``},
		{`{}`, dialect.FinishError, ``},
	}
	for _, tt := range tests {
		part := use("a")
		part.Arguments = dialect.Raw(tt.arguments)
		body, fault := EncodeAnswer(nil, &dialect.Answer{Parts: []dialect.Part{part}, Finish: tt.finish})
		if fault != nil {
			if tt.content != "" || fault.Kind != dialect.UpstreamFailed {
				t.Errorf("%s gives %v", tt.arguments, fault)
			}
			continue
		}
		if tt.content == "" || !strings.Contains(string(body), `"content":`+tt.content+`,`) {
			t.Errorf("%s gives %s, want the content %s", tt.arguments, body, tt.content)
		}
	}
}
