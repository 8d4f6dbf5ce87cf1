package keys

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

const (
	defaultPage = 100
	maxPage     = 1000
)

// The collections that the API manages, as paths begin.
const (
	keysPath  = "/keys"
	teamsPath = "/teams"
)

// api is the API of keys and teams without a transport: the HTTP surface, Caddy's admin endpoint and the command line all serve it.
type api struct {
	ring *gateway.Keyring
	now  func() time.Time
	// imports lets keys be made of given secrets. The HTTP surface has it off.
	imports bool
}

// request is what a transport hands over. The transport has decided that the caller may.
type request struct {
	method string
	path   string // below the API's root, as in "/keys/key_3f9a/rotate"
	query  url.Values
	body   func() ([]byte, *dialect.Error) // called once at most, and only where the operation takes a body

	id string // of the key, or the team's name, from the path
}

// reply is what a transport sends.
type reply struct {
	status int
	body   any    // to be sent as JSON; nil where there is none
	allow  string // the methods of the path, where the request's is none of them
}

type operation func(context.Context, *request) (reply, *dialect.Error)

func (a *api) serve(ctx context.Context, req *request) (reply, *dialect.Error) {
	operations := a.operations(req)
	if operations == nil {
		return reply{}, dialect.Errorf(dialect.NotFound, "the key API has no such path")
	}
	do, ok := operations[req.method]
	if !ok {
		allow := strings.Join(slices.Sorted(maps.Keys(operations)), ", ")
		return reply{allow: allow}, dialect.Errorf(dialect.MethodNotAllowed, "this path takes %s", allow)
	}
	return do(ctx, req)
}

// operations finds what a path offers by method, and the id in it; nil where there is no such path.
func (a *api) operations(req *request) map[string]operation {
	collection, below, _ := strings.Cut(strings.TrimPrefix(strings.TrimSuffix(req.path, "/"), "/"), "/")
	switch "/" + collection {
	case keysPath:
		return a.keyOperations(req, below)
	case teamsPath:
		return a.teamOperations(req, below)
	}
	return nil
}

func (a *api) keyOperations(req *request, path string) map[string]operation {
	if path == "" {
		return map[string]operation{http.MethodGet: a.list, http.MethodPost: a.create}
	}
	if a.imports && path == "import" {
		return map[string]operation{http.MethodPost: a.importKey}
	}
	id, action, acts := strings.Cut(path, "/")
	if id == "" {
		return nil
	}
	req.id = id
	switch {
	case !acts:
		return map[string]operation{http.MethodGet: a.show, http.MethodPatch: a.update, http.MethodDelete: a.remove}
	case action == "activate":
		return map[string]operation{http.MethodPost: a.activate}
	case action == "rotate":
		return map[string]operation{http.MethodPost: a.rotate}
	}
	return nil
}

func (a *api) list(ctx context.Context, req *request) (reply, *dialect.Error) {
	limit, failure := req.pageSize()
	if failure != nil {
		return reply{}, failure
	}
	found, err := a.ring.Keys(ctx, req.query.Get("after"), limit+1)
	if errors.Is(err, gateway.ErrKeyNotFound) {
		return reply{}, invalid("after", "there is no key with this id; begin again without it")
	}
	if err != nil {
		return reply{}, storeFailure(err)
	}
	page := pageJSON{Data: make([]keyJSON, 0, len(found)), HasMore: len(found) > limit}
	for _, key := range found[:min(len(found), limit)] {
		page.Data = append(page.Data, represent(key))
	}
	return reply{status: http.StatusOK, body: page}, nil
}

// pageSize is how many elements of a list are asked for.
func (req *request) pageSize() (int, *dialect.Error) {
	text := req.query.Get("limit")
	if text == "" {
		return defaultPage, nil
	}
	size, err := strconv.Atoi(text)
	if err != nil || size < 1 || size > maxPage {
		return 0, invalid("limit", "this must be a whole number from 1 to %d", maxPage)
	}
	return size, nil
}

func (a *api) create(ctx context.Context, req *request) (reply, *dialect.Error) {
	s, failure := a.settings(req, createFields)
	if failure != nil {
		return reply{}, failure
	}
	key, secret, err := a.ring.Create(ctx, s.newKey())
	if err != nil {
		return reply{}, storeFailure(err)
	}
	shown := represent(key)
	shown.Key = secret
	return reply{status: http.StatusCreated, body: shown}, nil
}

