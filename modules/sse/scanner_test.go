package sse

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"
)

// event is what a scanner says of one event.
type event struct {
	typ, data string
	hasData   bool
	complete  bool
}

func scan(r io.Reader, max int) (events []event, raw []byte, err error) {
	s := NewScanner(r, max)
	for s.Next() {
		events = append(events, event{string(s.Type()), string(s.Data()), s.HasData(), s.Complete()})
		raw = append(raw, s.Event()...)
	}
	return events, raw, s.Err()
}

func data(text string) event { return event{data: text, hasData: true, complete: true} }

var streams = []struct {
	name, stream string
	want         []event
}{
	{"nothing", "", nil},
	{"blank lines only", "\n\r\n\r", nil},
	{"two events", "data: a\n\ndata: b\n\n", []event{data("a"), data("b")}},
	{"CRLF", "data: a\r\n\r\ndata: b\r\n\r\n", []event{data("a"), data("b")}},
	{"CR", "data: a\r\rdata: b\r\r", []event{data("a"), data("b")}},
	{"all line endings", "event: x\r\ndata: a\rdata: b\ndata: c\r\r\ndata: d\n\r\n", []event{{"x", "a\nb\nc", true, true}, data("d")}},
	{"a byte order mark", "\ufeffdata: a\n\n\ufeffdata: b\n\n", []event{data("a"), {complete: true}}},
	{"a byte order mark before a blank line", "\ufeff\ndata: a\n\n", []event{data("a")}},
	{"one line with a byte order mark", "\ufeffdata: a", []event{{data: "a", hasData: true}}},
	{"a type", "event: message_start\ndata: {}\n\n", []event{{"message_start", "{}", true, true}}},
	{"the last type counts", "event: a\nevent: b\ndata: c\n\ndata: d\n\n", []event{{"b", "c", true, true}, data("d")}},
	{"one space only is taken off", "data:a\n\ndata:  b \n\ndata:\tc\n\n", []event{data("a"), data(" b "), data("\tc")}},
	{"colons in the value", "data: a:b: c\n\n", []event{data("a:b: c")}},
	{"several lines", "data: a\ndata:\ndata: b\ndata: c\n\n", []event{data("a\n\nb\nc")}},
	{"empty data", "data\n\ndata:\n\ndata: \n\ndata\ndata\n\n", []event{data(""), data(""), data(""), data("\n")}},
	{"a comment", ": ping\n\n:\n\ndata: a\n: in between\ndata: b\n\n", []event{{complete: true}, {complete: true}, data("a\nb")}},
	{"a type without data", "event: ping\n\n", []event{{typ: "ping", complete: true}}},
	{"fields that we do not use", "id: 1\nretry: 5\nfoo: bar\ndata: a\n\n", []event{data("a")}},
	{"names that only resemble", "Data: a\n data: b\ndatax: c\n\n", []event{{complete: true}}},
	{"more blank lines", "\n\ndata: a\n\n\n\n\ndata: b\n\n\n", []event{data("a"), data("b")}},
	{"no blank line at the end", "data: a\n\ndata: [DONE]\n", []event{data("a"), {data: "[DONE]", hasData: true}}},
	{"no line ending at the end", "data: a\n\ndata: [DONE]", []event{data("a"), {data: "[DONE]", hasData: true}}},
	{"a cut field name", "data: a\n\ndat", []event{data("a"), {}}},
	{"NUL and bytes that are no UTF-8", "data: \x00\xff\n\n", []event{data("\x00\xff")}},
}

func TestScannerReadsEvents(t *testing.T) {
	for _, tt := range streams {
		t.Run(tt.name, func(t *testing.T) {
			events, raw, err := scan(strings.NewReader(tt.stream), 1<<20)
			if err != nil || !reflect.DeepEqual(events, tt.want) {
				t.Errorf("events = %+v, %v\n  want %+v", events, err, tt.want)
			}
			if !strings.HasPrefix(tt.stream, string(raw)) || strings.Trim(tt.stream[len(raw):], "\r\n") != "" && tt.stream[len(raw):] != "\ufeff" {
				t.Errorf("raw = %q, want %q", raw, tt.stream)
			}
		})
	}
}

