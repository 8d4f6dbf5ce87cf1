package redis

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

func drawAnswer(t *rapid.T) *gateway.Answer {
	moment := rapid.OneOf(
		rapid.Just(time.Time{}),
		rapid.Map(rapid.Int64Range(math.MinInt64+1, math.MaxInt64), func(ns int64) time.Time { return time.Unix(0, ns) }),
	)
	tokens := rapid.Int64()
	body := rapid.OneOf(
		rapid.SliceOfN(rapid.Byte(), 0, 3000),
		rapid.Map(rapid.IntRange(0, 200), func(n int) []byte { return bytes.Repeat([]byte("an answer, again and "), n) }),
	)
	return &gateway.Answer{
		Provider: rapid.String().Draw(t, "provider"),
		Model:    rapid.String().Draw(t, "model"),
		Body:     body.Draw(t, "body"),
		Usage: dialect.Usage{
			Input: tokens.Draw(t, "input"), CacheRead: tokens.Draw(t, "read"), CacheWrite: tokens.Draw(t, "write"),
			Output: tokens.Draw(t, "output"), Reasoning: tokens.Draw(t, "reasoning"), Estimated: rapid.Bool().Draw(t, "estimated"),
		},
		Created:    moment.Draw(t, "created"),
		Expires:    moment.Draw(t, "expires"),
		StaleUntil: moment.Draw(t, "stale until"),
	}
}

func drawKey(t *rapid.T) gateway.AnswerKey {
	return gateway.AnswerKey(rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "key"))
}

// same compares answers by their moments, not by the clocks that these were read from.
func same(a, b *gateway.Answer) bool {
	x, y := *a, *b
	if !bytes.Equal(x.Body, y.Body) || !x.Created.Equal(y.Created) || !x.Expires.Equal(y.Expires) || !x.StaleUntil.Equal(y.StaleUntil) {
		return false
	}
	x.Body, x.Created, x.Expires, x.StaleUntil = y.Body, y.Created, y.Expires, y.StaleUntil
	return reflect.DeepEqual(x, y)
}

func TestAFrameHoldsAllOfAnAnswer(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		key, want := drawKey(t), drawAnswer(t)
		before := []byte("before")
		frame, found := bytes.CutPrefix(appendFrame(before, key, want), before)
		if !found {
			t.Fatal("what was there is gone")
		}
		got, err := parseFrame(frame, key)
		if err != nil {
			t.Fatalf("parsing: %v", err)
		}
		if !same(got, want) {
			t.Errorf("got %+v, want %+v", got, want)
		}
	})
}

func TestAFrameWithOneBitChangedIsNoAnswer(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		key := drawKey(t)
		frame := appendFrame(nil, key, drawAnswer(t))
		frame[rapid.IntRange(0, len(frame)-1).Draw(t, "byte")] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
		if got, err := parseFrame(frame, key); err == nil {
			t.Errorf("parsed as %+v", got)
		}
	})
}

func TestAFrameCutShortIsNoAnswer(t *testing.T) {
	key := gateway.AnswerKey{1}
	frame := appendFrame(nil, key, &gateway.Answer{Provider: "openai", Model: "gpt-5", Body: bytes.Repeat([]byte("x"), 2000)})
	for n := range len(frame) - frameSum {
		if _, err := parseFrame(frame[:n], key); !errors.Is(err, errFrame) {
			t.Errorf("%d bytes of %d: error %v", n, len(frame), err)
		}
		if _, err := parseFrame(seal(frame[:n]), key); err == nil {
			t.Errorf("%d bytes of %d parsed, with a checksum", n, len(frame))
		}
	}
}

func TestAFrameOfAnotherKeyIsNoAnswer(t *testing.T) {
	frame := appendFrame(nil, gateway.AnswerKey{1}, &gateway.Answer{Body: []byte("somebody else's")})
	if got, err := parseFrame(frame, gateway.AnswerKey{2}); !errors.Is(err, errForeignKey) {
		t.Errorf("parsed as %v, error %v", got, err)
	}
}

func TestAFrameCannotAskForMoreMemoryThanItsBound(t *testing.T) {
	key := gateway.AnswerKey{1}
	bomb, compressed := appendCompressed(nil, make([]byte, maxBody+1))
	if !compressed {
		t.Fatal("zeros do not compress")
	}
	for name, size := range map[string]uint64{"honest": maxBody + 1, "too small": 10, "none": 0, "huge": math.MaxUint64} {
		frame := append([]byte(frameMagic), flagCompressed)
		frame = append(append(frame, key[:]...), make([]byte, 3*8+5+2)...)
		frame = append(binary.AppendUvarint(frame, size), bomb...)
		frame = binary.BigEndian.AppendUint32(frame, crc32.Checksum(frame, castagnoli))
		if got, err := parseFrame(frame, key); !errors.Is(err, errFrame) {
			t.Errorf("%s: parsed as %v, error %v", name, got != nil, err)
		}
	}
}

func TestBodiesAreCompressedFromAKilobyte(t *testing.T) {
	for _, test := range []struct {
		size int
		most int
	}{{compressFrom - 1, compressFrom + 200}, {compressFrom, 300}, {100_000, 500}} {
		frame := appendFrame(nil, gateway.AnswerKey{}, &gateway.Answer{Body: []byte(strings.Repeat("a", test.size))})
		if len(frame) > test.most || test.size < compressFrom && len(frame) < test.size {
			t.Errorf("a body of %d bytes takes a frame of %d", test.size, len(frame))
		}
	}
}

// seal gives a text a checksum, so that what lies behind the check is reached.
func seal(text []byte) []byte {
	return binary.BigEndian.AppendUint32(bytes.Clone(text), crc32.Checksum(text, castagnoli))
}

func FuzzParseFrame(f *testing.F) {
	key := gateway.AnswerKey{1, 2, 3}
	for _, size := range []int{0, 10, 5000} {
		frame := appendFrame(nil, key, &gateway.Answer{
			Provider: "openai", Model: "gpt-5", Body: bytes.Repeat([]byte("ab"), size), Usage: dialect.Usage{Input: 1, Estimated: true},
			Created: time.Unix(1, 0), Expires: time.Unix(2, 0),
		})
		f.Add(frame[:len(frame)-frameSum])
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		parseFrame(text, key) //nolint:errcheck // it must not panic
		answer, err := parseFrame(seal(text), key)
		if err != nil {
			return
		}
		again, err := parseFrame(appendFrame(nil, key, answer), key)
		if err != nil || !same(answer, again) {
			t.Errorf("%+v came back as %+v, error %v", answer, again, err)
		}
	})
}

func BenchmarkFrame(b *testing.B) {
	body := bytes.Repeat([]byte(`{"id":"chatcmpl-1","choices":[{"index":0,"message":{"role":"assistant","content":"A cat sat."}}]},`), 40)
	answer := &gateway.Answer{Provider: "openai", Model: "gpt-5", Body: body, Created: time.Unix(1, 0), Expires: time.Unix(2, 0)}
	frame := appendFrame(nil, gateway.AnswerKey{1}, answer)
	b.Run("append", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			frame = appendFrame(frame[:0], gateway.AnswerKey{1}, answer)
		}
	})
	b.Run("parse", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := parseFrame(frame, gateway.AnswerKey{1}); err != nil {
				b.Fatal(err)
			}
		}
	})
}