// importKey makes a key of a given secret, so that clients keep what they have when they move here. Where the secret
// is a key already, that key is the answer, unchanged.
func (a *api) importKey(ctx context.Context, req *request) (reply, *dialect.Error) {
	s, failure := a.settings(req, importFields)
	if failure != nil {
		return reply{}, failure
	}
	if s.secret == "" {
		return reply{}, invalid("key", "the key to import is missing")
	}
	key, created, err := a.ring.Import(ctx, s.newKey())
	if errors.Is(err, gateway.ErrKeyNotFound) { // the store knows the secret, but no key has it any more
		failure := conflict("this secret was a key's and has been rotated away; import another")
		failure.Field = "key"
		return reply{}, failure
	}
	if err != nil {
		return reply{}, storeFailure(err)
	}
	shown := represent(key)
	shown.Created = &created
	if !created {
		return reply{status: http.StatusOK, body: shown}, nil
	}
	shown.Key = s.secret
	return reply{status: http.StatusCreated, body: shown}, nil
}

func (a *api) show(ctx context.Context, req *request) (reply, *dialect.Error) {
	return shown(a.ring.Key(ctx, req.id))
}

func (a *api) update(ctx context.Context, req *request) (reply, *dialect.Error) {
	s, failure := a.settings(req, updateFields)
	if failure != nil {
		return reply{}, failure
	}
	return shown(a.ring.Update(ctx, req.id, s.KeyChange))
}

// remove revokes a key, which can be undone, or with purge=true deletes it for good.
func (a *api) remove(ctx context.Context, req *request) (reply, *dialect.Error) {
	switch req.query.Get("purge") {
	case "", "false":
		return shown(a.ring.Revoke(ctx, req.id))
	case "true":
		if err := a.ring.Delete(ctx, req.id); err != nil {
			return reply{}, storeFailure(err)
		}
		return reply{status: http.StatusNoContent}, nil
	}
	return reply{}, invalid("purge", "this must be true or false")
}

func (a *api) activate(ctx context.Context, req *request) (reply, *dialect.Error) {
	return shown(a.ring.Activate(ctx, req.id))
}

// rotate gives a key a fresh secret. Without a body there is no grace: the former secret ends at once.
func (a *api) rotate(ctx context.Context, req *request) (reply, *dialect.Error) {
	body, failure := req.body()
	if failure != nil {
		return reply{}, failure
	}
	var grace time.Duration
	if len(body) > 0 {
		s, failure := parseSettings(body, rotateFields, a.now())
		if failure != nil {
			return reply{}, failure
		}
		grace = s.grace
	}
	key, secret, err := a.ring.Rotate(ctx, req.id, grace)
	if err != nil {
		return reply{}, storeFailure(err)
	}
	answer := represent(key)
	answer.Key = secret
	return reply{status: http.StatusOK, body: answer}, nil
}

func (a *api) settings(req *request, fields []string) (*settings, *dialect.Error) {
	body, failure := req.body()
	if failure != nil {
		return nil, failure
	}
	return parseSettings(body, fields, a.now())
}

func shown(key *gateway.Key, err error) (reply, *dialect.Error) {
	if err != nil {
		return reply{}, storeFailure(err)
	}
	return reply{status: http.StatusOK, body: represent(key)}, nil
}

// storeFailure tells what is not there, or not to be done, from a store that does not answer. It does not quote the id,
// since somebody may have sent a secret in its place.
func storeFailure(err error) *dialect.Error {
	switch {
	case errors.Is(err, gateway.ErrKeyNotFound):
		return dialect.Errorf(dialect.NotFound, "there is no key with this id; list the keys to see those that exist")
	case errors.Is(err, gateway.ErrTeamNotFound):
		return dialect.Errorf(dialect.NotFound, "there is no team of this name; list the teams to see those that exist")
	case errors.Is(err, gateway.ErrTeamExists):
		return conflict("there is a team of this name already; change that one, or choose another name")
	case errors.Is(err, gateway.ErrTeamInUse):
		return conflict("the team has keys that are active; revoke them or move them to another team, and delete it then")
	}
	return &dialect.Error{Kind: dialect.StoreUnavailable, Message: "the key store does not answer; try again",
		RetryAfter: time.Second, Retryable: true, Cause: err}
}

// conflict is about what cannot be done as things stand.
func conflict(message string) *dialect.Error {
	return &dialect.Error{Kind: dialect.Validation, Status: http.StatusConflict, Message: message}
}
