package crossing

import "github.com/caddy-llm/caddy-llm/modules/dialect"

// requestFeature is something that a request can ask for.
type requestFeature struct {
	name  string
	param dialect.Param // what it is called, where named
	named bool
	add   func(r *dialect.Request)
	base  func(r *dialect.Request) // what the feature is added to
}

func (f requestFeature) of(p dialect.Param) requestFeature {
	f.param, f.named = p, true
	return f
}

// to says what a feature is a property of.
func (f requestFeature) to(base func(r *dialect.Request)) requestFeature {
	f.base = base
	return f
}

func asked(name string, add func(r *dialect.Request)) requestFeature {
	return requestFeature{name: name, add: add, base: func(*dialect.Request) {}}
}

// plainRequest is a request that every dialect can express.
func plainRequest() *dialect.Request {
	return &dialect.Request{Model: "m", MaxTokens: dialect.Raw("100"), Turns: []dialect.Turn{
		{Role: dialect.RoleUser, Parts: []dialect.Part{{Kind: dialect.PartText, Text: dialect.Inside("Hi."), Place: dialect.Place{Root: "messages"}}}},
	}}
}

// says adds a part to the user's turn.
func says(p dialect.Part) func(r *dialect.Request) {
	return func(r *dialect.Request) {
		p.Place = dialect.Place{Root: "messages", List: "content", Index: 1}
		r.Turns[0].Parts = append(r.Turns[0].Parts, p)
	}
}

// said adds an earlier turn of the model's.
func said(parts ...dialect.Part) func(r *dialect.Request) {
	return func(r *dialect.Request) {
		r.Turns = append(r.Turns, dialect.Turn{Role: dialect.RoleAssistant, Parts: parts}, dialect.Turn{
			Role: dialect.RoleUser, Parts: []dialect.Part{{Kind: dialect.PartText, Text: dialect.Inside("And?")}}})
	}
}

// returns adds a tool's use and its result.
func returns(result dialect.Part) func(r *dialect.Request) {
	return func(r *dialect.Request) {
		use := dialect.Part{Kind: dialect.PartToolUse, ID: "call_1", Name: "f", Arguments: dialect.Raw(`{}`)}
		result.Kind, result.ID = dialect.PartToolResult, "call_1"
		r.Turns = append(r.Turns, dialect.Turn{Role: dialect.RoleAssistant, Parts: []dialect.Part{use}},
			dialect.Turn{Role: dialect.RoleUser, Parts: []dialect.Part{result}})
	}
}

func source(kind dialect.SourceKind, media string) dialect.Source {
	if kind == dialect.SourceURL {
		return dialect.Source{Kind: kind, MediaType: media, Data: dialect.Inside("https://example.com/a")}
	}
	return dialect.Source{Kind: kind, MediaType: media, Data: dialect.Inside("QUJD")}
}

// with adds a tool and how it may be used.
func with(t dialect.Tool, c dialect.ToolChoice) func(r *dialect.Request) {
	return func(r *dialect.Request) {
		t.Name, t.Schema = "f", dialect.Raw(`{"type":"object"}`)
		r.Tools, r.Choice = []dialect.Tool{t}, c
	}
}

// by asks for an answer by a schema.
func by(f dialect.Format) func(r *dialect.Request) {
	return func(r *dialect.Request) {
		f.Schema = dialect.Raw(`{"type":"object"}`)
		r.Format = f
	}
}

