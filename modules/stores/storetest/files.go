package storetest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

// Files runs the behaviour suite of file stores. Each call of open must return a store that holds nothing yet, and must see to its end
// itself.
func Files(t *testing.T, open func(t *testing.T) gateway.FileStore) {
	for _, test := range []struct {
		behaviour string
		check     func(*fileSuite)
	}{
		{"every field survives", (*fileSuite).roundTrip},
		{"nobody but its owner finds, lists or removes a file", (*fileSuite).owners},
		{"an id that a provider gives out again leads to the new file", (*fileSuite).again},
		{"the newest is meant where two providers gave out one id", (*fileSuite).twoProviders},
		{"a page does not go on after a file that is not there", (*fileSuite).lostPage},
		{"any sequence of calls agrees with a model", (*fileSuite).agreesWithModel},
		{"a cancelled context ends every call", (*fileSuite).cancelled},
	} {
		t.Run(test.behaviour, func(t *testing.T) {
			test.check(&fileSuite{T: t, store: open(t), now: time.Date(2026, 3, 14, 15, 9, 26, 0, time.UTC)})
		})
	}
}

type fileSuite struct {
	*testing.T
	store gateway.FileStore
	now   time.Time
}

// file is an ordinary file.
func (s *fileSuite) file(owner, id string) *gateway.File {
	return &gateway.File{ID: id, Provider: "openai", Owner: owner, Purpose: "assistants", Created: s.now, Object: []byte(`{"id":"` + id + `"}`)}
}

func (s *fileSuite) add(f *gateway.File) {
	s.Helper()
	if err := s.store.AddFile(s.Context(), f); err != nil {
		s.Fatalf("adding %+v: %v", f, err)
	}
}

func (s *fileSuite) finds(owner, id string, want *gateway.File) {
	s.Helper()
	got, err := s.store.FileByID(s.Context(), owner, id)
	if want == nil {
		if !errors.Is(err, gateway.ErrFileNotFound) {
			s.Fatalf("%s of %s: got %+v and error %v, want ErrFileNotFound", id, owner, got, err)
		}
		return
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		s.Fatalf("%s of %s: got %+v and error %v, want %+v", id, owner, got, err, want)
	}
}

func (s *fileSuite) list(owner string, page gateway.FilePage) []string {
	s.Helper()
	page.Now = s.now
	files, err := s.store.ListFiles(s.Context(), owner, page)
	if err != nil {
		s.Fatalf("listing files: %v", err)
	}
	return idsOf(files)
}

func idsOf(files []*gateway.File) []string {
	ids := []string{}
	for _, f := range files {
		ids = append(ids, f.Provider+"/"+f.ID)
	}
	return ids
}

func (s *fileSuite) roundTrip() {
	f := s.file("team:platform", "file-1")
	f.Expires = s.now.Add(time.Hour)
	f.Object = []byte(`{"id":"file-1","filename":"Ü \u0000 .jsonl"}`)
	s.add(f)
	s.finds(f.Owner, f.ID, f)
}

func (s *fileSuite) owners() {
	f := s.file("team:platform", "file-1")
	s.add(f)
	for _, other := range []string{"", "team:", "team:Platform", "key:platform", "team:platform ", "team:%", "platform"} {
		s.finds(other, f.ID, nil)
		if got := s.list(other, gateway.FilePage{Limit: 10}); len(got) > 0 {
			s.Errorf("%q lists %v", other, got)
		}
		if err := s.store.RemoveFile(s.Context(), other, f.Provider, f.ID); err != nil {
			s.Errorf("removing what is not there: %v", err)
		}
	}
	for _, other := range []string{"", "File-1", "file-1 ", "file_1", "file%"} {
		s.finds(f.Owner, other, nil)
	}
	s.finds(f.Owner, f.ID, f)
	if err := s.store.RemoveFile(s.Context(), f.Owner, f.Provider, f.ID); err != nil {
		s.Fatalf("removing: %v", err)
	}
	s.finds(f.Owner, f.ID, nil)
}

func (s *fileSuite) again() {
	s.add(s.file("key:a", "file-1"))
	next := s.file("key:b", "file-1")
	next.Created = s.now.Add(time.Hour)
	s.add(next)
	s.finds("key:a", "file-1", nil)
	s.finds("key:b", "file-1", next)
}

func (s *fileSuite) twoProviders() {
	older, newer := s.file("key:a", "file-1"), s.file("key:a", "file-1")
	newer.Provider, newer.Created = "another", s.now.Add(time.Second)
	s.add(newer)
	s.add(older)
	s.finds("key:a", "file-1", newer)
	if err := s.store.RemoveFile(s.Context(), "key:a", newer.Provider, "file-1"); err != nil {
		s.Fatal(err)
	}
	s.finds("key:a", "file-1", older)
}

