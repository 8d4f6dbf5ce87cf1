package dialect

import "strconv"

// PartKind is what a part of a turn is.
type PartKind uint8

// The kinds of part. Each says which members of a Part it has beside Place and Cache.
const (
	PartText       PartKind = iota + 1 // Text, Citations, perhaps Signature
	PartImage                          // Source, Detail
	PartAudio                          // Source
	PartFile                           // Source, Title, Context, Cite: a document, a recording, anything with a media type
	PartToolUse                        // ID, Name, Arguments, perhaps Signature
	PartToolResult                     // ID, Name where the dialect has it, Result, Failed
	PartReasoning                      // Text and Signature, or Redacted
	PartRefusal                        // Text
	PartOpaque                         // Raw: what the dialect Signer alone understands
)

// Part is one piece of a turn or of an answer.
type Part struct {
	Kind  PartKind
	Place Place // where the client's body has it, for errors
	Cache Cache // the prompt up to and with this part is worth caching

	Text      Inside
	Citations []Citation

	Source  Source
	Detail  string // how closely to look at an image: low, high, auto
	Title   string // a file's name
	Context Inside // what the model shall know of a file beside its content
	Cite    bool   // the answer shall cite from this file

	ID   string // of a tool's use, which its result repeats
	Name string // of the tool
	// Arguments is a JSON object. In an answer that was cut it may be the beginning of one.
	Arguments Raw
	Result    []Part // texts, images and files
	Failed    bool   // the result tells of an error

	// Signature is what a provider proves a part's origin with, and wants back as it was. Signer is the dialect
	// that it is for, or that Redacted, Raw or the id of an upload is for; no other may be sent it.
	Signature Inside
	Signer    Name
	// Redacted is reasoning that only the provider can read. It is there in place of a text.
	Redacted Inside

	Raw Raw
}

// SourceKind is where the content of an image or a file is.
type SourceKind uint8

// The kinds of source.
const (
	SourceInline SourceKind = iota + 1 // Data is base64
	SourceText                         // Data is plain text
	SourceURL                          // Data is an address
	SourceID                           // Data is the id of an upload to the provider
)

// Source is the content of an image or a file.
type Source struct {
	Kind      SourceKind
	MediaType string // empty where unknown
	Data      Inside
}

// Cache marks the end of a part of the prompt that will come again: empty where there is no mark, CacheDefault,
// or a time to live as the client wrote it, such as 5m or 1h.
type Cache string

// CacheDefault is a mark with the provider's own time to live.
const CacheDefault Cache = "default"

// Citation tells what a text rests on. Dialects agree on little here, so that beside what they share there is
// the citation as its own dialect has it.
type Citation struct {
	URL, Title string
	Quote      Inside // the words that are cited
	// Start and End are the characters of the text that the citation is for; both zero for all of it.
	Start, End int
	Dialect    Name // whose Raw is
	Raw        Raw
}

// Place is where something is in the client's body: an element of the array Root and, where List is not empty,
// an element of that member of it. It costs nothing until an error needs it as text.
type Place struct {
	Root  string
	Turn  int
	List  string
	Index int
}

// String spells the place as a path, as in messages.3.content.0.
func (p Place) String() string {
	path := append([]byte(p.Root), '.')
	path = strconv.AppendInt(path, int64(p.Turn), 10)
	if p.List != "" {
		path = append(append(append(path, '.'), p.List...), '.')
		path = strconv.AppendInt(path, int64(p.Index), 10)
	}
	return string(path)
}

// Member spells the place of a member of what is there.
func (p Place) Member(name string) string { return p.String() + "." + name }