func TestScannerFindsTheSameEventsWhereverTheStreamIsCut(t *testing.T) {
	for _, tt := range streams {
		readers := map[string]io.Reader{
			"one byte at a time":     iotest.OneByteReader(strings.NewReader(tt.stream)),
			"with the error at once": iotest.DataErrReader(strings.NewReader(tt.stream)),
		}
		for cut := range len(tt.stream) {
			readers[fmt.Sprint("cut at ", cut)] = io.MultiReader(strings.NewReader(tt.stream[:cut]), strings.NewReader(tt.stream[cut:]))
		}
		for how, r := range readers {
			if events, _, err := scan(r, 1<<20); err != nil || !reflect.DeepEqual(events, tt.want) {
				t.Errorf("%s, %s: events = %+v, %v\n  want %+v", tt.name, how, events, err, tt.want)
			}
		}
	}
}

// source is a reader that gives what it is told to, and fails the test where it is asked for more.
type source struct {
	t      *testing.T
	chunks []string
}

func (s *source) Read(p []byte) (int, error) {
	if len(s.chunks) == 0 {
		s.t.Fatal("the scanner waits for bytes that it does not need")
	}
	n := copy(p, s.chunks[0])
	s.chunks = s.chunks[1:]
	return n, nil
}

func TestScannerGivesAnEventAsSoonAsItsBlankLineIsThere(t *testing.T) {
	for _, ending := range []string{"\n", "\r", "\r\n"} {
		src := &source{t: t}
		s := NewScanner(src, 1<<20)
		for range 3 {
			src.chunks = []string{"data: a", ending, ending}
			if !s.Next() || string(s.Data()) != "a" || !s.Complete() {
				t.Fatalf("ending %q: Data = %q, %v", ending, s.Data(), s.Err())
			}
		}
		src.chunks = []string{"data: b" + ending + ending + ": c" + ending + ending}
		if !s.Next() || string(s.Data()) != "b" || !s.Next() || s.HasData() {
			t.Fatalf("ending %q: the second event of a read is missing", ending)
		}
	}
}

func TestScannerPassesACutCRLFOnWithTheNextEvent(t *testing.T) {
	src := &source{t: t, chunks: []string{"data: a\r\n\r"}}
	s := NewScanner(src, 1<<20)
	if !s.Next() || string(s.Event()) != "data: a\r\n\r" {
		t.Fatalf("Event = %q", s.Event())
	}
	src.chunks = []string{"\ndata: b\r\n\r\n"}
	if !s.Next() || string(s.Event()) != "\ndata: b\r\n\r\n" || string(s.Data()) != "b" {
		t.Fatalf("Event = %q", s.Event())
	}
}

func TestScannerReportsAReadErrorAfterTheEventsBeforeIt(t *testing.T) {
	broken := errors.New("connection reset")
	r := iotest.DataErrReader(io.MultiReader(strings.NewReader("data: a\n\ndata: b\n\ndata: c\n"), iotest.ErrReader(broken)))
	events, _, err := scan(r, 1<<20)
	if want := []event{data("a"), data("b")}; !reflect.DeepEqual(events, want) || !errors.Is(err, broken) {
		t.Errorf("events = %+v, %v", events, err)
	}
}

type idle struct{}

func (idle) Read([]byte) (int, error) { return 0, nil }

func TestScannerGivesUpOnAReaderThatGivesNothing(t *testing.T) {
	if _, _, err := scan(idle{}, 1<<20); !errors.Is(err, io.ErrNoProgress) {
		t.Errorf("Err = %v", err)
	}
}

// endless repeats its text for ever.
type endless string

func (e endless) Read(p []byte) (int, error) {
	n := 0
	for n+len(e) <= len(p) {
		n += copy(p[n:], e)
	}
	return max(n, copy(p, e)), nil
}

