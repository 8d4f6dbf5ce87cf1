package gateway

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
)

// exposedHeaders are the response headers that a page may read.
const exposedHeaders = "X-Request-Id, Retry-After, X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Reset, RateLimit, RateLimit-Policy, " +
	"X-RateLimit-Limit-Requests, X-RateLimit-Remaining-Requests, X-RateLimit-Reset-Requests, X-RateLimit-Limit-Tokens, X-RateLimit-Remaining-Tokens, X-RateLimit-Reset-Tokens, " +
	"Request-Id, Retry-After-Ms, X-Should-Retry, Content-Disposition, " +
	"Anthropic-Ratelimit-Requests-Limit, Anthropic-Ratelimit-Requests-Remaining, Anthropic-Ratelimit-Requests-Reset, " +
	"Anthropic-Ratelimit-Tokens-Limit, Anthropic-Ratelimit-Tokens-Remaining, Anthropic-Ratelimit-Tokens-Reset, " +
	"X-Cache, Cache-Status, Age, X-LLM-Provider, X-LLM-Model, X-LLM-Attempts"

func (app *App) checkCORS() error {
	for _, origin := range app.CORS {
		if origin == "*" {
			continue
		}
		u, err := url.Parse(origin)
		if err != nil || u.Scheme == "" || u.Host == "" || u.Path != "" || u.RawQuery != "" {
			return fmt.Errorf("cors: %q is no origin; write scheme and host, as in https://app.example.com", origin)
		}
	}
	return nil
}

// allowOrigin sets what a browser needs to let a page of an allowed origin read the answer.
func (app *App) allowOrigin(h http.Header, r *http.Request) {
	origin := r.Header.Get("Origin")
	h.Add("Vary", "Origin")
	if origin == "" || !slices.Contains(app.CORS, "*") && !slices.Contains(app.CORS, origin) {
		return
	}
	h.Set("Access-Control-Allow-Origin", origin)
	h.Set("Access-Control-Expose-Headers", exposedHeaders)
}

// Preflight answers a browser's question before a call, which carries no credential. It says whether it did.
func (c *Call) Preflight(w http.ResponseWriter, r *http.Request) bool {
	if r.Method != http.MethodOptions || len(c.App.CORS) == 0 || r.Header.Get("Access-Control-Request-Method") == "" {
		return false
	}
	h := w.Header()
	if h.Get("Access-Control-Allow-Origin") != "" {
		h.Set("Access-Control-Allow-Methods", "GET, POST, PATCH, DELETE")
		h.Set("Access-Control-Allow-Headers", r.Header.Get("Access-Control-Request-Headers"))
		h.Set("Access-Control-Max-Age", "600")
	}
	c.Status = http.StatusNoContent
	w.WriteHeader(http.StatusNoContent)
	return true
}