func requestFeatures() []requestFeature {
	number := func(set func(s *dialect.Sampling)) func(r *dialect.Request) {
		return func(r *dialect.Request) { set(&r.Sampling) }
	}
	text := dialect.Part{Kind: dialect.PartText, Text: dialect.Inside("18")}
	return []requestFeature{
		asked("system prompt", func(r *dialect.Request) { r.System = []dialect.Part{text} }).of(dialect.ParamSystem),
		asked("image, inline", says(dialect.Part{Kind: dialect.PartImage, Source: source(dialect.SourceInline, "image/png")})),
		asked("image, by address", says(dialect.Part{Kind: dialect.PartImage, Source: source(dialect.SourceURL, "")})),
		asked("how closely to look at an image", says(dialect.Part{Kind: dialect.PartImage, Source: source(dialect.SourceInline, "image/png"), Detail: "low"})).
			to(says(dialect.Part{Kind: dialect.PartImage, Source: source(dialect.SourceInline, "image/png")})),
		asked("recording", says(dialect.Part{Kind: dialect.PartAudio, Source: source(dialect.SourceInline, "audio/wav")})),
		asked("PDF, inline", says(dialect.Part{Kind: dialect.PartFile, Title: "a.pdf", Source: source(dialect.SourceInline, "application/pdf")})),
		asked("PDF, by address", says(dialect.Part{Kind: dialect.PartFile, Source: source(dialect.SourceURL, "")})),
		asked("plain text as a document", says(dialect.Part{Kind: dialect.PartFile, Source: source(dialect.SourceText, "text/plain")})),
		asked("document to be cited from", says(dialect.Part{Kind: dialect.PartFile, Cite: true, Source: source(dialect.SourceText, "text/plain")})),
		asked("call of a tool, and its result", returns(dialect.Part{Result: []dialect.Part{text}})),
		asked("image as a tool's result", returns(dialect.Part{Result: []dialect.Part{{Kind: dialect.PartImage, Source: source(dialect.SourceInline, "image/png")}}})),
		asked("mark of a tool that failed", returns(dialect.Part{Result: []dialect.Part{text}, Failed: true})).
			to(returns(dialect.Part{Result: []dialect.Part{text}})),
		asked("earlier thoughts, unsigned", said(dialect.Part{Kind: dialect.PartReasoning, Text: dialect.Inside("Hm.")}, text)).to(said(text)),
		asked("earlier thoughts, signed by Anthropic", said(dialect.Part{Kind: dialect.PartReasoning, Text: dialect.Inside("Hm."), Signature: dialect.Inside("c2ln"), Signer: dialect.Anthropic}, text)).
			to(said(text)),
		asked("earlier refusal", said(dialect.Part{Kind: dialect.PartRefusal, Text: dialect.Inside("No.")})),
		asked("mark for the prompt cache", says(dialect.Part{Kind: dialect.PartText, Text: dialect.Inside("Hi."), Cache: dialect.CacheDefault})).
			to(says(dialect.Part{Kind: dialect.PartText, Text: dialect.Inside("Hi.")})),
		asked("tools", with(dialect.Tool{}, dialect.ToolChoice{})).of(dialect.ParamTools),
		asked("tools whose schema is kept to", with(dialect.Tool{Strict: dialect.On}, dialect.ToolChoice{})).to(with(dialect.Tool{}, dialect.ToolChoice{})),
		asked("some tool must be called", with(dialect.Tool{}, dialect.ToolChoice{Mode: dialect.ToolsAny})).of(dialect.ParamToolChoice),
		asked("a named tool must be called", with(dialect.Tool{}, dialect.ToolChoice{Mode: dialect.ToolsNamed, Name: "f"})),
		asked("no tool may be called", with(dialect.Tool{}, dialect.ToolChoice{Mode: dialect.ToolsNone})),
		asked("one tool at a time", with(dialect.Tool{}, dialect.ToolChoice{Mode: dialect.ToolsAuto, Parallel: dialect.Off})).of(dialect.ParamParallel),
		asked("answer by a JSON Schema", by(dialect.Format{Kind: dialect.FormatSchema})).of(dialect.ParamFormat),
		asked("name of the schema", by(dialect.Format{Kind: dialect.FormatSchema, Name: "n"})).to(by(dialect.Format{Kind: dialect.FormatSchema})),
		asked("answer in any JSON", func(r *dialect.Request) { r.Format.Kind = dialect.FormatJSON }),
		asked("bound on tokens", func(r *dialect.Request) { r.MaxTokens = dialect.Raw("200") }).of(dialect.ParamMaxTokens),
		asked("stop sequences", func(r *dialect.Request) { r.Stop = []string{"END"} }).of(dialect.ParamStop),
		asked("temperature up to 1", number(func(s *dialect.Sampling) { s.Temperature = dialect.Raw("0.5") })).of(dialect.ParamTemperature),
		asked("temperature above 1", number(func(s *dialect.Sampling) { s.Temperature = dialect.Raw("1.5") })),
		asked("nucleus sampling", number(func(s *dialect.Sampling) { s.TopP = dialect.Raw("0.5") })).of(dialect.ParamTopP),
		asked("the likeliest tokens only", number(func(s *dialect.Sampling) { s.TopK = dialect.Raw("5") })).of(dialect.ParamTopK),
		asked("seed", number(func(s *dialect.Sampling) { s.Seed = dialect.Raw("5") })).of(dialect.ParamSeed),
		asked("penalty by frequency", number(func(s *dialect.Sampling) { s.FrequencyPenalty = dialect.Raw("1") })).of(dialect.ParamFrequencyPenalty),
		asked("penalty by presence", number(func(s *dialect.Sampling) { s.PresencePenalty = dialect.Raw("1") })).of(dialect.ParamPresencePenalty),
		asked("several answers", number(func(s *dialect.Sampling) { s.Choices = dialect.Raw("2") })).of(dialect.ParamChoices),
		asked("log probabilities", number(func(s *dialect.Sampling) { s.Logprobs = true })).of(dialect.ParamLogprobs),
		asked("thoughts by effort", func(r *dialect.Request) {
			r.Reasoning = dialect.Reasoning{Mode: dialect.ReasoningAdaptive, Effort: "high"}
		}).of(dialect.ParamEffort),
		asked("thoughts by budget", func(r *dialect.Request) {
			r.Reasoning = dialect.Reasoning{Mode: dialect.ReasoningOn, Budget: dialect.Raw("2048")}
		}).of(dialect.ParamBudget),
		asked("no thoughts", func(r *dialect.Request) { r.Reasoning = dialect.Reasoning{Mode: dialect.ReasoningOff} }),
		asked("the user's id", func(r *dialect.Request) { r.User = "u" }).of(dialect.ParamUser),
		asked("other metadata", func(r *dialect.Request) { r.Metadata = dialect.Raw(`{"a":"b"}`) }).of(dialect.ParamMetadata),
	}
}

