package redis

import (
	"sync"

	"github.com/klauspost/compress/zstd"
)

const (
	// compressFrom is the size from which a body is compressed, in bytes. Below, it costs more than it saves.
	compressFrom = 1 << 10
	// maxBody bounds a body, in bytes: what a frame may make a gateway allocate. A larger answer is not kept.
	maxBody = 32 << 20
)

// Both are safe for concurrent use, and made when they are needed first: their tables take some hundred kilobytes.
var (
	encoder = sync.OnceValue(func() *zstd.Encoder {
		// The frame has a checksum of its own.
		e, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderCRC(false), zstd.WithLowerEncoderMem(true))
		if err != nil {
			panic(err) // only an option that is out of bounds
		}
		return e
	})
	decoder = sync.OnceValue(func() *zstd.Decoder {
		d, err := zstd.NewReader(nil, zstd.WithDecodeAllCapLimit(true), zstd.WithDecoderMaxMemory(maxBody), zstd.IgnoreChecksum(true), zstd.WithDecoderConcurrency(0))
		if err != nil {
			panic(err)
		}
		return d
	})
)

// appendCompressed appends a body, compressed where that makes it smaller.
func appendCompressed(dst, body []byte) (_ []byte, compressed bool) {
	if len(body) >= compressFrom {
		if out := encoder().EncodeAll(body, dst); len(out)-len(dst) < len(body) {
			return out, true
		}
	}
	return append(dst, body...), false
}

// decompress fails where the body is larger than size.
func decompress(body []byte, size int) ([]byte, error) {
	return decoder().DecodeAll(body, make([]byte, 0, size))
}
