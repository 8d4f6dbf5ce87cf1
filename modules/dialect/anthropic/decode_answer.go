package anthropic

import (
	"errors"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

// DecodeAnswer reads a whole message into the neutral form.
func DecodeAnswer(body []byte) (*dialect.Answer, *dialect.Error) {
	if err := dialect.Check(body); err != nil {
		return nil, dialect.Unreadable(err)
	}
	a := &dialect.Answer{}
	kind, hasContent := "", false
	var refusal dialect.Inside
	for name, value := range dialect.Members(body) {
		switch string(name) {
		case "type":
			kind, _ = dialect.Text(value)
		case "id":
			a.ID, _ = dialect.Text(value)
		case "model":
			a.Model, _ = dialect.Text(value)
		case "content":
			hasContent = value[0] == '['
			for block := range dialect.Elements(value) {
				a.Parts = append(a.Parts, decodeAnswerBlock(block))
			}
		case "stop_reason":
			a.Finish = finishOf(value)
		case "stop_sequence":
			a.StopSequence, _ = dialect.Text(value)
		case "stop_details":
			refusal = explanation(value)
		}
	}
	if kind == "error" || !hasContent {
		return nil, dialect.Unreadable(errors.New("the answer is no message"))
	}
	if len(refusal) > 0 {
		a.Parts = append(a.Parts, dialect.Part{Kind: dialect.PartRefusal, Text: refusal})
	}
	a.Usage, a.HasUsage = UsageOf(body)
	return a, nil
}

// decodeAnswerBlock reads a content block of an answer. One that we do not know is opaque.
func decodeAnswerBlock(raw []byte) dialect.Part {
	part := decodeKnown(readBlock(raw))
	if part.Kind == 0 {
		return dialect.Part{Kind: dialect.PartOpaque, Signer: dialect.Anthropic, Raw: raw}
	}
	return part
}

// explanation is why the model refused, in the words of stop_details.
func explanation(details []byte) dialect.Inside {
	for name, value := range dialect.Members(details) {
		if string(name) == "explanation" {
			return dialect.InsideOf(value)
		}
	}
	return nil
}
