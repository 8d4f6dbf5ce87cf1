package main

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/caddy-llm/caddy-llm/bench/load"
)

// questionSize is what a request's body is filled up to.
const questionSize = 1 << 10

// words fill up a body: plain English, as prompts mostly are.
const words = "Please read the following report about the state of the project and tell in a few sentences what was done, what is left to do and who " +
	"should know of it, and keep to what the report says. "

// counter is what a question that nobody has asked before differs in.
const counter = "000000000000"

// chat is the body of a chat call of the given size. What fields holds stands before the messages.
func chat(model, fields string, size int) []byte {
	return fill(fmt.Sprintf(`{"model":"%s",%s"messages":[{"role":"system","content":"You summarize reports."},{"role":"user","content":"%s `, model, fields, counter),
		`"}]}`, size)
}

// analysis is the body of a structured prompt.
func analysis(size int) []byte { return fill(`{"prompt":"`, `","cache_ttl":3600}`, size) }

func fill(head, tail string, size int) []byte {
	room := max(size-len(head)-len(tail), 1)
	text := strings.Repeat(words, room/len(words)+1)[:room-1] + "." // no space at the end, which might be trimmed
	return []byte(head + text + tail)
}

// same asks the same each time.
func same(request []byte) func(connection, n int) []byte {
	return func(int, int) []byte { return request }
}

// fresh asks something new each time, for up to a billion requests on each of up to 999 connections. It writes into the request,
// of which each connection has a copy; series sets those of several runs apart.
func fresh(request []byte, connections, series int) func(connection, n int) []byte {
	at := bytes.Index(request, []byte(counter))
	copies := make([][]byte, connections)
	for i := range copies {
		copies[i] = bytes.Clone(request)
	}
	return func(connection, n int) []byte {
		c := copies[connection]
		digits(c[at:at+3], connection)
		digits(c[at+3:at+5], series)
		digits(c[at+5:at+len(counter)], n)
		return c
	}
}

// digits writes the last decimal digits of n.
func digits(dst []byte, n int) {
	for i := len(dst) - 1; i >= 0; i-- {
		dst[i] = '0' + byte(n%10)
		n /= 10
	}
}

// post is a request of a client with a key.
func post(address, path, key string, body []byte) []byte {
	return load.Post(address, path, body, "Authorization", "Bearer "+key)
}
