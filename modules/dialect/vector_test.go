package dialect

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestAVectorIsTheSamePackedOrNot(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		numbers := rapid.SliceOfN(rapid.Float32(), 1, 20).Draw(t, "numbers")
		written, err := json.Marshal(numbers)
		if err != nil {
			t.Fatal(err)
		}
		raw := make([]byte, 0, 4*len(numbers))
		for _, n := range numbers {
			raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(n))
		}
		want := `"` + base64.StdEncoding.EncodeToString(raw) + `"`
		packed, err := Vector(written).Append([]byte("x"), true)
		if err != nil || string(packed) != "x"+want {
			t.Fatalf("%s is packed as %s, %v, want %s", written, packed, err, want)
		}
		plain, err := Vector(want).Append(nil, false)
		var got []float32
		if err != nil || json.Unmarshal(plain, &got) != nil || !slices.Equal(got, numbers) {
			t.Fatalf("%s is unpacked as %s, %v, want %s", want, plain, err, written)
		}
		for _, v := range []Vector{written, packed[1:]} {
			if same, err := v.Append(nil, v.Packed()); err != nil || string(same) != string(v) {
				t.Fatalf("%s becomes %s, %v", v, same, err)
			}
		}
	})
}

func TestWhatIsNoVector(t *testing.T) {
	nan := `"` + base64.StdEncoding.EncodeToString([]byte{0, 0, 0xc0, 0x7f}) + `"`
	for text, packed := range map[string]bool{
		"": true, "7": true, "{}": false, "[]": true, `""`: false, `["a"]`: true, `[1,{}]`: true, `[1e999]`: true, `"=="`: false, `"YWE="`: false, nan: false,
	} {
		if got, err := Vector(text).Append(nil, packed); err == nil {
			t.Errorf("%s becomes %s", text, got)
		}
	}
}

func BenchmarkVectorPacked(b *testing.B) {
	v, err := json.Marshal(make([]float32, 1536))
	if err != nil {
		b.Fatal(err)
	}
	dst := make([]byte, 0, 16<<10)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Vector(v).Append(dst, true); err != nil {
			b.Fatal(err)
		}
	}
}
