package crossing

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

// show spells what a neutral value means, so that two that mean the same are the same text: escapes are decoded,
// places and the names of results left out, JSON is compacted, turns of one role that follow each other are one, and a schema that has
// the name of those without one has none.
func show(v any) string {
	var b strings.Builder
	switch v := v.(type) {
	case *dialect.Request:
		fmt.Fprintf(&b, "model %q max %s stop %q cache %q user %q metadata %s stream %v usage %v\n", v.Model, v.MaxTokens, v.Stop, v.Cache, v.User, compact(v.Metadata), v.Stream, v.IncludeUsage)
		s := v.Sampling
		fmt.Fprintf(&b, "sampling %s %s %s seed %s penalties %s %s n %s logprobs %v %s\n", s.Temperature, s.TopP, s.TopK, s.Seed, s.FrequencyPenalty, s.PresencePenalty, s.Choices, s.Logprobs, s.TopLogprobs)
		effort := v.Reasoning.Effort
		if v.Reasoning.Mode == dialect.ReasoningOff && effort == "none" {
			effort = "" // says the same twice
		}
		fmt.Fprintf(&b, "reasoning %d %q %s %q\n", v.Reasoning.Mode, effort, v.Reasoning.Budget, v.Reasoning.Display)
		fmt.Fprintf(&b, "format %d %q %q %s strict %d\n", v.Format.Kind, strings.TrimPrefix(v.Format.Name, "answer"), v.Format.Description, compact(v.Format.Schema), v.Format.Strict)
		for _, t := range v.Tools {
			fmt.Fprintf(&b, "tool %q %q %s strict %d cache %q\n", t.Name, t.Description, compact(t.Schema), t.Strict, t.Cache)
		}
		fmt.Fprintf(&b, "choice %+v unmet %q\nsystem\n", v.Choice, v.Unmet)
		showParts(&b, v.System, "  ")
		role := dialect.Role(0)
		for _, turn := range v.Turns {
			if turn.Role != role {
				role = turn.Role
				fmt.Fprintf(&b, "turn %d\n", role)
			}
			showParts(&b, turn.Parts, "  ")
		}
	case *dialect.Answer:
		fmt.Fprintf(&b, "id %q model %q created %d finish %d stop %q usage %v %+v logprobs %s\n", v.ID, v.Model, v.Created, v.Finish, v.StopSequence, v.HasUsage, v.Usage, compact(v.Logprobs))
		showParts(&b, v.Parts, "  ")
	}
	return b.String()
}

func showParts(b *strings.Builder, parts []dialect.Part, indent string) {
	for _, p := range parts {
		name := p.Name
		if p.Kind == dialect.PartToolResult {
			name = "" // which the call has too
		}
		fmt.Fprintf(b, "%s%d cache %q text %q detail %q title %q context %q cite %v id %q name %q args %s failed %v", indent,
			p.Kind, p.Cache, p.Text, p.Detail, p.Title, p.Context, p.Cite, p.ID, name, compact(p.Arguments), p.Failed)
		fmt.Fprintf(b, " source %d %q %q signed %q by %q redacted %q raw %s\n", p.Source.Kind, p.Source.MediaType, p.Source.Data, p.Signature, p.Signer, p.Redacted, compact(p.Raw))
		for _, c := range p.Citations {
			fmt.Fprintf(b, "%s  cites %q %q %q\n", indent, c.URL, c.Title, c.Quote)
		}
		showParts(b, p.Result, indent+"    ")
	}
}

func compact(raw []byte) string {
	var b bytes.Buffer
	if json.Compact(&b, raw) != nil {
		return string(raw)
	}
	return b.String()
}
