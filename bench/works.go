package main

import (
	"context"
	"slices"

	"github.com/caddy-llm/caddy-llm/bench/fleet"
	"github.com/caddy-llm/caddy-llm/bench/report"
	"github.com/caddy-llm/caddy-llm/bench/upstream"
)

// unlimited is a limit that no benchmark reaches.
const unlimited = "1000000000/1h"

// servers are what the works ask.
type servers struct {
	upstream, redis *fleet.Process
	stock           *fleet.Stock
	memory, shared  *fleet.Gateway // limits and answers in memory, and in Redis
}

func startServers(ctx context.Context, f *fleet.Fleet, binaries binaries) (s servers, err error) {
	if s.upstream, err = f.Upstream(ctx, 0); err != nil {
		return s, err
	}
	if s.redis, err = f.Redis(ctx); err != nil {
		return s, err
	}
	if s.stock, err = f.Stock(ctx, binaries.stock, s.upstream.Port); err != nil {
		return s, err
	}
	if s.memory, err = f.Gateway(ctx, binaries.gateway, s.upstream.Port, 0); err != nil {
		return s, err
	}
	s.shared, err = f.Gateway(ctx, binaries.gateway, s.upstream.Port, s.redis.Port)
	return s, err
}

// makeWorks are all works, each reference beside what is compared to it, since what is measured at the same time compares best.
func makeWorks(ctx context.Context, s servers) ([]*work, error) {
	key, err := s.memory.Key(ctx, unlimited)
	if err != nil {
		return nil, err
	}
	sharedKey, err := s.shared.Key(ctx, unlimited)
	if err != nil {
		return nil, err
	}
	const (
		chatPath   = "/v1/chat/completions"
		completion = "chatcmpl-bench0123456789"
		ended      = "data: [DONE]"
		fromCache  = "X-Cache: HIT"
		passedBy   = "X-Cache: BYPASS"
		streamed   = `"stream":true,`
		analyzed   = `"cached":true`
	)
	stock := func(name, path string, body []byte, expect ...string) *work {
		return &work{name: name, server: s.stock.Process, caddy: s.stock.Caddy, request: post(s.stock.Address(), path, key, body), expect: expect}
	}
	ours := func(name, path string, body []byte, expect ...string) *work {
		return &work{name: name, server: s.memory.Process, caddy: s.memory.Caddy, request: post(s.memory.Address(), path, key, body), expect: expect}
	}
	redis := func(name, path string, body []byte, expect ...string) *work {
		return &work{name: name, server: s.shared.Process, caddy: s.shared.Caddy, redis: s.redis,
			request: post(s.shared.Address(), path, sharedKey, body), expect: expect}
	}
	question := chat(upstream.Model, "", questionSize)
	repeated := chat(upstream.Model, repeatable, questionSize)
	streaming := chat(upstream.Model, streamed, questionSize)
	pacing := chat(upstream.PacedModel, streamed, questionSize)

	bare := &work{name: direct, server: s.upstream, request: post(s.upstream.Address(), chatPath, key, question),
		expect: []string{completion}, ways: []report.Way{report.Alone, report.Open}}
	fixed := stock(respond, chatPath, question, completion)
	fixed.port = s.stock.Respond
	missing := ours(missed, chatPath, repeated, completion)
	missing.fresh = true
	works := []*work{
		bare,
		fixed,
		ours(hit, chatPath, repeated, completion, fromCache),
		redis(hitRedis, chatPath, repeated, completion, fromCache),
		ours(analyzeHit, "/v1/analyze/", analysis(questionSize), analyzed),
		stock(plain, chatPath, question, completion),
		ours(proxied, chatPath, question, completion, passedBy),
		missing,
		redis(proxiedRedis, chatPath, question, completion, passedBy),
		ours(translated, chatPath, chat(upstream.ClaudeModel, "", questionSize), "msg_bench0123456789"),
		stock(plainStream, chatPath, streaming, ended),
		ours(stream, chatPath, streaming, ended),
		ours(translatedStream, chatPath, chat(upstream.ClaudeModel, streamed, questionSize), ended),
		stock(plainPaced, chatPath, pacing, ended),
		ours(paced, chatPath, pacing, ended),
	}
	for _, w := range works {
		if w.ways != nil {
			continue
		}
		w.ways = []report.Way{report.Busy, report.Alone}
		if slices.Contains([]string{respond, hit, plain, proxied}, w.name) {
			w.ways = append(w.ways, report.Open)
		}
	}
	for _, w := range works {
		if err := w.check(ctx); err != nil {
			return nil, err
		}
	}
	return works, nil
}
