package dialect

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func canonicalOf(t interface{ Fatalf(string, ...any) }, body []byte) []byte {
	got, err := Canonical(nil, body, nil)
	if err != nil {
		t.Fatalf("Canonical(%q): %v", body, err)
	}
	return got
}

func TestCanonicalForms(t *testing.T) {
	tests := []struct{ name, body, want string }{
		{"sorted at every depth", `{"b":[{"z":1,"y":{"d":1,"c":2}}],"a":2}`, `{"a":2,"b":[{"y":{"c":2,"d":1},"z":1}]}`},
		{"no white space", " { \"a\" : [ 1 , \"x y\" ] } ", `{"a":[1,"x y"]}`},
		{"the empty ones", `{"b":[ ],"a":{ }}`, `{"a":{},"b":[]}`},
		{"numbers as written", `{"a":9007199254740993,"b":1.0,"c":-0,"d":1E5}`, `{"a":9007199254740993,"b":1.0,"c":-0,"d":1E5}`},
		{"strings with the fewest escapes", `{"a":"\u0041\/\u00e9\ud83d\ude00\u000a\u0001\u0022\\"}`, `{"a":"A/é😀\n\u0001\"\\"}`},
		{"a surrogate alone stays one", `{"a":"\uD800x\uDC00\udfff"}`, `{"a":"\ud800x\udc00\udfff"}`},
		{"escaped names", `{"\u0062":1,"a":2}`, `{"a":2,"b":1}`},
		{"names that begin alike", `{"ab":1,"a":2,"a\u0000":3,"":4}`, `{"":4,"a":2,"a\u0000":3,"ab":1}`},
		{"left out", `{"user":"u","b":{"user":"v"},"\u0073tream":true}`, `{"b":{"user":"v"}}`},
		{"all left out", `{"user":"u","stream":true}`, `{}`},
	}
	without := func(name string) bool { return name == "user" || name == "stream" }
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Canonical([]byte("> "), []byte(tt.body), without)
			if err != nil || string(got) != "> "+tt.want {
				t.Errorf("Canonical = %s, %v, want %s", got, err, "> "+tt.want)
			}
		})
	}
}

func TestCanonicalRefusesWhatIsNotJSON(t *testing.T) {
	for _, body := range []string{``, `{`, `{"a"`, `{"a":`, `{"a":1`, `{"a":1,`, `{"a":1}}`, `{"a":[1}`, `{"a":"x`, `{"a":"\x"}`, `[,]`, strings.Repeat("[", 1000)} {
		if got, err := Canonical([]byte("> "), []byte(body), nil); err == nil || string(got) != "> " {
			t.Errorf("Canonical(%q) = %q, %v, want an error and nothing appended", body, got, err)
		}
	}
}

func TestCanonicalGivesUpOnBodiesMadeToBeSlow(t *testing.T) {
	body := strings.Repeat(`{"b":`, 200) + `"` + strings.Repeat("x", 1<<20) + `"` + strings.Repeat(`,"a":1}`, 200)
	if _, err := Canonical(nil, []byte(body), nil); err != errTangled {
		t.Errorf("Canonical = %v, want %v", err, errTangled)
	}
}

func TestCanonicalIsTheSameForAllSpellings(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		doc := genObject(3).Draw(t, "body")
		one, other := doc.write(t, nil), doc.write(t, nil)
		got := canonicalOf(t, one)
		if same := canonicalOf(t, other); !bytes.Equal(got, same) {
			t.Fatalf("%q gives %s, %q gives %s", one, got, other, same)
		}
		if again := canonicalOf(t, got); !bytes.Equal(got, again) {
			t.Fatalf("%s gives %s", got, again)
		}
		if !reflect.DeepEqual(parsed(t, one), parsed(t, got)) {
			t.Fatalf("%q and its canonical form %s differ in meaning", one, got)
		}
	})
}

func TestCanonicalTellsEveryLeafApart(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		doc := genObject(3).Draw(t, "body")
		leaves := doc.leaves(nil)
		if len(leaves) == 0 {
			return
		}
		before := canonicalOf(t, doc.write(t, nil))
		leaf := rapid.SampledFrom(leaves).Draw(t, "leaf")
		former := *leaf
		*leaf = *genDocument(0).Filter(func(d *document) bool {
			return d.kind != former.kind || d.text != former.text
		}).Draw(t, "mutant")
		if after := canonicalOf(t, doc.write(t, nil)); bytes.Equal(before, after) {
			t.Fatalf("%v and %v are the same in %s", former, *leaf, after)
		}
	})
}

func FuzzCanonical(f *testing.F) {
	f.Add([]byte(`{"model":"m","messages":[{"role":"user","content":"h\u00e9\ud800"}],"a":{"c":1,"b":[1.0,2e3]}}`))
	f.Add([]byte(`{"\u0062":1,"a":2`))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := Canonical(nil, b, nil)
		if Check(b) != nil {
			return
		}
		if err != nil {
			t.Fatalf("Canonical(%q): %v", b, err)
		}
		if err := Check(got); err != nil && err.Kind == InvalidJSON {
			t.Fatalf("Canonical(%q) = %q: %v", b, got, err)
		}
		if again, err := Canonical(nil, got, nil); err != nil || !bytes.Equal(got, again) {
			t.Fatalf("%q gives %q, %v", got, again, err)
		}
		var one, other any
		if json.Unmarshal(b, &one) != nil || json.Unmarshal(got, &other) != nil {
			return // a number beyond float64
		}
		if !reflect.DeepEqual(one, other) {
			t.Fatalf("%q and %q differ in meaning", b, got)
		}
	})
}

func BenchmarkCanonical(b *testing.B) {
	for _, size := range []int{1 << 10, 1 << 16} {
		b.Run(strconv.Itoa(size), func(b *testing.B) {
			body := chatBody(size)
			var dst []byte
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				dst, _ = Canonical(dst[:0], body, func(name string) bool { return name == "stream" })
				sha256.Sum256(dst)
			}
		})
	}
}
