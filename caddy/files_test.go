package main

import (
	"context"
	"database/sql"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	sdk "github.com/openai/openai-go/v3"
	"github.com/tidwall/gjson"
)

const pollFor = 10 * time.Second

// uploadFile uploads a file with the official client, and returns its id.
func uploadFile(t *testing.T, c sdk.Client, content string) string {
	t.Helper()
	file, err := c.Files.New(t.Context(), sdk.FileNewParams{File: sdk.File(strings.NewReader(content), "a.jsonl", "application/jsonl"), Purpose: "assistants"})
	if err != nil {
		t.Fatal(err)
	}
	return file.ID
}

// listed lists the ids of all files that a key sees, in pages of two.
func listed(t *testing.T, c sdk.Client) (ids []string) {
	t.Helper()
	pages := c.Files.ListAutoPaging(t.Context(), sdk.FileListParams{Limit: sdk.Int(2), Order: "asc"})
	for pages.Next() {
		ids = append(ids, pages.Current().ID)
	}
	if err := pages.Err(); err != nil {
		t.Fatal(err)
	}
	return ids
}

func TestFilesAreTheirTenantsAlone(t *testing.T) {
	s := newStudio(t)
	p := start(t, studioSite(s), upKey)
	ann := sdkClient(p, p.newKey(map[string]any{"team": "a"}))
	ada := sdkClient(p, p.newKey(map[string]any{"team": "a"}))
	bob := sdkClient(p, p.newKey(map[string]any{}))
	cat := sdkClient(p, p.newKey(map[string]any{}))
	ctx := context.Background()

	hers := []string{uploadFile(t, ann, "hers, 1"), uploadFile(t, ada, "hers, 2"), uploadFile(t, ann, "hers, 3")}
	his := uploadFile(t, bob, `{"his":1}`+"\n"+`{"his":2}`)
	for name, tt := range map[string]struct {
		c    sdk.Client
		want string
	}{"ann": {ann, strings.Join(hers, " ")}, "ada of her team": {ada, strings.Join(hers, " ")}, "bob": {bob, his}, "cat": {cat, ""}} {
		if got := strings.Join(listed(t, tt.c), " "); got != tt.want {
			t.Errorf("%s sees %q, want %q", name, got, tt.want)
		}
	}
	for name, c := range map[string]sdk.Client{"ann": ann, "cat": cat} {
		_, get := c.Files.Get(ctx, his)
		_, remove := c.Files.Delete(ctx, his)
		_, content := c.Files.Content(ctx, his) //nolint:bodyclose // it fails
		_, unknown := c.Files.Get(ctx, "file-99")
		for what, err := range map[string]error{"get": get, "delete": remove, "content": content, "unknown": unknown} {
			if failure := apiError(err); failure == nil || failure.StatusCode != http.StatusNotFound || failure.Message != apiError(unknown).Message {
				t.Errorf("%s, %s of a file of bob's: %v", name, what, err)
			}
		}
	}

	file, err := ada.Files.Get(ctx, hers[0])
	if err != nil || file.Filename != "a.jsonl" || file.Bytes != int64(len("hers, 1")) {
		t.Errorf("got %+v, %v", file, err)
	}
	content, err := bob.Files.Content(ctx, his)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(content.Body)
	content.Body.Close()
	if err != nil || string(text) != `{"his":1}`+"\n"+`{"his":2}` || content.Header.Get("Content-Disposition") != `attachment; filename="a.jsonl"` {
		t.Errorf("got %q, %v, %v", text, err, content.Header)
	}
	if gone, err := bob.Files.Delete(ctx, his); err != nil || !gone.Deleted {
		t.Errorf("got %+v, %v", gone, err)
	}
	if got := listed(t, bob); len(got) > 0 {
		t.Errorf("bob still sees %v", got)
	}
	if _, err := bob.Files.Get(ctx, his); apiError(err) == nil {
		t.Errorf("got %v", err)
	}
	// One that the provider has lost can be taken off the list.
	s.mu.Lock()
	delete(s.files, hers[1])
	s.mu.Unlock()
	if _, err := ann.Files.Delete(ctx, hers[1]); apiError(err) == nil {
		t.Errorf("got %v", err)
	}
	if got := listed(t, ann); len(got) != 2 {
		t.Errorf("ann sees %v", got)
	}
}

// apiError is the error that the official client makes of an answer; nil where it is none.
func apiError(err error) *sdk.Error {
	e, _ := err.(*sdk.Error)
	return e
}

func TestAFileWithoutARecordIsTakenBack(t *testing.T) {
	s := newStudio(t)
	p := start(t, studioSite(s), upKey)
	db, err := sql.Open("sqlite", filepath.Join(p.Dir, "data", "gateway.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec(`CREATE TRIGGER full BEFORE INSERT ON files BEGIN SELECT raise(ABORT, 'full'); END`); err != nil {
		t.Fatal(err)
	}
	contentType, body := form(t, "purpose", "assistants")
	got := p.do("POST", "/v1/files", p.Key, body, "Content-Type", contentType)
	if got.Status != http.StatusServiceUnavailable || !strings.Contains(got.Body, "records of files") {
		t.Errorf("%d %s", got.Status, got.Body)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.files) > 0 || s.next != 1 {
		t.Errorf("the provider keeps %v of %d", s.files, s.next)
	}
}

func TestAzuresClientsFindTheirFiles(t *testing.T) {
	p := start(t, studioSite(newStudio(t)), upKey)
	contentType, body := form(t, "purpose", "assistants")
	uploaded := p.do("POST", "/openai/v1/files", p.Key, body, "Content-Type", contentType)
	id := gjson.Get(uploaded.Body, "id").Str
	if uploaded.Status != http.StatusOK || id == "" {
		t.Fatalf("%d %s", uploaded.Status, uploaded.Body)
	}
	if got := p.do("GET", "/openai/v1/files/"+id, p.Key, ""); got.Status != http.StatusOK {
		t.Errorf("%d %s", got.Status, got.Body)
	}
}
