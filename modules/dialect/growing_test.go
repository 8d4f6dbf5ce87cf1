package dialect

import (
	"strings"
	"testing"
)

// put is one call of a Growing's method.
type put struct{ how, name, value string }

func TestGrowingObjectsAreWhatTheirPiecesMake(t *testing.T) {
	tests := []struct {
		name string
		puts []put
		want string
	}{
		{"nothing", nil, `{}`},
		{"the last value wins", []put{{"set", "a", "1"}, {"set", "b", "2"}, {"set", "a", "[3]"}}, `{"a":[3],"b":2}`},
		{"a null says nothing", []put{{"set", "a", "1"}, {"set", "a", "null"}, {"set", "b", "null"}}, `{"a":1,"b":null}`},
		{"fragments of a string", []put{{"join", "a", `"x\ud83d"`}, {"join", "a", `"\ude00y"`}, {"join", "a", "null"}}, `{"a":"x\ud83d\ude00y"}`},
		{"a string after a null", []put{{"join", "a", "null"}, {"join", "a", `"x"`}}, `{"a":"x"}`},
		{"a number in place of a string", []put{{"join", "a", `"x"`}, {"join", "a", "1"}}, `{"a":1}`},
		{"elements of an array", []put{{"extend", "a", "[]"}, {"extend", "a", "[1, 2]"}, {"push", "a", `{"b":3}`}}, `{"a":[1,2,{"b":3}]}`},
		{"an empty array", []put{{"extend", "a", "[]"}}, `{"a":[]}`},
		{"an array after a null", []put{{"extend", "a", "null"}, {"extend", "a", "[1]"}}, `{"a":[1]}`},
		{"a name that must be escaped", []put{{"set", `"`, "1"}}, `{"\"":1}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var g Growing
			size := 0
			for _, p := range tt.puts {
				name, value := []byte(p.name), []byte(p.value)
				switch p.how {
				case "set":
					size += g.Set(name, value)
				case "join":
					size += g.Join(name, value)
				case "extend":
					size += g.Extend(name, value)
				case "push":
					size += g.Push(name, value)
				}
				copy(value, strings.Repeat("?", len(value))) // it has its own copy
			}
			got := string(g.AppendObject(nil))
			if got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
			if size > len(got)+g.Len()*growingMember || size < g.Len()*growingMember {
				t.Errorf("the size of %s is %d", got, size)
			}
		})
	}
}

func TestGrowingKnowsWhatItHolds(t *testing.T) {
	var g Growing
	g.Set([]byte("a"), []byte(`"x"`))
	g.Join([]byte("b"), []byte(`"x"`))
	g.Join([]byte("b"), []byte(`"y"`))
	for _, tt := range []struct {
		name, value string
		want        bool
	}{{"a", `"x"`, true}, {"a", `"y"`, false}, {"b", `"xy"`, true}, {"b", `"x"`, false}, {"c", "1", false}, {"b", "", false}} {
		if got := g.Holds(tt.name, []byte(tt.value)); got != tt.want {
			t.Errorf("Holds(%s, %s) = %v", tt.name, tt.value, got)
		}
	}
	if !g.Has("a") || g.Has("c") || g.Len() != 2 {
		t.Error("it does not know its members")
	}
}
