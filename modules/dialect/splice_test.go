package dialect

import (
	"bytes"
	"encoding/json"
	"reflect"
	"testing"

	"pgregory.net/rapid"
)

func TestSpliceChangesNothingButItsMembers(t *testing.T) {
	null := []byte("null")
	tests := []struct {
		name, body string
		edits      []Edit
		want       string
	}{
		{"no edit", ` { "a" : 1 } `, nil, ` { "a" : 1 } `},
		{"replace", `{ "a" : 1.0 , "model":"x","b":{"model":"y"}}`, []Edit{{"model", []byte(`"z"`)}}, `{ "a" : 1.0 , "model":"z","b":{"model":"y"}}`},
		{"replace an object", `{"a":{"b":[1,"}"]} ,"c":2}`, []Edit{{"a", null}}, `{"a":null ,"c":2}`},
		{"replace by an escaped name", `{"mod\u0065l":"x"}`, []Edit{{"model", null}}, `{"mod\u0065l":null}`},
		{"add", `{"a":1 }`, []Edit{{"b", []byte("2")}}, `{"a":1,"b":2 }`},
		{"add to nothing", "{ }\n", []Edit{{"b", []byte("2")}}, "{\"b\":2 }\n"},
		{"add two", `{}`, []Edit{{"a", []byte("1")}, {"\"", []byte("2")}}, `{"a":1,"\"":2}`},
		{"take out the first", `{ "a":1, "b":2}`, []Edit{{"a", nil}}, `{ "b":2}`},
		{"take out one between", `{"a":1, "b":2 ,"c":3}`, []Edit{{"b", nil}}, `{"a":1 ,"c":3}`},
		{"take out the last", `{"a":1, "b":2 }`, []Edit{{"b", nil}}, `{"a":1 }`},
		{"take out the only one", `{ "a":1 }`, []Edit{{"a", nil}}, `{  }`},
		{"take out what is not there", `{"a":1}`, []Edit{{"b", nil}}, `{"a":1}`},
		{"take out from nothing", `{ }`, []Edit{{"b", nil}}, `{ }`},
		{"take out several", `{"a":1,"b":2,"c":3,"d":4}`, []Edit{{"a", nil}, {"b", nil}, {"d", nil}}, `{"c":3}`},
		{"take out all and add", `{"a":1,"b":2}`, []Edit{{"b", nil}, {"c", null}, {"a", nil}}, `{"c":null}`},
		{"everything at once", `{"a":1,"b":2,"c":3}`, []Edit{{"d", []byte("4")}, {"c", nil}, {"a", []byte("0")}}, `{"a":0,"b":2,"d":4}`},
		{"take out before and after one that is replaced", `{"a":1,"b":2,"c":3}`, []Edit{{"a", nil}, {"b", []byte("0")}, {"c", nil}}, `{"b":0}`},
		{"no object", `[1]`, []Edit{{"a", null}}, `[1]`},
		{"nothing at all", ``, []Edit{{"a", null}}, ``},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := Splice([]byte("> "), []byte(tt.body), tt.edits...); string(got) != "> "+tt.want {
				t.Errorf("Splice = %s, want %s", got, "> "+tt.want)
			}
		})
	}
}

// parsed is an object as a map, numbers as they are written.
func parsed(t *rapid.T, object []byte) map[string]any {
	dec := json.NewDecoder(bytes.NewReader(object))
	dec.UseNumber()
	m := map[string]any{}
	if err := dec.Decode(&m); err != nil {
		t.Fatalf("%q: %v", object, err)
	}
	return m
}

func TestSpliceEqualsChangingTheParsedMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		body := genObject(2).Draw(t, "body").write(t, nil)
		names := rapid.SliceOfNDistinct(genText(), 0, 20, rapid.ID[string]).Draw(t, "edited")
		want := parsed(t, body)
		var edits []Edit
		for _, name := range names {
			if rapid.Bool().Draw(t, "delete") {
				edits = append(edits, Edit{Name: name})
				delete(want, name)
				continue
			}
			value := bytes.TrimSpace(genDocument(1).Draw(t, "value").write(t, nil))
			edits = append(edits, Edit{name, value})
			want[name] = parsed(t, append(append([]byte(`{"v":`), value...), '}'))["v"]
		}
		before := bytes.Clone(body)
		got := Splice(nil, body, edits...)
		if !reflect.DeepEqual(parsed(t, got), want) {
			t.Fatalf("Splice(%s, %s) = %s", body, edits, got)
		}
		if !bytes.Equal(before, body) {
			t.Fatal("the body itself was changed")
		}
		if Changes(body, edits...) != !bytes.Equal(got, body) {
			t.Fatalf("Changes(%s, %s) = %v, and it becomes %s", body, edits, Changes(body, edits...), got)
		}
		if Changes(got, edits...) {
			t.Fatalf("%s is as %s have it, and would change again", got, edits)
		}
	})
}

func TestSetLeavesTheBytesAroundTheValue(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		doc := genObject(2).Filter(func(d *document) bool { return len(d.names) > 0 }).Draw(t, "body")
		body := doc.write(t, nil)
		name := rapid.SampledFrom(doc.names).Draw(t, "name")
		got := Set(body, name, []byte("12345"))
		scan := members(body)
		for scan.next() && string(scan.name()) != name {
		}
		if want := string(body[:scan.value]) + "12345" + string(body[scan.end:]); string(got) != want {
			t.Fatalf("Set = %q, want %q", got, want)
		}
		if back := Set(got, name, body[scan.value:scan.end]); !bytes.Equal(back, body) {
			t.Fatalf("setting it back gives %q, want %q", back, body)
		}
		if _, ok := parsed(t, Delete(body, name))[name]; ok {
			t.Fatalf("Delete left %q in", name)
		}
	})
}

func TestStringAndTextAreInverse(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.OneOf(genText(), rapid.String()).Draw(t, "s")
		quoted := String(nil, s)
		var std string
		if err := json.Unmarshal(quoted, &std); err != nil || std != s {
			t.Fatalf("String(%q) = %s, which means %q (%v)", s, quoted, std, err)
		}
		if got, ok := Text(writeText(t, nil, s)); !ok || got != s {
			t.Fatalf("Text = %q, %v, want %q", got, ok, s)
		}
	})
}

func TestStringReplacesWhatIsNotUTF8(t *testing.T) {
	if got, want := string(String(nil, "a\xffb\xe2\x82c")), "\"a\ufffdb\ufffd\ufffdc\""; got != want {
		t.Errorf("String = %s, want %s", got, want)
	}
}

func FuzzWalkersSurviveAnything(f *testing.F) {
	f.Add([]byte(`{"a":[1,{"b":"\\\""}],"c":null}`), "a")
	f.Add([]byte(`{"a":1,"b`), "b")
	f.Add([]byte(`[1,[2,"]"]`), "")
	f.Fuzz(func(t *testing.T, b []byte, name string) {
		for range Members(b) {
		}
		for range Strings(b) {
		}
		for range Elements(b) {
		}
		edits := []Edit{{name, []byte("1")}, {Name: name + "x"}}
		got := Splice(nil, b, edits...)
		changed := Changes(b, edits...)
		Text(b)
		if Check(b) == nil {
			if changed == bytes.Equal(got, b) {
				t.Fatalf("Changes(%q, %q) = %v", b, name, changed)
			}
			if err := Check(got); err != nil && err.Kind == InvalidJSON {
				t.Fatalf("Splice(%q, %q) = %q: %v", b, name, got, err)
			}
		}
	})
}

func BenchmarkSpliceModel(b *testing.B) {
	body := chatBody(1 << 10)
	dst := make([]byte, 0, 2*len(body))
	b.ReportAllocs()
	for b.Loop() {
		dst = Splice(dst[:0], body, Edit{"model", []byte(`"other"`)}, Edit{"stream_options", []byte(`{"include_usage":true}`)})
	}
}
