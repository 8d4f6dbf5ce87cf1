package openai

import "github.com/caddy-llm/caddy-llm/modules/dialect"

// streamCall is a tool call that has begun.
type streamCall struct {
	index   int // the server's
	part    int // index of the part; -1 as long as its name has not come
	id      string
	early   dialect.Inside // arguments that came before the name
	balance balance
	open    bool
}

// call gives a fragment of a tool call.
func (d *Decoder) call(fragment []byte) {
	var id, name string
	var arguments, signature dialect.Inside
	for member, value := range dialect.Members(fragment) {
		switch string(member) {
		case "id":
			id, _ = dialect.Text(value)
		case "extra_content":
			signature = thoughtSignature(value)
		case "function":
			for member, value := range dialect.Members(value) {
				switch string(member) {
				case "name":
					name, _ = dialect.Text(value)
				case "arguments":
					arguments = dialect.InsideOf(value)
				}
			}
		}
	}
	c := d.callOf(fragment, id)
	if c == nil {
		return
	}
	if c.id == "" {
		c.id = id
	}
	if c.part < 0 {
		if name == "" {
			c.early = append(c.early, arguments...)
			return
		}
		d.startCall(c, name, signature)
	}
	d.arguments(c, arguments)
}

// callOf finds or makes the call that a fragment belongs to; nil where its index is out of bounds.
func (d *Decoder) callOf(fragment []byte, id string) *streamCall {
	index, has, err := indexOf(fragment, maxCallIndex)
	if err != nil {
		return nil
	}
	if !has {
		index = d.impliedIndex(id)
	}
	for i := range d.calls {
		if d.calls[i].index == index {
			return &d.calls[i]
		}
	}
	if len(d.calls) == maxCallIndex {
		return nil
	}
	d.calls = append(d.calls, streamCall{index: index, part: -1})
	return &d.calls[len(d.calls)-1]
}

// impliedIndex is the index of a fragment that has none, as from servers that send calls whole: a new one where
// it has an id of its own, else the last.
func (d *Decoder) impliedIndex(id string) int {
	last := len(d.calls) - 1
	if last < 0 {
		return 0
	}
	if id == "" {
		return d.calls[last].index
	}
	for i := range d.calls {
		if d.calls[i].id == id {
			return d.calls[i].index
		}
	}
	return d.calls[last].index + 1
}

func (d *Decoder) startCall(c *streamCall, name string, signature dialect.Inside) {
	d.closeText()
	if c.id == "" {
		c.id = madeID(d.id, c.index)
	}
	part := dialect.Part{Kind: dialect.PartToolUse, ID: c.id, Name: name}
	if signature != nil {
		part.Signature, part.Signer = signature, dialect.Gemini
	}
	c.part, c.open = d.next, true
	d.startPart(part)
	early := c.early
	c.early = nil
	d.arguments(c, early)
}

// arguments gives a fragment of a call's arguments, and ends the call with the last of them, so that the next
// one need not wait where parts must follow each other.
func (d *Decoder) arguments(c *streamCall, fragment dialect.Inside) {
	if len(fragment) == 0 || !c.open {
		return
	}
	d.fragment(c.part, dialect.PartToolUse, fragment)
	if c.balance.add(fragment); c.balance.complete {
		c.open = false
		d.endPart(c.part, dialect.PartToolUse)
	}
}
