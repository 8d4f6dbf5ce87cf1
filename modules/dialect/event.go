package dialect

// EventKind is what an Event tells.
type EventKind uint8

// The kinds of event, in the order of a stream, and the members of an Event that each has.
//
// Parts may be open at the same time, and their deltas mixed, as some providers send them; see Sequencer.
const (
	EventStart     EventKind = iota + 1 // ID, Model, Created; Usage where HasUsage
	EventPartStart                      // Index, Part
	EventDelta                          // Index, Of, Text: more of the part's text, or of a tool's arguments
	EventSignature                      // Index, Of, Text: more of the part's signature, Signer
	EventCitation                       // Index, Of, Citation
	EventPartEnd                        // Index, Of
	EventFinish                         // Finish, StopSequence
	EventUsage                          // Usage of the whole answer so far
	EventError                          // Err: nothing follows
	EventEnd                            // the answer is complete: nothing follows
)

// Event is one step of an answer that arrives in pieces. A decoder uses one Event again and again: it and all
// that it refers to is valid until the function that it was given to returns.
type Event struct {
	Kind EventKind

	ID, Model string
	Created   int64

	Index int      // of the part, from 0 on without a gap in the order in which parts start
	Of    PartKind // the part's kind
	// Part is what is known of a part from its start: its kind, a tool's id and name, redacted reasoning, what
	// is opaque. What deltas bring is not in it.
	Part *Part
	// Text is a fragment of the inside of a JSON string. It may end in the middle of a pair of surrogates, but
	// not of an escape or a character.
	Text     Inside
	Signer   Name
	Citation *Citation

	Finish       Finish
	StopSequence string
	Usage        Usage
	HasUsage     bool
	Err          *Error
}