// answerFeature is something that an answer can hold.
type answerFeature struct {
	name string
	add  func(a *dialect.Answer)
	base func(a *dialect.Answer) // what it is added to; nil for a text
}

func plainAnswer() *dialect.Answer {
	return &dialect.Answer{ID: "a", Model: "m", Finish: dialect.FinishStop, HasUsage: true, Usage: dialect.Usage{Input: 1, Output: 1}, Parts: []dialect.Part{
		{Kind: dialect.PartText, Text: dialect.Inside("Hi.")},
	}}
}

func holds(p dialect.Part) func(a *dialect.Answer) {
	return func(a *dialect.Answer) { a.Parts = append([]dialect.Part{p}, a.Parts...) }
}

func ends(f dialect.Finish) func(a *dialect.Answer) {
	return func(a *dialect.Answer) { a.Finish = f }
}

func cites(c dialect.Citation) func(a *dialect.Answer) {
	return func(a *dialect.Answer) {
		c.Dialect, c.Quote = dialect.Anthropic, a.Parts[0].Text
		a.Parts[0].Citations = []dialect.Citation{c}
	}
}

func calls(p dialect.Part) func(a *dialect.Answer) {
	return func(a *dialect.Answer) {
		p.Kind, p.ID, p.Name, p.Arguments = dialect.PartToolUse, "call_1", "f", dialect.Raw(`{"a":1}`)
		a.Parts = append(a.Parts, p)
		a.Finish = dialect.FinishTools
	}
}

func answerFeatures() []answerFeature {
	return []answerFeature{
		{"thoughts", holds(dialect.Part{Kind: dialect.PartReasoning, Text: dialect.Inside("Hm.")}), nil},
		{"thoughts, signed by Anthropic", holds(dialect.Part{Kind: dialect.PartReasoning, Text: dialect.Inside("Hm."), Signature: dialect.Inside("c2ln"), Signer: dialect.Anthropic}), nil},
		{"thoughts that cannot be read", holds(dialect.Part{Kind: dialect.PartReasoning, Redacted: dialect.Inside("eA=="), Signer: dialect.Anthropic}), nil},
		{"call of a tool", calls(dialect.Part{}), nil},
		{"Google's signature of a call", calls(dialect.Part{Signature: dialect.Inside("c2ln"), Signer: dialect.Gemini}), calls(dialect.Part{})},
		{"refusal in words", func(a *dialect.Answer) {
			a.Parts = append(a.Parts, dialect.Part{Kind: dialect.PartRefusal, Text: dialect.Inside("No.")})
			a.Finish = dialect.FinishFilter
		}, nil},
		{"citation of a web page", cites(dialect.Citation{URL: "https://example.com/", Title: "t", Raw: dialect.Raw(`{"type":"web_search_result_location","url":"https://example.com/","title":"t","cited_text":"Hi."}`)}), nil},
		{"citation of a document", cites(dialect.Citation{Title: "t", Raw: dialect.Raw(`{"type":"char_location","document_title":"t","cited_text":"Hi."}`)}), nil},
		{"tools that the provider ran", holds(dialect.Part{Kind: dialect.PartOpaque, Signer: dialect.Anthropic, Raw: dialect.Raw(`{"type":"server_tool_use","id":"s"}`)}), nil},
		{"log probabilities", func(a *dialect.Answer) { a.Logprobs = dialect.Raw(`{"content":[]}`) }, nil},
		{"end: done", ends(dialect.FinishStop), nil},
		{"end: stop sequence, and which", func(a *dialect.Answer) { a.StopSequence = "END" }, nil},
		{"end: bound on tokens", ends(dialect.FinishLength), nil},
		{"end: withheld", ends(dialect.FinishFilter), nil},
		{"end: pause", ends(dialect.FinishPause), nil},
		{"tokens read from the prompt cache", func(a *dialect.Answer) { a.Usage.CacheRead = 5 }, nil},
		{"tokens written to the prompt cache", func(a *dialect.Answer) { a.Usage.CacheWrite = 5 }, nil},
		{"tokens of thoughts", func(a *dialect.Answer) { a.Usage.Reasoning = 5 }, nil},
	}
}
