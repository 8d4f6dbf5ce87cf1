package dialect

import (
	"bytes"
	"encoding/json"
	"io"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestCheckNamesTheFault(t *testing.T) {
	deep := func(n int) string {
		return `{"a":` + strings.Repeat("[", n-1) + strings.Repeat("]", n-1) + `}`
	}
	many := func(last string) string {
		var b strings.Builder
		b.WriteByte('{')
		for i := range 200 {
			b.WriteString(`"n` + strconv.Itoa(i) + `":{"x":1},`)
		}
		return b.String() + last + `:1}`
	}
	tests := []struct {
		name, body string
		kind       Kind // empty where the body is fine
		field      string
		offset     int
		says       string
	}{
		{"an object", `{"model":"m","messages":[{"role":"user","content":"hi"}]}`, "", "", 0, ""},
		{"white space around everything", " \t\r\n{ \"a\" : [ 1 , 2 ] , \"b\" : { } } \n", "", "", 0, ""},
		{"every number form", `{"a":[0,-0,1,-1,10.5,1e9,1E+9,1e-9,0.0,-0.5e0]}`, "", "", 0, ""},
		{"every escape", `{"a":"\"\\\/\b\f\n\r\t\u00e9\uD83D\uDE00\ud800"}`, "", "", 0, ""},
		{"every character size", `{"é€😀":"é€😀"}`, "", "", 0, ""},
		{"the same name in other objects", `{"a":{"a":{"a":1}},"b":[{"a":1},{"a":1}]}`, "", "", 0, ""},
		{"the same names in objects side by side", `{"a":[` + many(`"z"`) + `,` + many(`"z"`) + `,{"\u0061":1},{"\u0061":1}]}`, "", "", 0, ""},
		{"the deepest nesting", deep(MaxDepth), "", "", 0, ""},
		{"many names", many(`"n200"`), "", "", 0, ""},
		{"a spelling of model further down", `{"metadata":{"Model":1}}`, "", "", 0, ""},

		{"nothing", "", InvalidJSON, "", -1, "the body is empty, send a JSON object"},
		{"only white space", " \n", InvalidJSON, "", -1, "the body is empty, send a JSON object"},
		{"an array", ` [1]`, InvalidJSON, "", 1, "must be a JSON object"},
		{"a string", `"a"`, InvalidJSON, "", 0, "must be a JSON object"},
		{"a byte order mark", "\ufeff{}", InvalidJSON, "", 0, "must be a JSON object"},
		{"too deep", deep(MaxDepth + 1), InvalidJSON, "", 5 + MaxDepth - 1, "deeper than 256"},
		{"far too deep", `{"a":` + strings.Repeat("[", 1<<20), InvalidJSON, "", 5 + MaxDepth - 1, "deeper than 256"},
		{"something after the object", `{} {}`, InvalidJSON, "", 3, "follows"},
		{"NUL after the object", "{}\x00", InvalidJSON, "", 2, "follows"},
		{"no end", `{"a":1`, InvalidJSON, "", 6, "too early"},
		{"no end of a string", `{"a`, InvalidJSON, "", 3, "no end"},
		{"no colon", `{"a" 1}`, InvalidJSON, "", 5, "colon"},
		{"no value", `{"a":}`, InvalidJSON, "", 5, "value"},
		{"no comma", `{"a":1 "b":2}`, InvalidJSON, "", 7, "comma"},
		{"a comma at an object's end", `{"a":1,}`, InvalidJSON, "", 7, "name"},
		{"a comma at an array's end", `{"a":[1,]}`, InvalidJSON, "", 8, "value"},
		{"the wrong end of an array", `{"a":[1}`, InvalidJSON, "", 7, "comma"},
		{"the wrong end of an object", `{"a":1]`, InvalidJSON, "", 6, "comma"},
		{"a name without quotes", `{a:1}`, InvalidJSON, "", 1, "name"},
		{"single quotes", `{'a':1}`, InvalidJSON, "", 1, "name"},
		{"a literal of another language", `{"a":None}`, InvalidJSON, "", 5, "value"},
		{"a literal with a tail", `{"a":nullx}`, InvalidJSON, "", 9, "comma"},
		{"a leading zero", `{"a":01}`, InvalidJSON, "", 5, "number"},
		{"a plus", `{"a":+1}`, InvalidJSON, "", 5, "value"},
		{"only a minus", `{"a":-}`, InvalidJSON, "", 6, "number"},
		{"a point without digits", `{"a":1.}`, InvalidJSON, "", 6, "number"},
		{"an exponent without digits", `{"a":1e+}`, InvalidJSON, "", 8, "number"},
		{"a raw line feed in a string", "{\"a\":\"x\ny\"}", InvalidJSON, "", 7, "control character"},
		{"a NUL in a string", "{\"a\":\"x\x00\"}", InvalidJSON, "", 7, "control character"},
		{"a NUL outside of strings", "{\x00}", InvalidJSON, "", 1, "name"},
		{"an unknown escape", `{"a":"\x"}`, InvalidJSON, "", 6, "escape sequence"},
		{"a first digit that is none", `{"a":"\ug123"}`, InvalidJSON, "", 6, "escape sequence"},
		{"a second digit that is none", `{"a":"\u1g23"}`, InvalidJSON, "", 6, "escape sequence"},
		{"a third digit that is none", `{"a":"\u12g3"}`, InvalidJSON, "", 6, "escape sequence"},
		{"a fourth digit that is none", `{"a":"\u123g"}`, InvalidJSON, "", 6, "escape sequence"},
		{"a short escape", `{"a":"\u12"}`, InvalidJSON, "", 6, "escape sequence"},
		{"an overlong form in a string", "{\"a\":\"\xc0\xaf\"}", InvalidJSON, "", 6, "UTF-8"},
		{"half a character in a string", "{\"a\":\"\xe2\x82\"}", InvalidJSON, "", 6, "UTF-8"},
		{"an encoded surrogate", "{\"a\":\"\xed\xa0\x80\"}", InvalidJSON, "", 6, "UTF-8"},

		{"a name twice", `{"model":"cheap","model":"dear"}`, InvalidRequest, "model", -1, `"model" at byte 18 appears twice`},
		{"a name twice, once escaped", `{"model":"cheap","mod\u0065l":"dear"}`, InvalidRequest, "model", -1, "twice"},
		{"a name twice, first escaped", `{"mod\u0065l":"cheap","model":"dear"}`, InvalidRequest, "model", -1, "twice"},
		{"a name twice further down", `{"a":[0,{"b":{"c":1,"d":{},"c":2}}]}`, InvalidRequest, "a.1.b.c", -1, "twice"},
		{"a name twice among many", many(`"n7"`), InvalidRequest, "n7", -1, "twice"},
		{"a name twice among many, escaped", many(`"\u006e150"`), InvalidRequest, "n150", -1, "twice"},
		{"another spelling of model", `{"Model":"m"}`, InvalidRequest, "Model", -1, "lower case"},
		{"another spelling of model beside it", `{"model":"m","MODEL":"n"}`, InvalidRequest, "MODEL", -1, "lower case"},
		{"another spelling of model, escaped", `{"m\u004fdel":"n"}`, InvalidRequest, "mOdel", -1, "lower case"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := Check([]byte(tt.body))
			if tt.kind == "" {
				if err != nil {
					t.Fatalf("Check = %v, want nil", err)
				}
				return
			}
			if err == nil {
				t.Fatal("Check = nil, want an error")
			}
			if err.Kind != tt.kind || err.Field != tt.field || !strings.Contains(err.Message, tt.says) {
				t.Errorf("Check = kind %q, field %q, %q; want kind %q, field %q and %q", err.Kind, err.Field, err.Message, tt.kind, tt.field, tt.says)
			}
			if tt.offset >= 0 && err.Details["offset"] != tt.offset {
				t.Errorf("offset = %v, want %d", err.Details["offset"], tt.offset)
			}
		})
	}
}

