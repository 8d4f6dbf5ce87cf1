package proxy

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tidwall/gjson"
	"go.uber.org/zap"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/dialect/openai"
	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

// fileAsk is what a call asks of the provider's files.
type fileAsk struct {
	method   string // "" is POST
	resource string // what follows the path of files
}

const (
	// maxFileObject bounds what a provider tells of a file, in bytes: it is kept with the file's record.
	maxFileObject = 4 << 10
	// maxFiles bounds a page of files. It is OpenAI's bound, and its default.
	maxFiles = 10_000
)

// serveFiles answers /v1/files, /v1/files/{id} and /v1/files/{id}/content. All files of all tenants are in one account at the provider,
// so each has a record of whose it is, and the files of others are not there.
func (p *Proxy) serveFiles(w http.ResponseWriter, r *http.Request, call *gateway.Call) error {
	_, resource, _ := strings.Cut(r.URL.Path, "/v1/files") // Azure's clients have a path before it
	id, part, below := strings.Cut(strings.Trim(resource, "/"), "/")
	read := r.Method == http.MethodGet || r.Method == http.MethodHead
	allowed := "GET"
	switch {
	case below && part != "content":
		return call.Fail(w, r, errNoFile)
	case below && read, id != "" && !below && (read || r.Method == http.MethodDelete):
		return p.serveFile(w, r, call, id, below)
	case id == "" && read:
		return p.listFiles(w, r, call)
	case id == "" && r.Method == http.MethodPost:
		return p.uploadFile(w, r, call)
	case id == "":
		allowed = "GET, POST"
	case !below:
		allowed = "GET, DELETE"
	}
	w.Header().Set("Allow", allowed)
	return call.Fail(w, r, dialect.Errorf(dialect.MethodNotAllowed, "use %s", strings.ReplaceAll(allowed, ", ", " or ")))
}

var errNoFile = &dialect.Error{Kind: dialect.NotFound, Field: "file_id", Code: "not_found", Message: "there is no such file here, or it is another tenant's; GET /v1/files lists yours"}

// tenant is whose files a call may see.
func tenant(call *gateway.Call) string {
	if call.Key == nil {
		return ""
	}
	return call.Key.Tenant()
}

// noRecords is the answer where the records of files cannot be read or written.
func noRecords(doing string, err error) *dialect.Error {
	return &dialect.Error{Kind: dialect.StoreUnavailable, Message: "the records of files cannot be reached now; try again", RetryAfter: time.Second, Cause: fmt.Errorf("%s: %w", doing, err)}
}

// uploadFile passes a file on to the first provider that keeps files, and records whose it is. A file whose record cannot be written is
// taken back, since nobody could ever reach it.
func (p *Proxy) uploadFile(w http.ResponseWriter, r *http.Request, call *gateway.Call) error {
	if err := call.Parse(r); err != nil {
		return call.Fail(w, r, err)
	}
	route, fault := p.app.RouteWith(call.Surface)
	if fault != nil {
		return call.Fail(w, r, fault)
	}
	call.Route = route
	reply, err := p.askFiles(r, call, fileAsk{})
	if err != nil {
		return call.Fail(w, r, err)
	}
	file, err := recordOf(reply.Reply, call)
	if err != nil {
		if id := gjson.GetBytes(reply.Body, "id").Str; fileID(id) {
			p.takeBack(r, call, &gateway.File{ID: id, Provider: call.Provider})
		}
		return call.Fail(w, r, err)
	}
	if err := p.app.Files().AddFile(r.Context(), file); err != nil {
		p.takeBack(r, call, file)
		return call.Fail(w, r, noRecords("recording a file", err))
	}
	return p.pass(w, r, call, reply)
}

// recordOf is the record of a file that was just uploaded.
func recordOf(reply *gateway.Reply, call *gateway.Call) (*gateway.File, error) {
	id := gjson.GetBytes(reply.Body, "id").Str
	if reply.Stream != nil {
		reply.Stream.Close()
	}
	if !fileID(id) || len(reply.Body) > maxFileObject {
		return nil, dialect.Errorf(dialect.UpstreamFailed, "the provider's answer is not about a file")
	}
	file := &gateway.File{
		ID: id, Provider: call.Provider, Owner: tenant(call), Purpose: gjson.GetBytes(reply.Body, "purpose").Str,
		Created: time.Now().UTC().Truncate(time.Second), Object: reply.Body,
	}
	if expires := openai.FileExpiry(reply.Body); expires > 0 {
		file.Expires = time.Unix(expires, 0).UTC()
	}
	return file, nil
}

// fileID says whether a text can stand in a path as the id of a file.
func fileID(id string) bool {
	return id != "" && len(id) <= 128 && !strings.ContainsFunc(id, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_'
	})
}