func TestScannerHoldsNoMoreThanOneEvent(t *testing.T) {
	const most = 10_000
	for _, text := range []string{"x", "data: a\n", "\n", ": c\r"} {
		s := NewScanner(endless(text), most)
		if s.Next() || s.Err() != ErrTooLong {
			t.Errorf("%q without end: Err = %v", text, s.Err())
		}
		if held := cap(s.buf) + cap(s.joined); held > 3*most {
			t.Errorf("%q without end: holds %d bytes", text, held)
		}
	}
	fits := "data: " + strings.Repeat("x", most-8) + "\n\n"
	if events, _, err := scan(strings.NewReader(fits+fits), most); len(events) != 2 || err != nil {
		t.Errorf("events of the greatest length: %d, %v", len(events), err)
	}
	if events, _, err := scan(strings.NewReader("data: x"+fits[6:]), most); len(events) != 0 || err != ErrTooLong {
		t.Errorf("an event one byte too long: %d events, %v", len(events), err)
	}
}

func TestScannerDoesNotAllocatePerEvent(t *testing.T) {
	s := NewScanner(endless("event: a\ndata: {\"b\":1}\n\ndata: c\ndata: d\r\n\r\n: e\n\n"), 1<<20)
	for range 100 {
		s.Next()
	}
	if n := testing.AllocsPerRun(1000, func() {
		if !s.Next() {
			t.Fatal(s.Err())
		}
		_, _, _ = s.Event(), s.Type(), s.Data()
	}); n != 0 {
		t.Errorf("%v allocations for an event", n)
	}
}

func TestAppendedEventsAreReadBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringOf(rapid.RuneFrom([]rune("ab: \n\ré"))).Draw(t, "data")
		typ := rapid.StringOf(rapid.RuneFrom([]rune("ab:é"))).Draw(t, "type")
		lines := strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(text)
		stream := AppendEvent(AppendData(nil, []byte(text)), typ, []byte(text))
		events, raw, err := scan(bytes.NewReader(stream), 1<<20)
		want := []event{data(lines), {typ, lines, true, true}}
		if err != nil || !reflect.DeepEqual(events, want) || !bytes.Equal(raw, stream) {
			t.Fatalf("events = %+v, %v, want %+v", events, err, want)
		}
	})
}

// chunked gives n bytes at a time, at most.
type chunked struct {
	r io.Reader
	n int
}

func (c chunked) Read(p []byte) (int, error) { return c.r.Read(p[:min(len(p), c.n)]) }

func FuzzScannerOverChunks(f *testing.F) {
	for i, tt := range streams {
		f.Add([]byte(tt.stream), uint8(i))
	}
	f.Fuzz(func(t *testing.T, stream []byte, size uint8) {
		whole, raw, err := scan(bytes.NewReader(stream), 1<<20)
		if err != nil || !bytes.HasPrefix(stream, raw) {
			t.Fatalf("raw = %q, %v", raw, err)
		}
		parts, partsRaw, err := scan(chunked{bytes.NewReader(stream), 1 + int(size)}, 1<<20)
		if err != nil || !reflect.DeepEqual(whole, parts) {
			t.Fatalf("whole %+v, in parts %+v, %v", whole, parts, err)
		}
		if !bytes.Equal(bytes.TrimRight(raw, "\r\n"), bytes.TrimRight(partsRaw, "\r\n")) {
			t.Fatalf("whole %q, in parts %q", raw, partsRaw)
		}
		s := NewScanner(bytes.NewReader(stream), 64)
		for s.Next() {
			if len(s.Event()) > 64 || cap(s.buf)+cap(s.joined) > 3*64 {
				t.Fatal("the bound does not hold")
			}
		}
	})
}

func BenchmarkScanner(b *testing.B) {
	one := `data: {"id":"chatcmpl-123","object":"chat.completion.chunk","created":1694268190,"model":"gpt-5-mini","system_fingerprint":"fp_44709d6fcb","choices":[{"index":0,"delta":{"content":" word"},"logprobs":null,"finish_reason":null}]}` + "\n\n"
	s := NewScanner(endless(one), DefaultMaxEvent)
	b.SetBytes(int64(len(one)))
	b.ReportAllocs()
	for b.Loop() {
		if !s.Next() {
			b.Fatal(s.Err())
		}
	}
}

