package dialect

// DefaultMaxTokens is a bound on the tokens of an answer that every model of today can keep.
const DefaultMaxTokens = 4096

// Policy is what an encoder of requests may decide.
type Policy struct {
	// Drop leaves out what the dialect cannot express, in place of refusing the call.
	Drop bool
	// MaxTokens is the bound for a dialect that needs one, where the client set none; zero for DefaultMaxTokens.
	MaxTokens int64
	// PromptSchemas asks in the prompt for an answer by a schema that the dialect's server would refuse, where the client does not
	// insist on a strict one.
	PromptSchemas bool
	// KeepReasoning sends earlier reasoning back as plain text to servers that want it, where it is not signed.
	KeepReasoning bool
	// BudgetReasoning asks for thoughts by a budget in tokens, as models want that know no effort.
	BudgetReasoning bool
}

// Gaps judges what an encoder of requests cannot express. It is refused with the client's own name for it or,
// where the policy says so, left out and noted. Things that change nothing of what a client gets to read, such
// as hints to caches, are no gaps: encoders leave them out without a word.
type Gaps struct {
	request *Request
	target  Name
	drop    bool
	dropped []string
	err     *Error
}

// NewGaps begins with what already the neutral form has no place for.
func NewGaps(r *Request, target Name, p Policy) *Gaps {
	g := &Gaps{request: r, target: target, drop: p.Drop}
	for _, field := range r.Unmet {
		g.Field(field, "")
	}
	return g
}

// Param is a parameter that cannot be expressed. advice says what to do about it; empty for the usual.
func (g *Gaps) Param(p Param, advice string) { g.Field(g.request.Name(p), advice) }

// Part is a part that cannot be expressed.
func (g *Gaps) Part(p *Part, advice string) { g.Field(p.Place.String(), advice) }

// Field is a field of the client's that cannot be expressed.
func (g *Gaps) Field(field, advice string) {
	if g.drop {
		g.dropped = append(g.dropped, field)
		return
	}
	if g.err != nil {
		return
	}
	if advice == "" {
		advice = "leave it out or ask another model"
	}
	g.err = Errorf(InvalidRequest, "%s cannot be sent to this model, whose API is in %s's format: %s", field, g.target, advice)
	g.err.Field, g.err.Code = field, "unsupported_parameter"
}

// Result is the fields that were left out and the first one that was refused.
func (g *Gaps) Result() (dropped []string, err *Error) { return g.dropped, g.err }
