package dialect

// Answer is a whole answer in the neutral form. It refers into the provider's body.
type Answer struct {
	ID      string
	Model   string
	Created int64 // Unix seconds; zero where the provider does not tell, and the caller sets it
	Parts   []Part
	Finish  Finish
	// StopSequence is the client's own sequence that ended the answer, where the provider tells.
	StopSequence string
	Usage        Usage
	HasUsage     bool
	Logprobs     Raw // as OpenAI has them
	// Asked is the client's request, for dialects whose answers repeat parts of it; nil where unknown.
	Asked Raw
}

// Finish is why an answer ended.
type Finish uint8

// The reasons. FinishUnknown is one that a provider gave and we do not know; it counts as FinishStop.
const (
	FinishNone   Finish = iota // it has not ended
	FinishStop                 // it is done, or met a stop sequence
	FinishLength               // a bound on tokens cut it
	FinishTools                // tools are to be called
	FinishFilter               // the provider withheld it
	FinishPause                // the provider wants the answer back, to go on
	FinishError                // the provider failed within it
	FinishUnknown
)