func (s *fileSuite) lostPage() {
	s.add(s.file("key:a", "file-1"))
	s.add(s.file("key:b", "file-2"))
	for _, after := range []string{"file-2", "file-3"} {
		if _, err := s.store.ListFiles(s.Context(), "key:a", gateway.FilePage{After: after, Limit: 1, Now: s.now}); !errors.Is(err, gateway.ErrFileNotFound) {
			s.Errorf("after %s: got error %v, want ErrFileNotFound", after, err)
		}
	}
}

func (s *fileSuite) agreesWithModel() {
	owners := []string{"", "key:a", "team:a"}
	ids := []string{"f-1", "f-10", "f-2", "F-1", "f_1"}
	rapid.Check(s.T, func(t *rapid.T) {
		model := map[string]*gateway.File{} // by id: one provider gives them out
		t.Repeat(map[string]func(*rapid.T){
			"add": func(t *rapid.T) {
				f := s.file(rapid.SampledFrom(owners).Draw(t, "owner"), rapid.SampledFrom(ids).Draw(t, "id"))
				f.Purpose = rapid.SampledFrom([]string{"batch", "vision"}).Draw(t, "purpose")
				f.Created = s.now.Add(time.Duration(rapid.IntRange(-2, 0).Draw(t, "created")) * time.Second)
				if rapid.Bool().Draw(t, "expires") {
					f.Expires = s.now.Add(time.Duration(rapid.IntRange(-1, 1).Draw(t, "in")) * time.Second)
				}
				s.add(f)
				model[f.ID] = f
			},
			"remove": func(t *rapid.T) {
				owner, id := rapid.SampledFrom(owners).Draw(t, "owner"), rapid.SampledFrom(ids).Draw(t, "id")
				if err := s.store.RemoveFile(s.Context(), owner, "openai", id); err != nil {
					t.Fatal(err)
				}
				if f := model[id]; f != nil && f.Owner == owner {
					delete(model, id)
				}
			},
			"find": func(t *rapid.T) {
				owner, id := rapid.SampledFrom(owners).Draw(t, "owner"), rapid.SampledFrom(ids).Draw(t, "id")
				want := model[id]
				if want != nil && want.Owner != owner {
					want = nil
				}
				s.finds(owner, id, want)
			},
			"list": func(t *rapid.T) {
				owner := rapid.SampledFrom(owners).Draw(t, "owner")
				page := gateway.FilePage{
					Purpose: rapid.SampledFrom([]string{"", "batch"}).Draw(t, "purpose"),
					Oldest:  rapid.Bool().Draw(t, "oldest"), Limit: rapid.IntRange(0, 3).Draw(t, "limit"),
				}
				var want []*gateway.File
				for _, f := range model {
					if f.Owner == owner && (page.Purpose == "" || page.Purpose == f.Purpose) && (f.Expires.IsZero() || f.Expires.After(s.now)) {
						want = append(want, f)
					}
				}
				slices.SortFunc(want, func(a, b *gateway.File) int {
					order := a.Created.Compare(b.Created)
					if order == 0 {
						order = strings.Compare(a.ID, b.ID)
					}
					if !page.Oldest {
						order = -order
					}
					return order
				})
				if len(want) > 0 && rapid.Bool().Draw(t, "goes on") {
					at := rapid.IntRange(0, len(want)-1).Draw(t, "at")
					page.After, want = want[at].ID, want[at+1:]
				}
				want = want[:min(len(want), page.Limit)]
				if got := s.list(owner, page); !slices.Equal(got, idsOf(want)) {
					t.Fatalf("%+v of %q: got %v, want %v", page, owner, got, idsOf(want))
				}
			},
		})
		for id, f := range model { // so that the next sequence finds nothing
			if err := s.store.RemoveFile(s.Context(), f.Owner, f.Provider, id); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func (s *fileSuite) cancelled() {
	ctx, cancel := context.WithCancel(s.Context())
	cancel()
	_, findErr := s.store.FileByID(ctx, "key:a", "file-1")
	_, listErr := s.store.ListFiles(ctx, "key:a", gateway.FilePage{Limit: 1, Now: s.now})
	for call, err := range map[string]error{
		"AddFile": s.store.AddFile(ctx, s.file("key:a", "file-1")), "RemoveFile": s.store.RemoveFile(ctx, "key:a", "openai", "file-1"),
		"FileByID": findErr, "ListFiles": listErr,
	} {
		if !errors.Is(err, context.Canceled) {
			s.Errorf("%s: got error %v", call, fmt.Sprint(err))
		}
	}
}