func BenchmarkAppendData(b *testing.B) {
	text := bytes.Repeat([]byte("x"), 200)
	var dst []byte
	b.ReportAllocs()
	for b.Loop() {
		dst = AppendData(dst[:0], text)
	}
}

// chunks gives a text in parts of the given sizes, one for each read.
type chunks struct {
	text  string
	sizes []int
}

func (c *chunks) Read(p []byte) (int, error) {
	if c.text == "" {
		return 0, io.EOF
	}
	n := len(c.text)
	if len(c.sizes) > 0 {
		n, c.sizes = min(n, c.sizes[0]), c.sizes[1:]
	}
	n = copy(p, c.text[:n])
	c.text = c.text[n:]
	return n, nil
}

// Whoever holds events back until the scanner reads must hold none that a reader could have had.
func TestScannerTellsOfEachReadWhenNoWholeEventIsLeft(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		source := &chunks{text: strings.Repeat("data: x\n\n", 20), sizes: rapid.SliceOfN(rapid.IntRange(1, 40), 1, 10).Draw(t, "sizes")}
		const size = len("data: x\n\n")
		s := NewScanner(source, 1024)
		given, reads := 0, 0
		s.OnRead(func() {
			reads++
			if whole := (20*size - len(source.text)) / size; given != whole {
				t.Fatalf("reading with %d events given of %d that are there", given, whole)
			}
		})
		for s.Next() {
			given++
		}
		if given != 20 || s.Err() != nil || reads < 2 {
			t.Fatalf("%d events in %d reads, %v", given, reads, s.Err())
		}
	})
}

func TestAScannerThatWasReleasedHasNoEvents(t *testing.T) {
	s := NewScanner(strings.NewReader("data: one\n\ndata: two\n\n"), DefaultMaxEvent)
	if !s.Next() {
		t.Fatal(s.Err())
	}
	s.Release()
	s.Release() // which must not give the same memory away twice
	if s.Next() || s.Err() == nil || len(s.Event())+len(s.Data())+len(s.Type()) > 0 {
		t.Errorf("there is an event: %q, %v", s.Event(), s.Err())
	}
}

func TestScannersDoNotShareTheirMemory(t *testing.T) {
	released := NewScanner(strings.NewReader("data: former\n\n"), DefaultMaxEvent)
	released.Next()
	released.Release()
	released.Release()
	a, b := NewScanner(strings.NewReader("data: one\n\n"), DefaultMaxEvent), NewScanner(strings.NewReader("data: two\n\n"), DefaultMaxEvent)
	if !a.Next() || !b.Next() || string(a.Data()) != "one" || string(b.Data()) != "two" {
		t.Errorf("the scanners have %q and %q", a.Data(), b.Data())
	}
}

// trickle gives an event with each read, however much room there is.
type trickle string

func (t trickle) Read(p []byte) (int, error) { return copy(p, t), nil }

func TestScannerHoldsLittleForAStreamThatComesAnEventAtATime(t *testing.T) {
	s := NewScanner(trickle("data: {\"choices\":[{\"delta\":{\"content\":\"word\"}}]}\n\n"), 1<<20)
	for range 1000 {
		if !s.Next() {
			t.Fatal(s.Err())
		}
	}
	if len(s.buf) != slowBuffer {
		t.Errorf("it holds %d bytes", len(s.buf))
	}
}

func TestScannerReadsAFastStreamInLargerParts(t *testing.T) {
	const event = "data: {\"b\":1}\n\n"
	text := strings.Repeat(event, 10_000)
	s := NewScanner(strings.NewReader(text), 1<<20)
	reads, events := 0, 0
	s.OnRead(func() { reads++ })
	for s.Next() {
		events++
	}
	if most := len(text)/(fastBuffer-len(event)) + 3; s.Err() != nil || events != 10_000 || reads > most {
		t.Errorf("%v after %d events; %d reads for %d bytes, want %d at most", s.Err(), events, reads, len(text), most)
	}
}
