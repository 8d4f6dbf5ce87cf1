package crossing

import (
	"encoding/base64"
	"encoding/json"

	"pgregory.net/rapid"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

// maker generates what one dialect can express.
type maker struct {
	*rapid.T
	dialect dialect.Name
	calls   int // tool calls made, for ids
}

func (m *maker) maybe() bool       { return rapid.Bool().Draw(m.T, "maybe") }
func (m *maker) openai() bool      { return m.dialect == dialect.OpenAI }
func (m *maker) anthropic() bool   { return m.dialect == dialect.Anthropic }
func (m *maker) gemini() bool      { return m.dialect == dialect.Gemini }
func (m *maker) count(max int) int { return rapid.IntRange(0, max).Draw(m.T, "count") }

func pick[V any](m *maker, values ...V) V { return rapid.SampledFrom(values).Draw(m.T, "pick") }

func (m *maker) string() string {
	return rapid.StringOfN(rapid.RuneFrom([]rune("ab \"\\/\n\t\x01é€😀{}")), 1, 12, -1).Draw(m.T, "text") + "."
}

// text is a text that says something, written in one of many ways.
func (m *maker) text() dialect.Inside {
	return append(dialect.Escape(m.string()), pick(m, ``, `\/`, `\u00e9`, `\ud83d\ude00`, `\\n`, `\u007b`)...)
}

func (m *maker) word() string { return rapid.StringMatching(`[a-z][a-z0-9_]{0,8}`).Draw(m.T, "word") }

func (m *maker) number(values ...string) dialect.Raw {
	if !m.maybe() {
		return nil
	}
	return dialect.Raw(pick(m, values...))
}

func (m *maker) object() dialect.Raw {
	return dialect.Raw(pick(m, `{}`, `{"a":1.0}`, `{ "city" : "Pa{r}\"is\\", "n": [1, {"b": null}] }`, `{"é":"\u00e9"}`, "{\n\"a\"\n:true}"))
}

func (m *maker) flag() dialect.Flag { return pick(m, dialect.Unset, dialect.On, dialect.Off) }

func (m *maker) cache() dialect.Cache {
	if !m.anthropic() {
		return ""
	}
	return pick[dialect.Cache](m, "", "", dialect.CacheDefault, "5m", "1h")
}

func (m *maker) request() *dialect.Request {
	r := &dialect.Request{Model: m.word(), MaxTokens: dialect.Raw(pick(m, "1", "4096", "32000"))}
	for range m.count(2) {
		r.System = append(r.System, dialect.Part{Kind: dialect.PartText, Text: m.text(), Cache: m.cache()})
	}
	for range 1 + m.count(2) {
		r.Turns = append(r.Turns, dialect.Turn{Role: dialect.RoleUser, Parts: m.user()})
		r.Turns = append(r.Turns, dialect.Turn{Role: dialect.RoleAssistant, Parts: m.assistant()})
	}
	m.tools(r)
	m.parameters(r)
	switch m.dialect {
	case dialect.Anthropic:
		m.anthropicParameters(r)
	case dialect.Gemini:
		m.geminiParameters(r)
	default:
		m.openaiParameters(r)
	}
	return r
}

func (m *maker) tools(r *dialect.Request) {
	for range m.count(2) {
		t := dialect.Tool{Name: m.word(), Cache: m.cache(), Schema: dialect.Raw(`{"type":"object","properties":{"a":{"type":"string"}}}`)}
		if m.maybe() {
			t.Description = m.text()
		}
		if !m.gemini() {
			t.Strict = m.flag()
		}
		r.Tools = append(r.Tools, t)
	}
	if len(r.Tools) == 0 {
		return
	}
	r.Choice.Mode = pick(m, dialect.ToolsUnset, dialect.ToolsAuto, dialect.ToolsNone, dialect.ToolsAny, dialect.ToolsNamed)
	if r.Choice.Mode == dialect.ToolsNamed {
		r.Choice.Name = r.Tools[0].Name
	}
	if m.openai() || m.anthropic() && r.Choice.Mode != dialect.ToolsNone && r.Choice.Mode != dialect.ToolsUnset {
		r.Choice.Parallel = m.flag()
	}
}

func (m *maker) parameters(r *dialect.Request) {
	r.Sampling.Temperature = m.number("0", "1", "0.70", "1e-1")
	r.Sampling.TopP = m.number("1", "0.9")
	for range m.count(2) {
		r.Stop = append(r.Stop, m.string())
	}
	if !m.gemini() && m.maybe() {
		r.User = m.word()
	}
	r.Stream = m.maybe()
}

func (m *maker) anthropicParameters(r *dialect.Request) {
	r.IncludeUsage = r.Stream
	r.Cache = m.cache()
	r.Sampling.TopK = m.number("1", "40")
	r.Reasoning.Effort = pick(m, "", "low", "medium", "high", "xhigh", "max")
	switch r.Reasoning.Mode = pick(m, dialect.ReasoningUnset, dialect.ReasoningOn, dialect.ReasoningAdaptive, dialect.ReasoningOff); r.Reasoning.Mode {
	case dialect.ReasoningOn:
		r.Reasoning.Budget = dialect.Raw("1024")
		r.Reasoning.Display = pick(m, "", "summarized")
	case dialect.ReasoningAdaptive:
		r.Reasoning.Display = pick(m, "", "omitted")
	}
	if m.maybe() {
		r.Format = dialect.Format{Kind: dialect.FormatSchema, Schema: m.object()}
	}
}

func (m *maker) openaiParameters(r *dialect.Request) {
	r.IncludeUsage = r.Stream && m.maybe()
	r.Sampling.Seed = m.number("9007199254740993", "-1")
	r.Sampling.FrequencyPenalty = m.number("-2.0", "0")
	r.Sampling.PresencePenalty = m.number("2")
	r.Sampling.Choices = m.number("1", "3")
	if r.Sampling.Logprobs = m.maybe(); r.Sampling.Logprobs {
		r.Sampling.TopLogprobs = m.number("0", "20")
	}
	switch r.Reasoning.Effort = pick(m, "", "none", "minimal", "high"); r.Reasoning.Effort {
	case "":
	case "none":
		r.Reasoning.Mode = dialect.ReasoningOff
	default:
		r.Reasoning.Mode = dialect.ReasoningAdaptive
	}
	switch r.Format.Kind = pick(m, dialect.FormatText, dialect.FormatJSON, dialect.FormatSchema); r.Format.Kind {
	case dialect.FormatSchema:
		r.Format.Name, r.Format.Schema, r.Format.Strict = m.word(), m.object(), m.flag()
		if m.maybe() {
			r.Format.Description = m.text()
		}
	}
}

// user is a turn of the user's: results of tools first.
func (m *maker) user() []dialect.Part {
	var parts []dialect.Part
	for range m.count(2) {
		if m.gemini() {
			parts = append(parts, m.geminiResult())
			continue
		}
		p := dialect.Part{Kind: dialect.PartToolResult, ID: m.word(), Cache: m.cache(), Failed: m.anthropic() && m.maybe()}
		for range m.count(2) {
			if m.anthropic() && m.maybe() {
				p.Result = append(p.Result, m.image())
			} else {
				p.Result = append(p.Result, dialect.Part{Kind: dialect.PartText, Text: m.text(), Cache: m.cache()})
			}
		}
		parts = append(parts, p)
	}
	for range 1 + m.count(2) {
		p := dialect.Part{Kind: dialect.PartText, Text: m.text(), Cache: m.cache()}
		switch m.count(3) {
		case 0:
			p = m.image()
		case 1:
			p = m.file()
		case 2:
			if !m.anthropic() {
				p = dialect.Part{Kind: dialect.PartAudio, Source: m.inline(pick(m, "audio/wav", "audio/mp3"))}
			}
		}
		parts = append(parts, p)
	}
	return parts
}

func (m *maker) inline(media string) dialect.Source {
	data := base64.StdEncoding.EncodeToString([]byte(m.string()))
	return dialect.Source{Kind: dialect.SourceInline, MediaType: media, Data: dialect.Inside(data)}
}

func (m *maker) image() dialect.Part {
	p := dialect.Part{Kind: dialect.PartImage, Source: m.inline("image/png"), Cache: m.cache()}
	if m.maybe() {
		p.Source = dialect.Source{Kind: dialect.SourceURL, Data: dialect.Inside(`https:\/\/example.com/a,b?c=1`)}
		if m.gemini() {
			p.Source.MediaType = "image/png"
		}
	}
	if m.openai() {
		p.Detail = pick(m, "", "low", "high")
	}
	return p
}

func (m *maker) file() dialect.Part {
	p := dialect.Part{Kind: dialect.PartFile, Source: m.inline("application/pdf"), Title: m.word(), Cache: m.cache()}
	switch m.dialect {
	case dialect.OpenAI:
		return p
	case dialect.Gemini:
		return m.geminiFile()
	}
	switch m.count(2) {
	case 0:
		p.Source = dialect.Source{Kind: dialect.SourceURL, Data: dialect.Inside("https://example.com/a.pdf")}
	case 1:
		p.Source = dialect.Source{Kind: dialect.SourceText, MediaType: "text/plain", Data: m.text()}
	}
	if m.maybe() {
		p.Context = m.text()
	}
	p.Cite = m.maybe()
	return p
}

func (m *maker) toolUse() dialect.Part {
	m.calls++
	return dialect.Part{Kind: dialect.PartToolUse, ID: "call_" + string(rune('a'+m.calls)), Name: m.word(), Arguments: m.object()}
}

// assistant is what the model said in an earlier turn.
func (m *maker) assistant() []dialect.Part {
	var parts []dialect.Part
	switch m.dialect {
	case dialect.Anthropic:
		parts = append(parts, m.signed()...)
	case dialect.Gemini:
		parts = append(parts, m.geminiThought())
	}
	parts = append(parts, dialect.Part{Kind: dialect.PartText, Text: m.text(), Cache: m.cache(), Citations: m.citations()})
	if m.openai() && m.maybe() {
		parts = append(parts, dialect.Part{Kind: dialect.PartRefusal, Text: m.text()})
	}
	for range m.count(2) {
		parts = append(parts, m.toolUse())
	}
	return parts
}

// signed is thoughts that were signed, and such as cannot be read.
func (m *maker) signed() []dialect.Part {
	var parts []dialect.Part
	if m.maybe() {
		parts = append(parts, dialect.Part{Kind: dialect.PartReasoning, Text: m.text(), Signature: dialect.Inside("c2ln"), Signer: dialect.Anthropic})
	}
	if m.maybe() {
		parts = append(parts, dialect.Part{Kind: dialect.PartReasoning, Redacted: dialect.Inside("b3BhcXVl"), Signer: dialect.Anthropic})
	}
	return parts
}

func (m *maker) citations() []dialect.Citation {
	if !m.anthropic() || !m.maybe() {
		return nil
	}
	quote, title := m.string(), m.string()
	raw, err := json.Marshal(map[string]any{"type": "web_search_result_location", "url": "https://example.com/", "title": title, "cited_text": quote, "encrypted_index": "RQ=="})
	if err != nil {
		m.Fatal(err)
	}
	return []dialect.Citation{{URL: "https://example.com/", Title: title, Quote: dialect.Escape(quote), Dialect: dialect.Anthropic, Raw: raw}}
}

// answer is a whole answer.
func (m *maker) answer() *dialect.Answer {
	a := &dialect.Answer{ID: m.word(), Model: m.word(), HasUsage: true, Finish: pick(m, dialect.FinishStop, dialect.FinishLength, dialect.FinishFilter)}
	count := rapid.Int64Range(0, 1000)
	a.Usage = dialect.Usage{Input: count.Draw(m.T, "input"), CacheRead: count.Draw(m.T, "read"), CacheWrite: count.Draw(m.T, "write"),
		Output: 2000 + count.Draw(m.T, "output"), Reasoning: count.Draw(m.T, "reasoning")}
	if m.gemini() {
		a.Usage.CacheWrite = 0
		a.Parts = append(a.Parts, m.geminiThought())
	}
	if a.Parts = append(a.Parts, m.signed()...); len(a.Parts) == 0 && m.maybe() {
		a.Parts = append(a.Parts, dialect.Part{Kind: dialect.PartReasoning, Text: m.text()})
	}
	if m.maybe() {
		p := dialect.Part{Kind: dialect.PartText, Text: m.text(), Citations: m.citations()}
		if !m.anthropic() && m.maybe() {
			p.Citations = []dialect.Citation{{URL: "https://example.com/", Title: m.string(), Quote: p.Text, End: p.Text.Characters()}}
		}
		a.Parts = append(a.Parts, p)
	}
	if m.openai() && m.maybe() {
		a.Parts = append(a.Parts, dialect.Part{Kind: dialect.PartRefusal, Text: m.text()})
	}
	for range m.count(3) {
		p := m.toolUse()
		if !m.anthropic() && m.maybe() {
			p.Signature, p.Signer = dialect.Inside("Z29vZ2xl"), dialect.Gemini
		}
		a.Parts = append(a.Parts, p)
		a.Finish = dialect.FinishTools
	}
	switch m.dialect {
	case dialect.Anthropic:
		m.anthropicEnd(a)
	case dialect.Gemini:
		m.geminiEnd(a)
	default:
		a.Created = count.Draw(m.T, "created")
	}
	return a
}

// anthropicEnd adds what only Anthropic's answers have.
func (m *maker) anthropicEnd(a *dialect.Answer) {
	switch m.count(3) {
	case 0:
		a.Finish = dialect.FinishPause
	case 1:
		a.Finish, a.StopSequence = dialect.FinishStop, m.string()
	case 2:
		a.Finish = dialect.FinishFilter
		a.Parts = append(a.Parts, dialect.Part{Kind: dialect.PartRefusal, Text: m.text()})
	}
}

// stream gives an answer as events. Tool calls may be open at the same time, with their fragments mixed.
func (m *maker) stream(a *dialect.Answer, yield func(*dialect.Event)) {
	yield(&dialect.Event{Kind: dialect.EventStart, ID: a.ID, Model: a.Model, Created: a.Created})
	var mixed [][]dialect.Event
	for i := range a.Parts {
		p := a.Parts[i]
		text := p.Text
		if p.Kind == dialect.PartToolUse {
			text = dialect.InsideOf(dialect.Quote(nil, p.Arguments))
		}
		start := p
		start.Text, start.Arguments, start.Citations = nil, nil, nil
		if p.Kind == dialect.PartReasoning {
			start.Signature = nil
		}
		events := []dialect.Event{{Kind: dialect.EventPartStart, Part: &start}}
		for piece := range dialect.Pieces(text) {
			events = append(events, dialect.Event{Kind: dialect.EventDelta, Text: piece})
		}
		if p.Kind == dialect.PartReasoning && p.Signature != nil {
			events = append(events, dialect.Event{Kind: dialect.EventSignature, Text: p.Signature, Signer: p.Signer})
		}
		for j := range p.Citations {
			events = append(events, dialect.Event{Kind: dialect.EventCitation, Citation: &p.Citations[j]})
		}
		events = append(events, dialect.Event{Kind: dialect.EventPartEnd})
		for j := range events {
			events[j].Index, events[j].Of = i, p.Kind
		}
		if p.Kind == dialect.PartToolUse {
			yield(&events[0])
			mixed = append(mixed, events[1:])
			continue
		}
		for j := range events {
			yield(&events[j])
		}
	}
	for len(mixed) > 0 {
		i := m.count(len(mixed) - 1)
		yield(&mixed[i][0])
		if mixed[i] = mixed[i][1:]; len(mixed[i]) == 0 {
			mixed = append(mixed[:i], mixed[i+1:]...)
		}
	}
	yield(&dialect.Event{Kind: dialect.EventFinish, Finish: a.Finish, StopSequence: a.StopSequence})
	yield(&dialect.Event{Kind: dialect.EventUsage, Usage: a.Usage, HasUsage: true})
	yield(&dialect.Event{Kind: dialect.EventEnd})
}