func TestCheckKeepsLongNamesOutOfItsMessage(t *testing.T) {
	long := strings.Repeat("é", 5000)
	err := Check([]byte(`{"` + long + `":1,"` + long + `":1}`))
	if err == nil || len(err.Message) > 300 || len(err.Field) > 100 || !utf8.ValidString(err.Field) {
		t.Fatalf("Check = %v, want a short message", err)
	}
}

func TestCheckOfAValidBodyDoesNotAllocate(t *testing.T) {
	for _, size := range []int{1 << 10, 1 << 16} {
		body := chatBody(size)
		if n := testing.AllocsPerRun(20, func() {
			if err := Check(body); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("%d bytes: %v allocations, want none", size, n)
		}
	}
}

func TestCheckDecodesAnEscapedNameOnce(t *testing.T) {
	const names = linearNames - 1
	var body []byte
	for i := range names {
		body = append(body, `,"\u006e`+strconv.Itoa(i)+`":1`...)
	}
	body[0] = '{'
	body = append(body, '}')
	if n := testing.AllocsPerRun(20, func() { Check(body) }); n > 4*names {
		t.Errorf("%v allocations for %d names", n, names)
	}
}

// oracle decides with encoding/json what Check should say.
func oracle(b []byte) bool {
	if !json.Valid(b) || !utf8.Valid(b) {
		return false
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.UseNumber()
	type frame struct {
		names map[string]bool // nil for an array
		value bool            // a value comes next
	}
	var stack []frame
	for {
		token, err := dec.Token()
		if err == io.EOF {
			return true
		}
		if err != nil {
			return false
		}
		if d, ok := token.(json.Delim); ok && (d == '}' || d == ']') {
			stack = stack[:len(stack)-1]
			continue
		}
		if n := len(stack); n > 0 && stack[n-1].names != nil {
			f := &stack[n-1]
			if !f.value {
				name := token.(string)
				if f.names[name] || n == 1 && name != "model" && strings.EqualFold(name, "model") {
					return false
				}
				f.names[name], f.value = true, true
				continue
			}
			f.value = false
		}
		switch token {
		case json.Delim('{'):
			stack = append(stack, frame{names: map[string]bool{}})
		case json.Delim('['):
			stack = append(stack, frame{})
		}
		if len(stack) == 0 || stack[0].names == nil || len(stack) > MaxDepth {
			return false
		}
	}
}

func FuzzCheckAgreesWithEncodingJSON(f *testing.F) {
	f.Add([]byte(`{"model":"gpt","messages":[{"role":"user","content":"h\u00e9 \ud83d\ude00"}],"temperature":0.5e-1,"n":null}`))
	f.Add([]byte(`{"a":1,"\u0061":2}`))
	f.Add([]byte(`{"a":{"b":[true,false,{}],"b":-0}}`))
	f.Add([]byte("{\"a\":\"\xff\"}"))
	f.Fuzz(func(t *testing.T, b []byte) {
		err := Check(b)
		if want := oracle(b); (err == nil) != want {
			t.Fatalf("Check(%q) = %v, the oracle says %v", b, err, want)
		}
	})
}

// chatBody makes a request body of about n bytes.
func chatBody(n int) []byte {
	var b bytes.Buffer
	b.WriteString(`{"model":"gpt-5-mini","temperature":0,"seed":9007199254740993,"messages":[{"role":"system","content":"You are helpful."}`)
	for b.Len() < n-120 {
		b.WriteString(`,{"role":"user","content":"The quick brown fox jumps over the lazy dog.\nTell me \"why\", in naïve words, and be brief about it please."}`)
	}
	b.WriteString(`],"stream":true,"tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object"}}}]}`)
	return b.Bytes()
}

func BenchmarkCheck(b *testing.B) {
	for _, size := range []int{1 << 10, 1 << 16} {
		b.Run(strconv.Itoa(size), func(b *testing.B) {
			body := chatBody(size)
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				if Check(body) != nil {
					b.Fatal("invalid")
				}
			}
		})
	}
}
