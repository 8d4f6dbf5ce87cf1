package main

import (
	"fmt"
	"strconv"
	"strings"
)

// contentPath is the address of what a model is to do, in Google's API.
func contentPath(model, method string) string { return "/v1beta/models/" + model + ":" + method }

func googleExchanges(c *contract, spent string) []exchange {
	barred := c.newKey(map[string]any{"allowed_models": []string{"other"}})
	content := func(text string) string { return fmt.Sprintf(`{"role":"user","parts":[{"text":%q}]}`, text) }
	contents := func(text string) string { return `{"contents":[` + content(text) + `]}` }
	cold := `{"contents":[` + content("hello") + `],"generationConfig":{"temperature":0}}`
	generate, stream := contentPath("demo", "generateContent"), contentPath("demo", "streamGenerateContent")
	es := []exchange{
		{200, "POST", generate, c.Key, cold, "", false},
		{200, "POST", generate, c.Key, cold, "", false},
		{200, "POST", generate, "", contents("hello"), "X-Goog-Api-Key: " + c.Key, false},
		{200, "POST", generate + "?key=" + c.Key, "", contents("hello"), "", false},
		{200, "POST", stream + "?alt=sse", c.Key, contents("hello"), "", false},
		{200, "POST", stream + "?alt=sse", c.Key, cold, "", false},
		{200, "POST", stream, c.Key, cold, "", false},
		{400, "POST", generate, c.Key, `{"contents":[],"generationConfig":{"temperature":"hot"}}`, "", false},
		{400, "POST", generate, c.Key, `{"contents":[` + content("hello") + `],"generationConfig":{"topK":5}}`, "", true}, // OpenAI's dialect has none
		{401, "POST", generate + "?key=sp_unknown", "", contents("hello"), "", true},
		{504, "POST", generate, c.Key, contents("never asked"), "Cache-Control: only-if-cached", true},
	}
	for method, body := range map[string]func(text string) string{
		"generateContent": contents, "streamGenerateContent": contents, "countTokens": contents,
		"embedContent":       func(text string) string { return `{"content":` + content(text) + `}` },
		"batchEmbedContents": func(text string) string { return `{"requests":[{"content":` + content(text) + `}]}` },
	} {
		model := "demo"
		if strings.Contains(method, "mbed") {
			model = "demo-embedding"
		}
		path, plain := contentPath(model, method), body("hello")
		es = append(es,
			exchange{200, "POST", path, c.Key, plain, "", false},
			exchange{400, "POST", path, c.Key, `{`, "", false},
			exchange{400, "POST", path, c.Key, `{}`, "", false},
			exchange{401, "POST", path, "", plain, "", false},
			exchange{403, "POST", path, barred, plain, "", true},
			exchange{404, "POST", contentPath("nope", method), c.Key, plain, "", true},
			exchange{413, "POST", path, c.Key, plain + padding, "", true},
			exchange{415, "POST", path, c.Key, plain, "Content-Encoding: br", true},
			exchange{429, "POST", path, spent, plain, "", true},
		)
		if method == "countTokens" {
			continue
		}
		for asked, answered := range map[int]int{400: 400, 409: 409, 422: 422, 429: 429, 403: 502, 500: 502, 503: 503, 504: 504} {
			es = append(es, exchange{answered, "POST", contentPath("m", method), c.Key, body(refusing + strconv.Itoa(asked)), "", true})
		}
	}
	for _, path := range []string{"/v1/models", "/v1/models/demo"} {
		es = append(es, exchange{200, "GET", path, c.Key, "", "X-Goog-Api-Key: " + c.Key, false})
	}
	for _, method := range []string{"GET", "HEAD"} {
		for _, path := range []string{"/v1beta/models", "/v1beta/models/demo"} {
			es = append(es,
				exchange{200, method, path, c.Key, "", "", false},
				exchange{401, method, path, "", "", "", false},
				exchange{429, method, path, spent, "", "", true},
			)
		}
		es = append(es, exchange{404, method, "/v1beta/models/nope", c.Key, "", "", true})
	}
	return es
}
