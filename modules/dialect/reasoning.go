package dialect

import "strconv"

// Reasoning is how much the model is to think before it answers.
type Reasoning struct {
	// Mode is whether it thinks at all.
	Mode ReasoningMode
	// Effort is one of none, minimal, low, medium, high, xhigh and max; empty where not set.
	Effort string
	// Budget is the most tokens to think with, a number; nil where not set.
	Budget Raw
	// Display is whether the thoughts are wanted: summarized or omitted; empty where not set.
	Display string
}

// ReasoningMode is whether a model thinks.
type ReasoningMode uint8

// The modes. ReasoningUnset leaves it to the provider.
const (
	ReasoningUnset    ReasoningMode = iota
	ReasoningOn                     // as much as the budget says
	ReasoningAdaptive               // as much as the model finds right
	ReasoningOff
)

// Bounds between efforts, in tokens, and the budgets that stand for them. They are those that Google documents
// for its own OpenAI-compatible surface, https://ai.google.dev/gemini-api/docs/openai; nobody else tells any.
const (
	lowBudget    = 1024
	mediumBudget = 8192
	highBudget   = 24576
)

// EffortOf is the effort that is nearest to a budget in tokens.
func EffortOf(budget float64) string {
	switch {
	case budget <= 0:
		return "none"
	case budget < (lowBudget+mediumBudget)/2:
		return "low"
	case budget < (mediumBudget+highBudget)/2:
		return "medium"
	}
	return "high"
}

// BudgetOf is a budget in tokens for an effort; nil where the effort has none.
func BudgetOf(effort string) Raw {
	switch effort {
	case "minimal", "low":
		return strconv.AppendInt(nil, lowBudget, 10)
	case "medium":
		return strconv.AppendInt(nil, mediumBudget, 10)
	case "high", "xhigh", "max":
		return strconv.AppendInt(nil, highBudget, 10)
	}
	return nil
}
