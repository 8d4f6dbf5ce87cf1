package responses

import (
	"strconv"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

// teller writes the events of one stream, numbered, of an item and a part of it at a time.
type teller struct {
	sequence int64
	id       []byte // of the item at hand, with quotes
	item     int    // its index
	part     int    // index of the part at hand
}

// wording is how the events of one kind of text are called.
type wording struct {
	delta, done string
	index       string // of the part; none for an item that is all text
	member      string // of the whole text
	logprobs    bool
}

var (
	wordsOfText      = wording{"response.output_text.delta", "response.output_text.done", "content_index", "text", true}
	wordsOfRefusal   = wording{"response.refusal.delta", "response.refusal.done", "content_index", "refusal", false}
	wordsOfSummary   = wording{"response.reasoning_summary_text.delta", "response.reasoning_summary_text.done", "summary_index", "text", false}
	wordsOfArguments = wording{"response.function_call_arguments.delta", "response.function_call_arguments.done", "", "arguments", false}
)

// begin begins an event.
func (t *teller) begin(dst []byte, kind string) []byte {
	dst = append(append(dst, "event: "...), kind...)
	dst = append(append(dst, "\ndata: {\"type\":\""...), kind...)
	dst = strconv.AppendInt(append(dst, `","sequence_number":`...), t.sequence, 10)
	t.sequence++
	return dst
}

func end(dst []byte) []byte { return append(dst, "}\n\n"...) }

// answer tells an answer as it stands.
func (t *teller) answer(dst []byte, kind string, answer []byte) []byte {
	return end(append(append(t.begin(dst, kind), `,"response":`...), answer...))
}

// beginItem tells that an item begins, itemDone what it came to.
func (t *teller) beginItem(dst, item []byte) []byte {
	t.part = 0
	return t.whole(dst, "response.output_item.added", item)
}

func (t *teller) itemDone(dst, item []byte) []byte {
	dst = t.whole(dst, "response.output_item.done", item)
	t.item++
	return dst
}

func (t *teller) whole(dst []byte, kind string, item []byte) []byte {
	dst = strconv.AppendInt(append(t.begin(dst, kind), `,"output_index":`...), int64(t.item), 10)
	return end(append(append(dst, `,"item":`...), item...))
}

// within begins an event of the part at hand, or of the item where index is empty.
func (t *teller) within(dst []byte, kind, index string) []byte {
	dst = append(append(t.begin(dst, kind), `,"item_id":`...), t.id...)
	dst = strconv.AppendInt(append(dst, `,"output_index":`...), int64(t.item), 10)
	if index != "" {
		dst = append(append(append(dst, `,"`...), index...), `":`...)
		dst = strconv.AppendInt(dst, int64(t.part), 10)
	}
	return dst
}

// content tells that a part of a message begins or what it came to.
func (t *teller) content(dst []byte, kind string, part []byte) []byte {
	return end(append(append(t.within(dst, kind, "content_index"), `,"part":`...), part...))
}

// summary tells that a part of a summary begins or what it came to.
func (t *teller) summary(dst []byte, kind string, part []byte) []byte {
	return end(append(append(t.within(dst, kind, "summary_index"), `,"part":`...), part...))
}

// delta tells a fragment of a text.
func (t *teller) delta(dst []byte, w *wording, fragment dialect.Inside) []byte {
	return t.text(t.within(dst, w.delta, w.index), w, "delta", fragment)
}

// textDone tells a whole text.
func (t *teller) textDone(dst []byte, w *wording, text dialect.Inside) []byte {
	return t.text(t.within(dst, w.done, w.index), w, w.member, text)
}

func (t *teller) text(dst []byte, w *wording, member string, text dialect.Inside) []byte {
	if w.logprobs {
		dst = append(dst, `,"logprobs":[]`...)
	}
	return end(text.Quote(append(append(append(dst, `,"`...), member...), `":`...)))
}

// annotation tells the n-th thing that a text cites.
func (t *teller) annotation(dst []byte, n int, annotation []byte) []byte {
	dst = t.within(dst, "response.output_text.annotation.added", "content_index")
	dst = strconv.AppendInt(append(dst, `,"annotation_index":`...), int64(n), 10)
	return end(append(append(dst, `,"annotation":`...), annotation...))
}
