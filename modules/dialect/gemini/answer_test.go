package gemini

import (
	"strings"
	"testing"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

func TestOnlyCompleteAnswersAreKept(t *testing.T) {
	const content = `"content":{"parts":[{"text":"a"}],"role":"model"}`
	tests := []struct{ answer, says string }{
		{`{"candidates":[{` + content + `,"finishReason":"STOP"}]}`, ""},
		{`{"candidates":[{` + content + `,"finishReason":"MAX_TOKENS"},{"index":1,"finishReason":"SAFETY"}]}`, ""},
		{`{"promptFeedback":{"blockReason":"SAFETY"}}`, ""},
		{`{"candidates":[{` + content + `}]}`, "no finishReason"},
		{`{"candidates":[{` + content + `,"finishReason":"STOP"},{"index":1}]}`, "no finishReason"},
		{`{"candidates":[{` + content + `,"finishReason":"CONTINUATION"}]}`, "go on"},
		{`{"candidates":[{` + content + `,"finishReason":"MALFORMED_FUNCTION_CALL"}]}`, "MALFORMED_FUNCTION_CALL"},
		{`{"candidates":[]}`, "no candidate"},
		{`{"promptFeedback":{}}`, "no candidate"},
		{`{"error":{"code":500},"candidates":[{"finishReason":"STOP"}]}`, "holds an error"},
		{`{"candidates":[`, "reading the answer"},
	}
	for _, tt := range tests {
		err := Complete([]byte(tt.answer))
		if tt.says == "" && err != nil || tt.says != "" && (err == nil || !strings.Contains(err.Error(), tt.says)) {
			t.Errorf("Complete(%s) = %v, want %q", tt.answer, err, tt.says)
		}
	}
}

func TestReasonsAreUnderstood(t *testing.T) {
	for reason, want := range map[string]dialect.Finish{
		"STOP": dialect.FinishStop, "MAX_TOKENS": dialect.FinishLength, "SAFETY": dialect.FinishFilter, "RECITATION": dialect.FinishFilter,
		"LANGUAGE": dialect.FinishFilter, "BLOCKLIST": dialect.FinishFilter, "PROHIBITED_CONTENT": dialect.FinishFilter, "SPII": dialect.FinishFilter,
		"IMAGE_SAFETY": dialect.FinishFilter, "IMAGE_PROHIBITED_CONTENT": dialect.FinishFilter, "IMAGE_RECITATION": dialect.FinishFilter,
		"CONTINUATION": dialect.FinishPause, "MALFORMED_FUNCTION_CALL": dialect.FinishError, "UNEXPECTED_TOOL_CALL": dialect.FinishError,
		"TOO_MANY_TOOL_CALLS": dialect.FinishError, "OTHER": dialect.FinishError, "IMAGE_OTHER": dialect.FinishError, "NO_IMAGE": dialect.FinishError,
		"NEW": dialect.FinishUnknown, "": dialect.FinishNone, "FINISH_REASON_UNSPECIFIED": dialect.FinishNone,
	} {
		if got := finishOf(reason); got != want {
			t.Errorf("%s is %d, want %d", reason, got, want)
		}
	}
}

func TestUsageIsCountedOnce(t *testing.T) {
	tests := []struct {
		metadata string
		want     dialect.Usage
		told     bool
	}{
		{`{"promptTokenCount":100,"cachedContentTokenCount":40,"candidatesTokenCount":7,"thoughtsTokenCount":5,"toolUsePromptTokenCount":20,"totalTokenCount":132}`,
			dialect.Usage{Input: 80, CacheRead: 40, Output: 7, Reasoning: 5}, true},
		{`{"promptTokenCount":1,"cachedContentTokenCount":40}`, dialect.Usage{CacheRead: 1}, true},
		{`{"promptTokenCount":-1,"candidatesTokenCount":1e300}`, dialect.Usage{}, false},
		{`{}`, dialect.Usage{}, false},
	}
	for _, tt := range tests {
		got, told := UsageOf([]byte(`{"usageMetadata":` + tt.metadata + `}`))
		if got != tt.want || told != tt.told {
			t.Errorf("%s is %+v, %v", tt.metadata, got, told)
		}
		if !told {
			continue
		}
		again, _ := usageOf(AppendUsage(nil, got))
		if again != got {
			t.Errorf("%+v is read as %+v", got, again)
		}
	}
	if _, told := UsageOf([]byte(`{"candidates":[]}`)); told {
		t.Error("there is a usage where none is")
	}
}

func TestNoAnswerIsMadeOfWhatIsNone(t *testing.T) {
	for _, body := range []string{`{}`, `{"candidates":[]}`, `{"error":{"code":500}}`, `[]`, `{"candidates":`, `{"promptFeedback":{"safetyRatings":[]}}`} {
		if a, fault := DecodeAnswer([]byte(body)); fault == nil || fault.Kind != dialect.UpstreamFailed {
			t.Errorf("%s is read as %+v, %v", body, a, fault)
		}
	}
	call := dialect.Part{Kind: dialect.PartToolUse, Name: "f", Arguments: dialect.Raw(`{"a":`)}
	if out, fault := EncodeAnswer(nil, &dialect.Answer{Finish: dialect.FinishTools, Parts: []dialect.Part{call}}); fault == nil {
		t.Errorf("half a call becomes %s", out)
	}
	out, fault := EncodeAnswer(nil, &dialect.Answer{Finish: dialect.FinishLength, Parts: []dialect.Part{call}})
	if fault != nil || strings.Contains(string(out), "functionCall") {
		t.Errorf("a call that was cut becomes %s, %v", out, fault)
	}
}

// Google counts in bytes of UTF-8, other dialects in characters.
func TestCitationsKeepTheirPlaces(t *testing.T) {
	body := `{"candidates":[{"content":{"parts":[{"text":"h\u00e9 \ud83c\udf89 \"docs\""}]},"finishReason":"STOP",
		"citationMetadata":{"citationSources":[{"startIndex":0,"endIndex":3,"uri":"https://a"},{"startIndex":9,"endIndex":4000,"uri":"https://b"},{"license":"mit"}]},
		"groundingMetadata":{"groundingChunks":[{"web":{"uri":"https://c","title":"C"}},{"retrievedContext":{}}],"groundingSupports":[{"segment":{"startIndex":10,"endIndex":14},"groundingChunkIndices":[0,1,7]}]}}]}`
	a, fault := DecodeAnswer([]byte(body))
	if fault != nil || len(a.Parts) != 1 {
		t.Fatal(a, fault)
	}
	want := []dialect.Citation{{URL: "https://a", Start: 0, End: 2, Quote: dialect.Inside("hé")}, {URL: "https://b"},
		{URL: "https://c", Title: "C", Start: 6, End: 10, Quote: dialect.Inside("docs")}}
	got := a.Parts[0].Citations
	if len(got) != len(want) {
		t.Fatalf("got %+v", got)
	}
	for i := range want {
		if got[i].URL != want[i].URL || got[i].Title != want[i].Title || got[i].Start != want[i].Start || got[i].End != want[i].End || got[i].Quote.String() != want[i].Quote.String() {
			t.Errorf("citation %d is %+v, want %+v", i, got[i], want[i])
		}
	}
	out, fault := EncodeAnswer(nil, a)
	if fault != nil || !strings.Contains(string(out), `{"segment":{"startIndex":10,"endIndex":14},"groundingChunkIndices":[2]}`) {
		t.Errorf("written as %s, %v", out, fault)
	}
}
