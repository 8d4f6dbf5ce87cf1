package gemini

import (
	"strings"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

// config reads the member generationConfig.
func (d *requestDecoder) config(value []byte) *dialect.Error {
	if value[0] != '{' {
		return dialect.Mistyped("generationConfig", "an object")
	}
	r := d.r
	var media string
	var schema dialect.Raw
	for name, value := range fields(value) {
		field := "generationConfig." + string(name)
		var err *dialect.Error
		switch string(name) {
		case "maxOutputTokens":
			err = readNumber(&r.MaxTokens, field, value)
		case "temperature":
			err = readNumber(&r.Sampling.Temperature, field, value)
		case "topP":
			err = readNumber(&r.Sampling.TopP, field, value)
		case "topK":
			err = readNumber(&r.Sampling.TopK, field, value)
		case "seed":
			err = readNumber(&r.Sampling.Seed, field, value)
		case "frequencyPenalty":
			err = readNumber(&r.Sampling.FrequencyPenalty, field, value)
		case "presencePenalty":
			err = readNumber(&r.Sampling.PresencePenalty, field, value)
		case "stopSequences":
			err = d.stop(field, value)
		case "responseMimeType":
			err = readText(&media, field, value)
		case "responseSchema":
			schema = schemaOf(value)
		case "responseJsonSchema":
			schema = value
		case "thinkingConfig":
			err = d.thinking(value)
		default:
			if !idle(name, value) {
				d.unmet(field)
			}
		}
		if err != nil {
			return err
		}
	}
	switch media {
	case "", "text/plain":
	case "application/json":
		r.Format.Kind = dialect.FormatJSON
		if schema != nil {
			r.Format = dialect.Format{Kind: dialect.FormatSchema, Schema: schema}
		}
	default:
		d.unmet("generationConfig.responseMimeType")
	}
	return nil
}

func (d *requestDecoder) stop(field string, value []byte) *dialect.Error {
	if value[0] != '[' {
		return dialect.Mistyped(field, "an array of strings")
	}
	for element := range dialect.Elements(value) {
		text, ok := dialect.Text(element)
		if !ok {
			return dialect.Mistyped(field, "an array of strings")
		}
		d.r.Stop = append(d.r.Stop, text)
	}
	return nil
}

// thinking reads how much the model is to think. Thoughts are told only to who asks for them.
func (d *requestDecoder) thinking(value []byte) *dialect.Error {
	const field = "generationConfig.thinkingConfig"
	r := &d.r.Reasoning
	told := false
	for name, value := range fields(value) {
		switch string(name) {
		case "includeThoughts":
			told = string(value) == "true"
		case "thinkingBudget":
			if err := readNumber(&r.Budget, field+".thinkingBudget", value); err != nil {
				return err
			}
		case "thinkingLevel":
			if err := readText(&r.Effort, field+".thinkingLevel", value); err != nil {
				return err
			}
			if r.Effort = strings.ToLower(r.Effort); r.Effort == "thinking_level_unspecified" {
				r.Effort = ""
			}
		default:
			if !idle(name, value) {
				d.unmet(field + "." + string(name))
			}
		}
	}
	switch budget, set := r.Budget.Number(); {
	case set && budget == 0:
		r.Mode, r.Budget = dialect.ReasoningOff, nil
	case set && budget > 0:
		r.Mode = dialect.ReasoningOn
	case set, r.Effort != "":
		r.Mode, r.Budget = dialect.ReasoningAdaptive, nil
	}
	switch thinks := r.Mode == dialect.ReasoningOn || r.Mode == dialect.ReasoningAdaptive; {
	case thinks && !told:
		r.Display = "omitted"
	case told && r.Mode == dialect.ReasoningUnset:
		r.Display = "summarized"
	}
	return nil
}
