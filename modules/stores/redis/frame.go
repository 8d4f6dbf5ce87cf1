package redis

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"time"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

// A frame is an answer as it lies in Redis. All integers of fixed width are big endian, times are nanoseconds since 1970:
//
//	 4 bytes   magic "LLA" and the version, 1
//	 1 byte    flags: 1 the body is compressed, 2 the usage was estimated
//	32 bytes   the answer's key
//	24 bytes   created, expires and stale until; the least int64 for a time that is not given
//	varints    the usage: input, cache read, cache write, output, reasoning
//	           provider and model, each behind its length as a varint
//	varint     length of the body when it is not compressed, in bytes
//	           the body, to the checksum
//	 4 bytes   CRC-32C of all before
//
// The key lies inside, so that a value that came under the wrong name, or as the reply to another command, is never
// taken for the answer.
const (
	frameMagic = "LLA\x01"

	flagCompressed = 1
	flagEstimated  = 2
	allFlags       = flagCompressed | flagEstimated

	frameHead = len(frameMagic) + 1 + len(gateway.AnswerKey{}) + 3*8
	frameSum  = 4

	noTime = math.MinInt64
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// appendFrame appends the frame of an answer.
func appendFrame(dst []byte, key gateway.AnswerKey, answer *gateway.Answer) []byte {
	start := len(dst)
	dst = append(append(dst, frameMagic...), 0)
	flags := len(dst) - 1
	if answer.Usage.Estimated {
		dst[flags] |= flagEstimated
	}
	dst = append(dst, key[:]...)
	for _, t := range [...]time.Time{answer.Created, answer.Expires, answer.StaleUntil} {
		dst = binary.BigEndian.AppendUint64(dst, uint64(nanoseconds(t)))
	}
	u := &answer.Usage
	for _, tokens := range [...]int64{u.Input, u.CacheRead, u.CacheWrite, u.Output, u.Reasoning} {
		dst = binary.AppendUvarint(dst, uint64(tokens))
	}
	for _, text := range [...]string{answer.Provider, answer.Model} {
		dst = append(binary.AppendUvarint(dst, uint64(len(text))), text...)
	}
	dst = binary.AppendUvarint(dst, uint64(len(answer.Body)))
	dst, compressed := appendCompressed(dst, answer.Body)
	if compressed {
		dst[flags] |= flagCompressed
	}
	return binary.BigEndian.AppendUint32(dst, crc32.Checksum(dst[start:], castagnoli))
}

var (
	errFrame      = errors.New("value is no answer")
	errForeignKey = errors.New("value is the answer to another call")
)

// parseFrame reads the answer to a key. The answer may share the frame's memory.
func parseFrame(frame []byte, key gateway.AnswerKey) (*gateway.Answer, error) {
	if len(frame) < frameHead+frameSum || string(frame[:len(frameMagic)]) != frameMagic {
		return nil, errFrame
	}
	end := len(frame) - frameSum
	if crc32.Checksum(frame[:end], castagnoli) != binary.BigEndian.Uint32(frame[end:]) {
		return nil, fmt.Errorf("%w: wrong checksum", errFrame)
	}
	r := frameReader{rest: frame[len(frameMagic):end:end]}
	flags := r.bytes(1)[0]
	if flags&^allFlags != 0 {
		return nil, fmt.Errorf("%w: unknown flags %#x", errFrame, flags)
	}
	if gateway.AnswerKey(r.bytes(uint64(len(key)))) != key {
		return nil, errForeignKey
	}
	answer := &gateway.Answer{
		Created:    r.time(),
		Expires:    r.time(),
		StaleUntil: r.time(),
		Usage: dialect.Usage{
			Input: r.int(), CacheRead: r.int(), CacheWrite: r.int(), Output: r.int(), Reasoning: r.int(),
			Estimated: flags&flagEstimated != 0,
		},
		Provider: string(r.bytes(r.uint())),
		Model:    string(r.bytes(r.uint())),
	}
	size := r.uint()
	if r.short || size > maxBody {
		return nil, fmt.Errorf("%w: a length is out of bounds", errFrame)
	}
	answer.Body = r.rest
	if flags&flagCompressed != 0 {
		var err error
		if answer.Body, err = decompress(r.rest, int(size)); err != nil {
			return nil, fmt.Errorf("%w: decompressing: %w", errFrame, err)
		}
	}
	if uint64(len(answer.Body)) != size {
		return nil, fmt.Errorf("%w: body of %d bytes, not %d", errFrame, len(answer.Body), size)
	}
	return answer, nil
}

// frameReader takes a frame apart from its front. Once something is missing, short is true and everything else is zero.
type frameReader struct {
	rest  []byte
	short bool
}

func (r *frameReader) bytes(n uint64) []byte {
	if n > uint64(len(r.rest)) {
		r.rest, r.short = nil, true
		return nil
	}
	taken := r.rest[:n]
	r.rest = r.rest[n:]
	return taken
}

func (r *frameReader) uint() uint64 {
	value, n := binary.Uvarint(r.rest)
	if n <= 0 {
		r.rest, r.short = nil, true
		return 0
	}
	r.rest = r.rest[n:]
	return value
}

func (r *frameReader) int() int64 { return int64(r.uint()) }

func (r *frameReader) time() time.Time {
	b := r.bytes(8)
	if b == nil {
		return time.Time{}
	}
	ns := int64(binary.BigEndian.Uint64(b))
	if ns == noTime {
		return time.Time{}
	}
	return time.Unix(0, ns)
}

func nanoseconds(t time.Time) int64 {
	if t.IsZero() {
		return noTime
	}
	return t.UnixNano()
}
