package crossing

import (
	"bytes"
	"cmp"
	"encoding/json"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

// What becomes of a feature in a dialect.
const (
	carried = "yes"
	nearest = "nearest"
	leftOut = "left out"
	refused = "refused"
)

const documentation = "../../../docs/DIALECTS.md"

func TestTheDocumentationTellsWhatDialectsCanExpress(t *testing.T) {
	text, err := os.ReadFile(documentation)
	if err != nil {
		t.Fatal(err)
	}
	got := text
	for _, table := range []struct {
		name string
		rows []string
	}{
		{"requests", requestTable(t)},
		{"answers", answerTable(t)},
		{"errors", errorTable(t)},
	} {
		begin, end := []byte("<!-- "+table.name+" -->\n"), []byte("<!-- end -->\n")
		from := bytes.Index(got, begin)
		if from < 0 {
			t.Fatalf("no place for the table of %s", table.name)
		}
		from += len(begin)
		to := bytes.Index(got[from:], end)
		if to < 0 {
			t.Fatalf("the table of %s has no end", table.name)
		}
		rows := []byte(strings.Join(table.rows, "\n") + "\n")
		got = append(append(append([]byte(nil), got[:from]...), rows...), got[from+to:]...)
	}
	if *update {
		if err := os.WriteFile(documentation, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if !bytes.Equal(text, got) {
		t.Error("the tables in docs/DIALECTS.md are not what the code does: go test ./modules/dialect/crossing -update")
	}
}

func heading(first string) []string {
	head, rule := "| "+first+" |", "|---|"
	for _, codec := range codecs {
		head += " " + string(codec.Name) + " |"
		rule += "---|"
	}
	return []string{head, rule}
}

func requestTable(t *testing.T) []string {
	rows := heading("in a request")
	for _, f := range requestFeatures() {
		row := "| " + f.name + " |"
		for _, codec := range codecs {
			row += " " + requestFate(t, codec, f) + " |"
		}
		rows = append(rows, row)
	}
	return rows
}

// requestFate is what becomes of a feature, and what the dialect calls it.
func requestFate(t *testing.T, codec *dialect.Codec, f requestFeature) string {
	t.Helper()
	request := plainRequest()
	f.add(request)
	body, dropped, fault := codec.EncodeRequest(nil, request, dialect.Policy{})
	if fault != nil {
		return refused
	}
	if len(dropped) > 0 {
		t.Errorf("%s: %q were dropped, which no policy allows", f.name, dropped)
	}
	base := plainRequest()
	f.base(base)
	plain, _, _ := codec.EncodeRequest(nil, base, dialect.Policy{})
	read, fault := readAs(codec, body, request)
	if fault != nil {
		t.Fatalf("%s: %v", f.name, fault)
	}
	switch {
	case show(read) == show(request):
		if f.named && read.Names[f.param] != "" {
			return carried + ", `" + read.Names[f.param] + "`"
		}
		return carried
	case bytes.Equal(body, plain):
		return leftOut
	}
	return nearest
}

func answerTable(t *testing.T) []string {
	rows := heading("in an answer")
	for _, f := range answerFeatures() {
		row := "| " + f.name + " |"
		for _, codec := range codecs {
			row += " " + answerFate(t, codec, f) + " |"
		}
		rows = append(rows, row)
	}
	return rows
}

func answerFate(t *testing.T, codec *dialect.Codec, f answerFeature) string {
	t.Helper()
	answer := plainAnswer()
	f.add(answer)
	body, fault := codec.EncodeAnswer(nil, answer)
	if fault != nil {
		return refused
	}
	base := plainAnswer()
	if f.base != nil {
		f.base(base)
	}
	plain, _ := codec.EncodeAnswer(nil, base)
	read, fault := codec.DecodeAnswer(body)
	if fault != nil {
		t.Fatalf("%s: %v", f.name, fault)
	}
	name := ""
	if strings.HasPrefix(f.name, "end") {
		name = ", `" + ending(t, body) + "`"
	}
	switch {
	case show(read) == show(answer):
		return carried + name
	case bytes.Equal(body, plain) && name == "":
		return leftOut
	}
	return nearest + name
}

// ending is a body's own word for why the answer ended.
func ending(t *testing.T, body []byte) string {
	var wire struct {
		StopReason string `json:"stop_reason"`
		Choices    []struct {
			FinishReason string `json:"finish_reason"`
		} `json:"choices"`
		Candidates []struct {
			FinishReason string `json:"finishReason"`
		} `json:"candidates"`
	}
	if err := json.Unmarshal(body, &wire); err != nil {
		t.Fatal(err)
	}
	for _, c := range wire.Choices {
		return c.FinishReason
	}
	for _, c := range wire.Candidates {
		return c.FinishReason
	}
	return wire.StopReason
}

var kinds = []dialect.Kind{
	dialect.InvalidJSON, dialect.InvalidRequest, dialect.Validation, dialect.Authentication, dialect.Permission,
	dialect.NotFound, dialect.ModelNotFound, dialect.MethodNotAllowed, dialect.TooLarge, dialect.RateLimit,
	dialect.UpstreamFailed, dialect.UpstreamAuth, dialect.UpstreamParsing, dialect.Unavailable,
	dialect.StoreUnavailable, dialect.Timeout, dialect.OnlyIfCachedMiss, dialect.Internal,
}

func errorTable(t *testing.T) []string {
	rows := heading("error")
	for _, kind := range kinds {
		row := "| `" + string(kind) + "` |"
		for _, codec := range codecs {
			e := dialect.Errorf(kind, "m")
			var wire struct {
				Error struct {
					Type   string `json:"type"`
					Status string `json:"status"` // Google's word for it
				} `json:"error"`
			}
			if err := json.Unmarshal(codec.AppendError(nil, e), &wire); err != nil {
				t.Fatal(err)
			}
			row += " " + strconv.Itoa(codec.Status(e)) + " `" + cmp.Or(wire.Error.Type, wire.Error.Status) + "` |"
		}
		rows = append(rows, row)
	}
	return rows
}
