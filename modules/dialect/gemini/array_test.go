package gemini

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

func scanned(r io.Reader, most int) (elements []string, err error) {
	s := NewArrayScanner(r, most)
	for s.Next() {
		elements = append(elements, string(s.Data()))
	}
	return elements, s.Err()
}

func TestAStreamAsAnArrayIsReadWhereverItIsCut(t *testing.T) {
	want := []string{`{"a":"]}\"\\"}`, `{"b":[{"c":{}}],"d":"{["}`, `{}`}
	var a Array
	var stream []byte
	for _, element := range want {
		stream = a.Append(stream, []byte(element))
	}
	stream = a.End(stream)
	for cut := range stream {
		got, err := scanned(io.MultiReader(bytes.NewReader(stream[:cut]), bytes.NewReader(stream[cut:])), 1<<10)
		if err != nil || !slices.Equal(got, want) {
			t.Fatalf("cut at byte %d: %q, %v", cut, got, err)
		}
	}
	if got, err := scanned(iotest.OneByteReader(bytes.NewReader(stream)), 1<<10); err != nil || !slices.Equal(got, want) {
		t.Errorf("byte by byte: %q, %v", got, err)
	}
}

func TestAnElementIsGivenAsSoonAsItIsThere(t *testing.T) {
	r, w := io.Pipe()
	s := NewArrayScanner(r, 1<<10)
	go func() { w.Write([]byte("[{\"a\":1}")) }()
	if !s.Next() || string(s.Data()) != `{"a":1}` {
		t.Errorf("got %q, %v", s.Data(), s.Err())
	}
	go func() { w.Write([]byte(",\r\n{\"b\":2}]")); w.Close() }()
	if !s.Next() || string(s.Data()) != `{"b":2}` || s.Next() || s.Err() != nil {
		t.Errorf("then %q, %v", s.Data(), s.Err())
	}
}

func TestAnArrayWithoutElementsIsOne(t *testing.T) {
	var a Array
	if got := string(a.End(nil)); got != "[]" {
		t.Errorf("got %s", got)
	}
}

func TestWhatIsNoArrayIsAnError(t *testing.T) {
	boom := errors.New("boom")
	tests := []struct {
		name string
		r    io.Reader
		want int // elements before the error
		err  error
	}{
		{"a page", strings.NewReader("<html>"), 0, errNoArray},
		{"a lone object", strings.NewReader(`{"a":1}`), 0, errNoArray},
		{"numbers", strings.NewReader(`[{},1]`), 1, errNoArray},
		{"a failing connection", io.MultiReader(strings.NewReader(`[{},{"a":`), iotest.ErrReader(boom)), 1, boom},
		{"an element without an end", io.MultiReader(strings.NewReader(`[{},{"a":"`), strings.NewReader(strings.Repeat("b", 10_000))), 1, errElementLimit},
		{"a reader that gives nothing", io.MultiReader(strings.NewReader(`[{}`), silent{}), 1, io.ErrNoProgress},
		{"a stream that ends early", strings.NewReader(`[{},{"a":`), 1, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := scanned(tt.r, 1000)
			if len(got) != tt.want || !errors.Is(err, tt.err) {
				t.Errorf("%q, %v", got, err)
			}
		})
	}
}

type silent struct{}

func (silent) Read([]byte) (int, error) { return 0, nil }

func FuzzArrayIsReadInOnePieceOrByBytes(f *testing.F) {
	f.Add([]byte(`[{"a":"]}\"\\"},` + "\r\n" + `{"b":[{}]}]`))
	f.Fuzz(func(t *testing.T, stream []byte) {
		whole, err := scanned(bytes.NewReader(stream), 1<<16)
		pieces, err2 := scanned(iotest.OneByteReader(bytes.NewReader(stream)), 1<<16)
		if !slices.Equal(whole, pieces) || (err == nil) != (err2 == nil) {
			t.Fatalf("%q, %v and %q, %v", whole, err, pieces, err2)
		}
	})
}
