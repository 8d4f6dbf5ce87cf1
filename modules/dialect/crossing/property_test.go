package crossing

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

// each checks a property for every dialect.
func each(t *testing.T, property func(m *maker, codec *dialect.Codec)) {
	for _, codec := range codecs {
		t.Run(string(codec.Name), func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) { property(&maker{T: t, dialect: codec.Name}, codec) })
		})
	}
}

func TestARequestIsReadAsItWasWritten(t *testing.T) {
	each(t, func(m *maker, codec *dialect.Codec) {
		want := m.request()
		body, dropped, fault := codec.EncodeRequest(nil, want, dialect.Policy{})
		if fault != nil || len(dropped) > 0 {
			m.Fatal(fault, dropped)
		}
		if fault := dialect.Check(body); fault != nil {
			m.Fatalf("%v: %s", fault, body)
		}
		got, fault := readAs(codec, body, want)
		if fault != nil {
			m.Fatalf("%v: %s", fault, body)
		}
		if got, want := show(got), show(want); got != want {
			m.Fatalf("%s is read as\n%s\nand was\n%s", body, got, want)
		}
	})
}

func TestAnAnswerIsReadAsItWasWritten(t *testing.T) {
	each(t, func(m *maker, codec *dialect.Codec) {
		want := m.answer()
		body, fault := codec.EncodeAnswer(nil, want)
		if fault != nil {
			m.Fatal(fault)
		}
		got, fault := codec.DecodeAnswer(body)
		if fault != nil {
			m.Fatalf("%v: %s", fault, body)
		}
		if got, want := show(got), show(want); got != want {
			m.Fatalf("%s is read as\n%s\nand was\n%s", body, got, want)
		}
	})
}

func TestAStreamIsReadAsItWasWritten(t *testing.T) {
	each(t, func(m *maker, codec *dialect.Codec) {
		want := m.answer()
		if codec.Name != dialect.Anthropic { // the cited words have passed when the citation comes
			for i := range want.Parts {
				for j := range want.Parts[i].Citations {
					want.Parts[i].Citations[j].Quote = nil
				}
			}
		}
		encoder := codec.NewEncoder(dialect.StreamOptions{IncludeUsage: true})
		var stream []byte
		m.stream(want, func(e *dialect.Event) { stream = encoder.Encode(stream, e) })
		var got assembly
		decode(m, codec, stream, got.add)
		if len(got.faults) > 0 || got.err != nil || !got.ended {
			m.Fatalf("%s has %q, %v", stream, got.faults, got.err)
		}
		if got, want := show(&got.answer), show(want); got != want {
			m.Fatalf("%s is read as\n%s\nand was\n%s", stream, got, want)
		}
	})
}
