package main

import (
	"encoding/json"
	"testing"

	"pgregory.net/rapid"
)

func TestQuestionsAreJSONOfTheirSize(t *testing.T) {
	for _, size := range []int{questionSize, 10_000, 1_000_000} {
		for _, body := range [][]byte{chat("model", `"temperature":0,`, size), analysis(size)} {
			if len(body) != size || !json.Valid(body) {
				t.Errorf("%d bytes, want %d: %.200s", len(body), size, body)
			}
		}
	}
}

func TestFreshQuestionsNeverRepeat(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		place := func() [3]int {
			return [3]int{rapid.IntRange(0, 63).Draw(t, "connection"), rapid.IntRange(0, 99).Draw(t, "series"), rapid.IntRange(0, 9_999_999).Draw(t, "n")}
		}
		a, b := place(), place()
		request := chat("model", "", questionSize)
		ask := func(at [3]int) string { return string(fresh(request, 64, at[1])(at[0], at[2])) }
		if first, second := ask(a), ask(b); (first == second) != (a == b) || len(first) != len(request) || !json.Valid([]byte(first)) {
			t.Fatalf("%v and %v ask\n%s\n%s", a, b, first, second)
		}
	})
}
