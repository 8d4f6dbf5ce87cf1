package main

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
)

// sentAs is a body and the header that says what it is.
type sentAs struct{ body, header string }

func formOf(t *testing.T, fields ...string) sentAs {
	contentType, body := form(t, fields...)
	return sentAs{body, "Content-Type: " + contentType}
}

func passedExchanges(t *testing.T, c *contract, spent string) (es []exchange) {
	barred := c.newKey(map[string]any{"allowed_models": []string{"other"}})
	asJSON := func(model, text string) sentAs {
		return sentAs{fmt.Sprintf(`{"model":%q,"prompt":%q,"input":%q}`, model, text, text), ""}
	}
	asForm := func(model, text string) sentAs { return formOf(t, "model", model, "prompt", text) }
	asImage := func(model, text string) sentAs {
		sent := asForm(model, text)
		return sentAs{strings.Replace(sent.body, `name="file"`, `name="image"`, 1), sent.header}
	}
	for path, as := range map[string]func(model, text string) sentAs{
		"/v1/completions": asJSON, "/v1/images/generations": asJSON, "/v1/audio/speech": asJSON, "/v1/moderations": asJSON,
		"/v1/images/edits": asImage, "/v1/images/variations": asImage, "/v1/audio/transcriptions": asForm, "/v1/audio/translations": asForm,
	} {
		plain := as("up/m", "hello")
		for _, e := range []struct {
			status int
			key    string
			sent   sentAs
			unseen bool
		}{
			{200, c.Key, plain, false},
			{400, c.Key, as("up/m", refusing+"400"), true},
			{401, "", plain, false},
			{403, barred, plain, true},
			{404, c.Key, as("demo/demo", "hello"), true},
			{409, c.Key, as("up/m", refusing+"409"), true},
			{413, c.Key, as("up/m", padding), true},
			{429, spent, plain, true},
			{502, c.Key, as("up/m", refusing+"403"), true},
			{503, c.Key, as("up/m", refusing+"503"), true},
		} {
			es = append(es, exchange{e.status, "POST", path, e.key, e.sent.body, e.sent.header, e.unseen})
		}
		_, isJSON := strings.CutPrefix(plain.body, "{")
		es = append(es, exchange{415, "POST", path, c.Key, `{"model":"up/m"}`, "Content-Encoding: gzip", isJSON})
	}
	return es
}

func fileExchanges(t *testing.T, c *contract, spent string) []exchange {
	const root = "/v1/files"
	upload := func(status int, key, text string, unseen bool) exchange {
		sent := formOf(t, "purpose", text)
		return exchange{status, "POST", root, key, sent.body, sent.header, unseen}
	}
	refused := func(status int) exchange { return upload(status, c.Key, refusing+strconv.Itoa(status), true) }
	es := []exchange{
		upload(200, c.Key, "hello", false), // which the stand-in calls chatcmpl-1
		{400, "POST", root, c.Key, `{}`, "", false},
		upload(401, "", "hello", false), refused(400), refused(409), upload(413, c.Key, padding, true),
		{415, "POST", root, c.Key, `{}`, "Content-Encoding: gzip", false},
		upload(429, spent, "hello", true), refused(503),
		{200, "GET", root, c.Key, "", "", false},
		{200, "GET", root + "?limit=1&order=asc&purpose=assistants", c.Key, "", "", false},
		{400, "GET", root + "?limit=0", c.Key, "", "", false},
		{400, "GET", root + "?after=file-none", c.Key, "", "", true},
		{401, "GET", root, "", "", "", false},
		{429, "GET", root, spent, "", "", true},
	}
	for _, asked := range []struct{ method, below string }{{"GET", ""}, {"GET", "/content"}, {"DELETE", ""}} {
		es = append(es,
			exchange{200, asked.method, root + "/chatcmpl-1" + asked.below, c.Key, "", "", false},
			exchange{401, asked.method, root + "/chatcmpl-1" + asked.below, "", "", "", false},
			exchange{404, asked.method, root + "/file-none" + asked.below, c.Key, "", "", true},
			exchange{429, asked.method, root + "/chatcmpl-1" + asked.below, spent, "", "", true},
		)
	}
	return es
}