// takeBack deletes a file at its provider, whether or not the client still waits.
func (p *Proxy) takeBack(r *http.Request, call *gateway.Call, file *gateway.File) {
	_, err := p.askFiles(r.WithContext(context.WithoutCancel(r.Context())), call, fileAsk{http.MethodDelete, "/" + file.ID})
	if err != nil {
		p.log.Error("a file was uploaded that nobody can reach, since its record could not be written; delete it at the provider",
			zap.String("request_id", call.ID), zap.String("provider", file.Provider), zap.String("file", file.ID), zap.Error(err))
	}
}

// serveFile answers what a call asks of one file.
func (p *Proxy) serveFile(w http.ResponseWriter, r *http.Request, call *gateway.Call, id string, content bool) error {
	if !fileID(id) {
		return call.Fail(w, r, errNoFile)
	}
	file, err := p.app.Files().FileByID(r.Context(), tenant(call), id)
	switch {
	case errors.Is(err, gateway.ErrFileNotFound):
		return call.Fail(w, r, errNoFile)
	case err != nil:
		return call.Fail(w, r, noRecords("finding a file", err))
	}
	up, ok := p.app.Upstream(file.Provider)
	if !ok || !up.Can(gateway.CanFiles) {
		return call.Fail(w, r, dialect.Errorf(dialect.NotFound, "the provider that keeps this file is not in the gateway's config any more"))
	}
	call.Route = gateway.RouteBy(up)
	ask := fileAsk{method: http.MethodGet, resource: "/" + id}
	if content {
		ask.resource += "/content"
	}
	if r.Method == http.MethodDelete {
		ask.method = http.MethodDelete
	}
	reply, err := p.askFiles(r, call, ask)
	if ask.method == http.MethodDelete && (err == nil || absent(err)) {
		if err := p.app.Files().RemoveFile(context.WithoutCancel(r.Context()), file.Owner, file.Provider, id); err != nil {
			return call.Fail(w, r, noRecords("forgetting a file", err))
		}
	}
	if err != nil {
		return call.Fail(w, r, err)
	}
	return p.pass(w, r, call, reply)
}

// absent says whether a provider does not have what it was asked about.
func absent(err error) bool {
	var e *dialect.Error
	return errors.As(err, &e) && (e.Kind == dialect.NotFound || e.Kind == dialect.ModelNotFound)
}

// askFiles asks the provider of the call's route.
func (p *Proxy) askFiles(r *http.Request, call *gateway.Call, ask fileAsk) (answered, error) {
	request := request{own: written{codec: call.Codec(), body: call.Body()}, ask: ask}
	return p.attempt(r, call, &call.Route.Targets[0], &request, &request.own)
}

// listFiles lists the tenant's files from their records: the provider would list everybody's.
func (p *Proxy) listFiles(w http.ResponseWriter, r *http.Request, call *gateway.Call) error {
	page, fault := filePage(r.URL.Query())
	if fault != nil {
		return call.Fail(w, r, fault)
	}
	limit := page.Limit
	page.Limit++ // one more tells whether there are more
	page.Now = time.Now()
	files, err := p.app.Files().ListFiles(r.Context(), tenant(call), page)
	switch {
	case errors.Is(err, gateway.ErrFileNotFound):
		return call.Fail(w, r, errAfter)
	case err != nil:
		return call.Fail(w, r, noRecords("listing files", err))
	}
	more := len(files) > limit
	files = files[:min(len(files), limit)]
	objects, ids := make([][]byte, len(files)), make([]string, len(files))
	for i, file := range files {
		objects[i], ids[i] = file.Object, file.ID
	}
	return call.ServeBody(w, openai.AppendFiles(nil, objects, ids, more))
}

var errAfter = &dialect.Error{Kind: dialect.InvalidRequest, Field: "after", Message: "after names no file of yours; begin at the first page"}

// filePage reads which files a list is to have.
func filePage(query url.Values) (gateway.FilePage, *dialect.Error) {
	page := gateway.FilePage{Purpose: query.Get("purpose"), After: query.Get("after"), Limit: maxFiles}
	if text := query.Get("limit"); text != "" {
		limit, err := strconv.Atoi(text)
		if err != nil || limit < 1 || limit > maxFiles {
			return page, dialect.Mistyped("limit", fmt.Sprintf("a whole number from 1 to %d", maxFiles))
		}
		page.Limit = limit
	}
	if order := query.Get("order"); !slices.Contains([]string{"", "asc", "desc"}, order) {
		return page, dialect.Mistyped("order", "asc or desc")
	}
	if page.After != "" && !fileID(page.After) {
		return page, errAfter
	}
	page.Oldest = query.Get("order") == "asc"
	return page, nil
}
