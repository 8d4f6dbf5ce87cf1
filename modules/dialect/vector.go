package dialect

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"math"
	"strconv"
	"unsafe"
)

// Vector is an embedding as a provider wrote it: an array of numbers, or packed, as the string of the base64 of its numbers as
// little-endian float32. One that is wanted as it is is copied, and neither read nor written.
type Vector Raw

var errNoVector = errors.New("a vector is neither numbers nor base64")

// Packed tells whether the vector is in base64.
func (v Vector) Packed() bool { return len(v) > 0 && v[0] == '"' }

// Append appends the vector, packed or as numbers. The error says that it is none.
func (v Vector) Append(dst []byte, packed bool) ([]byte, error) {
	switch {
	case len(v) < 3 || v[0] != '[' && v[0] != '"': // an empty one is none
		return nil, errNoVector
	case v.Packed() == packed:
		return append(dst, v...), nil
	case packed:
		return v.pack(dst)
	}
	return v.unpack(dst)
}

func (v Vector) pack(dst []byte) ([]byte, error) {
	packed := make([]byte, 0, len(v)/2)
	for number := range Elements(v) {
		n, err := strconv.ParseFloat(unsafe.String(unsafe.SliceData(number), len(number)), 32)
		if err != nil {
			return nil, errNoVector
		}
		packed = binary.LittleEndian.AppendUint32(packed, math.Float32bits(float32(n)))
	}
	return append(base64.StdEncoding.AppendEncode(append(dst, '"'), packed), '"'), nil
}

func (v Vector) unpack(dst []byte) ([]byte, error) {
	packed, err := base64.StdEncoding.DecodeString(InsideOf(v).String())
	if err != nil || len(packed)%4 != 0 {
		return nil, errNoVector
	}
	dst = append(dst, '[')
	for ; len(packed) > 0; packed = packed[4:] {
		n := float64(math.Float32frombits(binary.LittleEndian.Uint32(packed)))
		if math.IsNaN(n) || math.IsInf(n, 0) { // which JSON has no numbers for
			return nil, errNoVector
		}
		dst = strconv.AppendFloat(Element(dst), n, 'g', -1, 32)
	}
	return append(dst, ']'), nil
}
