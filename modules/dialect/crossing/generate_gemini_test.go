package crossing

import "github.com/caddy-llm/caddy-llm/modules/dialect"

func (m *maker) geminiParameters(r *dialect.Request) {
	r.IncludeUsage = r.Stream
	r.Sampling.TopK = m.number("1", "40")
	r.Sampling.Seed = m.number("7", "-1")
	r.Sampling.FrequencyPenalty = m.number("-2.0", "0")
	r.Sampling.PresencePenalty = m.number("2")
	r.Reasoning.Mode = pick(m, dialect.ReasoningUnset, dialect.ReasoningOn, dialect.ReasoningAdaptive, dialect.ReasoningOff)
	switch r.Reasoning.Mode {
	case dialect.ReasoningOn:
		r.Reasoning.Budget = dialect.Raw("1024")
		r.Reasoning.Display = pick(m, "", "omitted")
	case dialect.ReasoningAdaptive:
		r.Reasoning.Effort = pick(m, "", "minimal", "low", "medium", "high")
		r.Reasoning.Display = pick(m, "", "omitted")
	case dialect.ReasoningUnset:
		r.Reasoning.Display = pick(m, "", "summarized")
	}
	if r.Format.Kind = pick(m, dialect.FormatText, dialect.FormatJSON, dialect.FormatSchema); r.Format.Kind == dialect.FormatSchema {
		r.Format.Schema = m.object()
	}
}

// geminiResult is a tool's result: what it says, and then images.
func (m *maker) geminiResult() dialect.Part {
	p := dialect.Part{Kind: dialect.PartToolResult, ID: m.word(), Name: m.word(), Failed: m.maybe()}
	if m.maybe() {
		p.Result = append(p.Result, dialect.Part{Kind: dialect.PartText, Text: m.text()})
	} else {
		object := dialect.Raw(pick(m, `{"a":1}`, `{"error":1}`, `{"output":"a"}`, `{"result":{}}`, `{"a":"\u00e9","b":[]}`, `{}`, `{`, `{"Model":1}`))
		p.Result = append(p.Result, dialect.Part{Kind: dialect.PartText, Text: dialect.InsideOf(dialect.Quote(nil, object))})
	}
	for range m.count(2) {
		p.Result = append(p.Result, dialect.Part{Kind: dialect.PartImage, Source: m.inline("image/png")})
	}
	return p
}

func (m *maker) geminiFile() dialect.Part {
	p := dialect.Part{Kind: dialect.PartFile, Source: m.inline(pick(m, "application/pdf", "video/mp4"))}
	switch m.count(2) {
	case 0:
		p.Source = dialect.Source{Kind: dialect.SourceURL, MediaType: "application/pdf", Data: dialect.Inside("https://example.com/a")}
	case 1:
		p.Source = dialect.Source{Kind: dialect.SourceID, MediaType: "video/mp4", Data: dialect.Inside(`https:\/\/generativelanguage.googleapis.com/v1beta/files/a`)}
		p.Signer = dialect.Gemini
	}
	return p
}

// geminiThought is a thought that Google signed.
func (m *maker) geminiThought() dialect.Part {
	return dialect.Part{Kind: dialect.PartReasoning, Text: m.text(), Signature: dialect.Inside("Z29vZ2xl"), Signer: dialect.Gemini}
}

// geminiEnd adds how Google's answers may end.
func (m *maker) geminiEnd(a *dialect.Answer) {
	switch {
	case a.Finish == dialect.FinishTools:
	case m.maybe():
		a.Finish = dialect.FinishFilter
		a.Parts = append(a.Parts, dialect.Part{Kind: dialect.PartRefusal, Text: m.text()})
	case m.maybe():
		a.Finish = dialect.FinishPause
	}
}
