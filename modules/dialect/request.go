package dialect

// Request is a chat call in the neutral form, between the dialect that a client speaks and the one that a
// provider speaks. What it holds refers into the client's body, which must stay as it is for as long.
type Request struct {
	Model  string
	System []Part // texts
	Turns  []Turn

	Tools  []Tool
	Choice ToolChoice
	Format Format

	MaxTokens Raw // a number; nil where the client set no bound
	Stop      []string
	Sampling  Sampling
	Reasoning Reasoning

	// Cache marks the whole prompt, wherever the provider finds best.
	Cache Cache
	// User is the client's own name for the person that it asks for, Metadata what else it wants to be kept
	// with the call. Both may be left out.
	User     string
	Metadata Raw

	// Stream says that the answer is wanted as events, IncludeUsage that one of them is to tell the usage.
	Stream       bool
	IncludeUsage bool

	// Names is how the client's dialect calls the parameters, for errors; nil for the neutral names.
	Names *ParamNames
	// Unmet are the client's fields that mean something and that the neutral form has no place for.
	Unmet []string
}

// Role is who speaks in a turn.
type Role uint8

// The roles. Results of tools are the user's.
const (
	RoleUser Role = iota + 1
	RoleAssistant
)

// Turn is what one side said. Turns of one role may follow each other.
type Turn struct {
	Role  Role
	Parts []Part
}

// Sampling is how the next token is chosen. Numbers are kept as they are written; nil means not set.
type Sampling struct {
	Temperature, TopP, TopK           Raw
	Seed                              Raw
	FrequencyPenalty, PresencePenalty Raw
	Choices                           Raw // how many answers are wanted
	Logprobs                          bool
	TopLogprobs                       Raw
}

// FormatKind is what the text of an answer must be.
type FormatKind uint8

// The kinds of format.
const (
	FormatText   FormatKind = iota // anything
	FormatJSON                     // any JSON object
	FormatSchema                   // an instance of a JSON Schema
)

// Format is what the text of an answer must be.
type Format struct {
	Kind        FormatKind
	Name        string // a label for the schema
	Description Inside
	Schema      Raw
	Strict      Flag
}

// Flag is a switch that a client may leave alone.
type Flag uint8

// The states of a Flag.
const (
	Unset Flag = iota
	On
	Off
)

// FlagOf reads true and false; all else is Unset.
func FlagOf(value []byte) Flag {
	switch string(value) {
	case "true":
		return On
	case "false":
		return Off
	}
	return Unset
}
