package gateway

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/dialect/openai"
)

// isForm says whether a request's body claims to be a form.
func isForm(r *http.Request) bool {
	kind, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
	return strings.EqualFold(strings.TrimSpace(kind), openai.FormType)
}

// takesForm says whether an operation's request may be a form.
func takesForm(operation dialect.Operation) bool {
	switch operation {
	case dialect.ImageEdit, dialect.ImageVariation, dialect.Transcription, dialect.Translation, dialect.Files:
		return true
	}
	return false
}

// peekForm reads what concerns the gateway in a form. Files name no model.
func (c *Call) peekForm(contentType string) *dialect.Error {
	var form openai.Form
	var err *dialect.Error
	if c.Surface.Operation == dialect.Files {
		form, err = openai.PeekForm(contentType, c.Body())
	} else {
		form, err = openai.PeekPassedForm(c.Surface.Operation, contentType, c.Body())
	}
	if err != nil {
		return err
	}
	if namesSecret(form.Model) {
		return errSecretModel
	}
	c.ContentType, c.Model, c.Stream, c.InputTokens = contentType, form.Model, form.Stream, openai.FormTokens(form)
	return nil
}

// peekPassed reads what concerns the gateway in JSON that is passed on.
func (c *Call) peekPassed() *dialect.Error {
	if c.Surface.Operation == dialect.Files {
		return dialect.Errorf(dialect.InvalidRequest, "a file is uploaded in a form; send it as %s", openai.FormType)
	}
	peek, err := openai.PeekPassed(c.Surface.Operation, c.Body())
	if err != nil {
		return err
	}
	if namesSecret(peek.Model) {
		return errSecretModel
	}
	c.Model, c.Stream, c.IncludeUsage, c.MaxTokens = peek.Model, peek.Stream, peek.IncludeUsage, peek.MaxTokens
	c.InputTokens = openai.EstimateInput(c.Body())
	return nil
}

// BeginPassed sends the head of an answer that is passed on, with the provider's own headers that may travel. Provider and Upstream
// must be known.
func (c *Call) BeginPassed(w http.ResponseWriter, header http.Header) {
	h := w.Header()
	for name, values := range header {
		h[name] = values
	}
	h["X-Content-Type-Options"] = []string{"nosniff"} // what it is, a provider or the uploader of a file says, and no browser is to guess
	h["X-Llm-Provider"] = []string{c.Provider}
	if c.Upstream != "" {
		h["X-Llm-Model"] = []string{c.Upstream}
	}
	if c.Attempts > 1 {
		h.Set("X-Llm-Attempts", strconv.Itoa(c.Attempts))
	}
	c.Status = http.StatusOK
	w.WriteHeader(http.StatusOK)
}
