package crossing

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
	"github.com/caddy-llm/caddy-llm/modules/dialect/anthropic"
	"github.com/caddy-llm/caddy-llm/modules/dialect/gemini"
	"github.com/caddy-llm/caddy-llm/modules/dialect/openai"
	"github.com/caddy-llm/caddy-llm/modules/dialect/responses"
)

const (
	hi      = `"messages":[{"role":"user","content":"Hi"}]`
	hallo   = `"contents":[{"role":"user","parts":[{"text":"Hi"}]}]`
	texted  = `"contents":[{"role":"user","parts":[{"text":"a"},`
	aTool   = `"tools":[{"functionDeclarations":[{"name":"f"},{"name":"g"},{"name":"h"}]}]`
	mediaOf = `"inlineData":{"mimeType":`
	ask     = `"input":"Hi"`
)

// gaps are what a client asks for and the other dialect has not.
var gaps = []struct {
	from, to *dialect.Codec
	body     string
	field    string // that the error names
	says     string
}{
	{&openai.Codec, &anthropic.Codec, hi + `,"temperature":1.5`, "temperature", "at most 1"},
	{&openai.Codec, &anthropic.Codec, hi + `,"seed":7`, "seed", ""},
	{&openai.Codec, &anthropic.Codec, hi + `,"n":2`, "n", ""},
	{&openai.Codec, &anthropic.Codec, hi + `,"frequency_penalty":-0.5`, "frequency_penalty", ""},
	{&openai.Codec, &anthropic.Codec, hi + `,"presence_penalty":1`, "presence_penalty", ""},
	{&openai.Codec, &anthropic.Codec, hi + `,"logprobs":true`, "logprobs", ""},
	{&openai.Codec, &anthropic.Codec, hi + `,"response_format":{"type":"json_object"}`, "response_format", "JSON Schema"},
	{&openai.Codec, &anthropic.Codec, hi + `,"logit_bias":{"50256":-100}`, "logit_bias", "leave it out"},
	{&openai.Codec, &anthropic.Codec, hi + `,"store":true`, "store", ""},
	{&openai.Codec, &anthropic.Codec, hi + `,"modalities":["text","audio"]`, "modalities", ""},
	{&openai.Codec, &anthropic.Codec, hi + `,"min_p":0.1`, "min_p", ""},
	{&openai.Codec, &anthropic.Codec, hi + `,"functions":[{"name":"f"}]`, "functions", ""},
	{&openai.Codec, &anthropic.Codec, hi + `,"tools":[{"type":"function","function":{"name":"f"}},{"type":"custom","custom":{"name":"g"}}]`, "tools.1", ""},
	{&openai.Codec, &anthropic.Codec, hi + `,"tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"auto","tools":[]}}`, "tool_choice", ""},
	{&openai.Codec, &anthropic.Codec, `"messages":[{"role":"user","name":"ann","content":"Hi"}]`, "messages.0.name", ""},
	{&openai.Codec, &anthropic.Codec, `"messages":[{"role":"user","content":[{"type":"text","text":"a"},{"type":"input_audio","input_audio":{"data":"QQ==","format":"wav"}}]}]`, "messages.0.content.1", ""},
	{&openai.Codec, &anthropic.Codec, `"messages":[{"role":"user","content":[{"type":"file","file":{"file_id":"file-1"}},{"type":"text","text":"a"}]}]`, "messages.0.content.0", ""},
	{&openai.Codec, &anthropic.Codec, `"messages":[{"role":"user","content":[{"type":"hologram"},{"type":"text","text":"a"}]}]`, "messages.0.content.0", ""},
	{&anthropic.Codec, &openai.Codec, hi + `,"max_tokens":9,"top_k":5`, "top_k", ""},
	{&anthropic.Codec, &openai.Codec, hi + `,"max_tokens":9,"thinking":{"type":"between_tools"}`, "thinking", ""},
	{&anthropic.Codec, &openai.Codec, hi + `,"max_tokens":9,"container":"c"`, "container", ""},
	{&anthropic.Codec, &openai.Codec, hi + `,"max_tokens":9,"mcp_servers":[{"url":"https://example.com/"}]`, "mcp_servers", ""},
	{&anthropic.Codec, &openai.Codec, hi + `,"max_tokens":9,"tools":[{"type":"web_search_20250305","name":"web_search"}]`, "tools.0", ""},
	{&anthropic.Codec, &openai.Codec, hi + `,"max_tokens":9,"tools":[{"name":"f","input_schema":{},"defer_loading":true}]`, "tools.0.defer_loading", ""},
	{&anthropic.Codec, &openai.Codec, `"max_tokens":9,"messages":[{"role":"user","content":[{"type":"document","source":{"type":"url","url":"https://example.com/a.pdf"}},{"type":"text","text":"a"}]}]`, "messages.0.content.0", "base64"},
	{&anthropic.Codec, &openai.Codec, `"max_tokens":9,"messages":[{"role":"user","content":[{"type":"document","source":{"type":"text","media_type":"text/plain","data":"a"},"citations":{"enabled":true}}]}]`, "messages.0.content.0.citations", ""},
	{&anthropic.Codec, &openai.Codec, `"max_tokens":9,"messages":[{"role":"user","content":[{"type":"tool_result","tool_use_id":"t","content":[{"type":"image","source":{"type":"url","url":"https://example.com/a.png"}}]}]}]`, "messages.0.content.0", "only be text"},
	{&anthropic.Codec, &openai.Codec, `"max_tokens":9,"messages":[{"role":"user","content":[{"type":"search_result","source":"s","title":"t","content":[]},{"type":"text","text":"a"}]}]`, "messages.0.content.0", ""},
	{&anthropic.Codec, &openai.Codec, `"max_tokens":9,"messages":[{"role":"user","content":"a"},{"role":"assistant","content":[{"type":"server_tool_use","id":"s","name":"web_search","input":{}}]}]`, "messages.1.content.0", ""},
	{&openai.Codec, &gemini.Codec, hi + `,"n":2`, "n", ""},
	{&openai.Codec, &gemini.Codec, hi + `,"logprobs":true`, "logprobs", ""},
	{&openai.Codec, &gemini.Codec, hi + `,"logit_bias":{"50256":-100}`, "logit_bias", ""},
	{&openai.Codec, &gemini.Codec, hi + `,"parallel_tool_calls":false,"tools":[{"type":"function","function":{"name":"f"}}]`, "parallel_tool_calls", "several tools"},
	{&openai.Codec, &gemini.Codec, `"messages":[{"role":"user","content":"a"},{"role":"tool","tool_call_id":"lost","content":"b"}]`, "messages.1", ""},
	{&openai.Codec, &gemini.Codec, `"messages":[{"role":"user","content":[{"type":"file","file":{"file_id":"file-1"}},{"type":"text","text":"a"}]}]`, "messages.0.content.0", ""},
	{&anthropic.Codec, &gemini.Codec, `"max_tokens":9,"messages":[{"role":"user","content":[{"type":"document","source":{"type":"text","media_type":"text/plain","data":"a"},"citations":{"enabled":true}}]}]`, "messages.0.content.0.citations", ""},
	{&anthropic.Codec, &gemini.Codec, `"max_tokens":9,"messages":[{"role":"user","content":[{"type":"document","source":{"type":"base64","media_type":"application/pdf","data":"QQ=="},"context":"b"}]}]`, "messages.0.content.0.context", "in a text"},
	{&anthropic.Codec, &gemini.Codec, `"max_tokens":9,"messages":[{"role":"assistant","content":[{"type":"tool_use","id":"t","name":"f","input":{}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"t","content":[{"type":"image","source":{"type":"url","url":"https://example.com/a.png"}}]}]}]`, "messages.1.content.0", "base64"},
	{&gemini.Codec, &openai.Codec, hallo + `,"generationConfig":{"topK":5}`, "generationConfig.topK", ""},
	{&gemini.Codec, &openai.Codec, hallo + `,"generationConfig":{"responseModalities":["TEXT","IMAGE"]}`, "generationConfig.responseModalities", ""},
	{&gemini.Codec, &openai.Codec, hallo + `,"generationConfig":{"candidateCount":2}`, "generationConfig.candidateCount", ""},
	{&gemini.Codec, &openai.Codec, hallo + `,"generationConfig":{"response_logprobs":true}`, "generationConfig.responseLogprobs", ""},
	{&gemini.Codec, &openai.Codec, hallo + `,"generationConfig":{"responseMimeType":"text/x.enum"}`, "generationConfig.responseMimeType", ""},
	{&gemini.Codec, &openai.Codec, hallo + `,"generationConfig":{"thinkingConfig":{"thinkingStyle":"loud"}}`, "generationConfig.thinkingConfig.thinkingStyle", ""},
	{&gemini.Codec, &openai.Codec, hallo + `,"cachedContent":"cachedContents/a"`, "cachedContent", ""},
	{&gemini.Codec, &openai.Codec, hallo + `,"store":true`, "store", ""},
	{&gemini.Codec, &openai.Codec, hallo + `,"tools":[{"functionDeclarations":[{"name":"f"}]},{"google_search":{}}]`, "tools.1.googleSearch", ""},
	{&gemini.Codec, &openai.Codec, hallo + `,"tools":[{"functionDeclarations":[{"name":"f","behavior":"NON_BLOCKING"}]}]`, "tools.0.functionDeclarations.0.behavior", ""},
	{&gemini.Codec, &openai.Codec, hallo + `,` + aTool + `,"toolConfig":{"functionCallingConfig":{"mode":"ANY","allowedFunctionNames":["f","g"]}}`, "toolConfig.functionCallingConfig.allowedFunctionNames", ""},
	{&gemini.Codec, &openai.Codec, hallo + `,"toolConfig":{"retrievalConfig":{"languageCode":"de"}}`, "toolConfig.retrievalConfig", ""},
	{&gemini.Codec, &openai.Codec, texted + `{"fileData":{"mimeType":"video/mp4","fileUri":"https://generativelanguage.googleapis.com/v1beta/files/a"}}]}]`, "contents.0.parts.1", "base64"},
	{&gemini.Codec, &openai.Codec, texted + `{"executableCode":{"language":"PYTHON","code":"1"}}]}]`, "contents.0.parts.1", ""},
	{&gemini.Codec, &anthropic.Codec, hallo + `,"generationConfig":{"seed":5}`, "generationConfig.seed", ""},
	{&gemini.Codec, &anthropic.Codec, hallo + `,"generationConfig":{"responseMimeType":"application/json"}`, "generationConfig.responseJsonSchema", "JSON Schema"},
	{&gemini.Codec, &anthropic.Codec, texted + `{` + mediaOf + `"audio/wav","data":"QQ=="}}]}]`, "contents.0.parts.1", ""},
	{&gemini.Codec, &anthropic.Codec, texted + `{` + mediaOf + `"video/mp4","data":"QQ=="}}]}]`, "contents.0.parts.1", ""},
	{&responses.Codec, &anthropic.Codec, ask + `,"temperature":1.5`, "temperature", "at most 1"},
	{&responses.Codec, &anthropic.Codec, ask + `,"text":{"format":{"type":"json_object"}}`, "text.format", "JSON Schema"},
	{&responses.Codec, &openai.Codec, ask + `,"text":{"format":{"type":"grammar"}}`, "text.format", ""},
	{&responses.Codec, &openai.Codec, ask + `,"text":{"verbosity":"low"}`, "text.verbosity", ""},
	{&responses.Codec, &openai.Codec, ask + `,"reasoning":{"mode":"pro"}`, "reasoning.mode", ""},
	{&responses.Codec, &openai.Codec, ask + `,"store":true`, "store", "leave it out"},
	{&responses.Codec, &openai.Codec, ask + `,"truncation":"auto"`, "truncation", ""},
	{&responses.Codec, &openai.Codec, ask + `,"unheard_of":1`, "unheard_of", ""},
	{&responses.Codec, &openai.Codec, ask + `,"stream":true,"include":["message.output_text.logprobs"]`, "include", ""},
	{&responses.Codec, &gemini.Codec, ask + `,"include":["message.output_text.logprobs"]`, "include", ""},
	{&responses.Codec, &openai.Codec, ask + `,"tools":[{"type":"function","name":"f"},{"type":"web_search"}]`, "tools.1.type", ""},
	{&responses.Codec, &gemini.Codec, ask + `,"tools":[{"type":"mcp","server_label":"s"}]`, "tools.0.type", ""},
	{&responses.Codec, &openai.Codec, ask + `,"tool_choice":{"type":"file_search"}`, "tool_choice", ""},
	{&responses.Codec, &openai.Codec, `"input":[{"role":"user","content":"a"},{"type":"computer_call","id":"c"}]`, "input.1", ""},
	{&responses.Codec, &openai.Codec, `"input":[{"role":"user","content":[{"type":"input_text","text":"a"},{"type":"input_image","file_id":"file-1"}]}]`, "input.0.content.1", ""},
	{&responses.Codec, &anthropic.Codec, `"input":[{"role":"user","content":[{"type":"input_text","text":"a"},{"type":"hologram"}]}]`, "input.0.content.1", ""},
	{&responses.Codec, &openai.Codec, `"input":[{"type":"function_call","call_id":"c","name":"f","arguments":"{}"},{"type":"function_call_output","call_id":"c","output":[{"type":"input_image","image_url":"data:image/png;base64,QQ=="}]}]`, "input.1.output.0", "only be text"},
	{&gemini.Codec, &anthropic.Codec, texted + `{"fileData":{"mimeType":"video/mp4","fileUri":"https://example.com/a"}}]}]`, "contents.0.parts.1", ""},
}

func TestWhatADialectHasNotIsRefusedByTheClientsName(t *testing.T) {
	for _, tt := range gaps {
		t.Run(string(tt.to.Name)+"/"+tt.field, func(t *testing.T) {
			body := []byte(`{"model":"m",` + tt.body + `}`)
			r, fault := tt.from.DecodeRequest(body)
			if fault != nil {
				t.Fatal(fault)
			}
			_, _, fault = tt.to.EncodeRequest(nil, r, dialect.Policy{})
			if fault == nil || fault.Kind != dialect.InvalidRequest || fault.Field != tt.field ||
				!strings.Contains(fault.Message, tt.field) || !strings.Contains(fault.Message, tt.says) {
				t.Errorf("got %v, want a refusal of %s that says %q", fault, tt.field, tt.says)
			}
		})
	}
}

func TestWhatADialectHasNotIsLeftOutAndToldWhereThePolicyAllows(t *testing.T) {
	for _, tt := range gaps {
		t.Run(string(tt.to.Name)+"/"+tt.field, func(t *testing.T) {
			r, fault := tt.from.DecodeRequest([]byte(`{"model":"m",` + tt.body + `}`))
			if fault != nil {
				t.Fatal(fault)
			}
			body, dropped, fault := tt.to.EncodeRequest(nil, r, dialect.Policy{Drop: true})
			if fault != nil || !slices.Equal(dropped, []string{tt.field}) {
				t.Fatalf("got %v, dropped %q, want %q dropped", fault, dropped, tt.field)
			}
			if err := dialect.Check(body); err != nil {
				t.Errorf("%v: %s", err, body)
			}
		})
	}
}

func TestWhatNoClientCanSeeIsLeftOutWithoutAWord(t *testing.T) {
	tests := []struct {
		from, to *dialect.Codec
		body     string
	}{
		{&openai.Codec, &anthropic.Codec, hi + `,"user":"u","metadata":{"a":"b"},"store":false,"service_tier":"flex","prompt_cache_key":"k","prompt_cache_retention":"24h"`},
		{&openai.Codec, &anthropic.Codec, hi + `,"n":1,"frequency_penalty":0,"presence_penalty":0.0,"logprobs":false,"top_logprobs":0,"logit_bias":{},"modalities":["text"],"verbosity":"medium"`},
		{&openai.Codec, &anthropic.Codec, hi + `,"seed":null,"stop":null,"functions":[],"function_call":"auto","temperature":1,"parallel_tool_calls":true,"tool_choice":"auto"`},
		{&openai.Codec, &anthropic.Codec, `"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"https://example.com/","detail":"high"}}]},{"role":"assistant","content":"a","refusal":null,"annotations":[],"audio":null,"function_call":null,"reasoning_content":"Hm."}]`},
		{&anthropic.Codec, &openai.Codec, hi + `,"max_tokens":9,"service_tier":"auto","metadata":{"user_id":"u"},"diagnostics":{"previous_message_id":null},"context_management":{"edits":[]},"speed":"standard","mcp_servers":[],"cache_control":{"type":"ephemeral"}`},
		{&anthropic.Codec, &openai.Codec, hi + `,"max_tokens":9,"thinking":{"type":"adaptive","display":"omitted"},"tools":[{"name":"f","input_schema":{"type":"object"},"eager_input_streaming":true,"allowed_callers":["direct"],"defer_loading":false,"cache_control":{"type":"ephemeral"}}]`},
		{&anthropic.Codec, &openai.Codec, `"max_tokens":9,"messages":[{"role":"assistant","content":[{"type":"thinking","thinking":"a","signature":"b"},{"type":"redacted_thinking","data":"c"},{"type":"tool_use","id":"t","name":"f","input":{},"caller":{"type":"direct"}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"t","is_error":true,"content":"no"}]}]`},
		{&openai.Codec, &gemini.Codec, hi + `,"user":"u","metadata":{"a":"b"},"n":1,"logprobs":false,"top_logprobs":0,"parallel_tool_calls":false,"response_format":{"type":"json_schema","json_schema":{"name":"n","strict":true,"schema":{}}}`},
		{&anthropic.Codec, &gemini.Codec, hi + `,"max_tokens":9,"cache_control":{"type":"ephemeral"},"thinking":{"type":"adaptive","display":"omitted"}`},
		{&gemini.Codec, &openai.Codec, hallo + `,"safetySettings":[{"category":"HARM_CATEGORY_HARASSMENT","threshold":"OFF"}],"serviceTier":"flex","labels":{"a":"b"},"store":false,"cachedContent":"","generationConfig":{"candidateCount":1,"responseModalities":["TEXT"],"audioTimestamp":false,"speechConfig":null,"responseMimeType":"text/plain"}`},
		{&responses.Codec, &openai.Codec, ask + `,"user":"u","safety_identifier":"s","metadata":{"a":"b"},"store":false,"background":false,"service_tier":"flex","prompt_cache_key":"k","truncation":"disabled","max_tool_calls":3,"stream_options":{"include_obfuscation":false},"include":["reasoning.encrypted_content","web_search_call.results"],"top_logprobs":5,"previous_response_id":null,"conversation":null,"prompt":null,"tools":[],"text":{"format":{"type":"text"},"verbosity":"medium"},"reasoning":{"effort":null,"summary":"auto"}`},
		{&responses.Codec, &anthropic.Codec, `"input":[{"type":"message","id":"msg_1","status":"completed","role":"assistant","content":[{"type":"output_text","text":"a","annotations":[],"logprobs":[]}]},{"type":"reasoning","id":"rs_1","summary":[],"encrypted_content":"gAAAA"},{"role":"user","content":"b"}]`},
		{&gemini.Codec, &anthropic.Codec, hallo + `,"tools":[{"functionDeclarations":[{"name":"f","response":{"type":"STRING"}}]}],"toolConfig":{"functionCallingConfig":{"mode":"VALIDATED"}}`},
	}
	for _, tt := range tests {
		r, fault := tt.from.DecodeRequest([]byte(`{"model":"m",` + tt.body + `}`))
		if fault != nil {
			t.Fatalf("%s: %v", tt.body, fault)
		}
		body, dropped, fault := tt.to.EncodeRequest(nil, r, dialect.Policy{})
		if fault != nil || len(dropped) > 0 || !json.Valid(body) {
			t.Errorf("%s becomes %s, %q dropped, %v", tt.body, body, dropped, fault)
		}
	}
}

func TestRequestsThatAreNotAsTheirDialectHasThemAreRefused(t *testing.T) {
	tests := []struct {
		codec       *dialect.Codec
		body, field string
	}{
		{&openai.Codec, `"model":1,` + hi, "model"},
		{&openai.Codec, `"messages":{}`, "messages"},
		{&openai.Codec, `"messages":["a"]`, "messages.0"},
		{&openai.Codec, `"messages":[{"content":"a"}]`, "messages.0.role"},
		{&openai.Codec, `"messages":[{"role":"robot","content":"a"}]`, "messages.0.role"},
		{&openai.Codec, `"messages":[{"role":"user","content":1}]`, "messages.0.content"},
		{&openai.Codec, `"messages":[{"role":"tool","content":"a"}]`, "messages.0.tool_call_id"},
		{&openai.Codec, `"messages":[{"role":"assistant","tool_calls":[{"function":{"name":"f"}}]}]`, "messages.0.tool_calls.0.id"},
		{&openai.Codec, `"messages":[{"role":"assistant","tool_calls":[{"id":"a","function":{}}]}]`, "messages.0.tool_calls.0.function.name"},
		{&openai.Codec, `"messages":[{"role":"assistant","tool_calls":[{"id":"a","function":{"name":"f","arguments":"{\"a\":"}}]}]`, "messages.0.tool_calls.0.function.arguments"},
		{&openai.Codec, `"messages":[{"role":"assistant","tool_calls":[{"id":"a","function":{"name":"f","arguments":"[1]"}}]}]`, "messages.0.tool_calls.0.function.arguments"},
		{&openai.Codec, hi + `,"stop":[1]`, "stop"},
		{&openai.Codec, hi + `,"stop":{}`, "stop"},
		{&openai.Codec, hi + `,"temperature":"0"`, "temperature"},
		{&openai.Codec, hi + `,"stream":"true"`, "stream"},
		{&openai.Codec, hi + `,"tools":{}`, "tools"},
		{&openai.Codec, hi + `,"tools":[{"type":"function","function":{}}]`, "tools.0.function.name"},
		{&openai.Codec, hi + `,"tool_choice":1`, "tool_choice"},
		{&openai.Codec, hi + `,"response_format":{"type":"json_schema","json_schema":{"name":"n"}}`, "response_format.json_schema.schema"},
		{&anthropic.Codec, `"messages":"a"`, "messages"},
		{&anthropic.Codec, `"messages":[{"role":"tool","content":"a"}]`, "messages.0.role"},
		{&anthropic.Codec, `"messages":[{"role":"user"}]`, "messages.0.content"},
		{&anthropic.Codec, `"messages":[{"role":"user","content":{}}]`, "messages.0.content"},
		{&anthropic.Codec, `"messages":[{"role":"user","content":["a"]}]`, "messages.0.content.0"},
		{&anthropic.Codec, `"messages":[{"role":"user","content":[{"type":"text"}]}]`, "messages.0.content.0.text"},
		{&anthropic.Codec, `"messages":[{"role":"user","content":[{"type":"tool_result"}]}]`, "messages.0.content.0.tool_use_id"},
		{&anthropic.Codec, `"messages":[{"role":"assistant","content":[{"type":"tool_use","name":"f","input":{}}]}]`, "messages.0.content.0.id"},
		{&anthropic.Codec, `"messages":[{"role":"assistant","content":[{"type":"tool_use","id":"a","input":{}}]}]`, "messages.0.content.0.name"},
		{&anthropic.Codec, `"messages":[{"role":"assistant","content":[{"type":"tool_use","id":"a","name":"f","input":"x"}]}]`, "messages.0.content.0.input"},
		{&anthropic.Codec, hi + `,"max_tokens":"9"`, "max_tokens"},
		{&anthropic.Codec, hi + `,"system":1`, "system"},
		{&anthropic.Codec, hi + `,"system":[{"type":"image"}]`, "system.0.type"},
		{&anthropic.Codec, hi + `,"stop_sequences":"a"`, "stop_sequences"},
		{&anthropic.Codec, hi + `,"stream":1`, "stream"},
		{&anthropic.Codec, hi + `,"tools":[{}]`, "tools.0.name"},
		{&anthropic.Codec, hi + `,"tool_choice":{"type":"tool"}`, "tool_choice.name"},
		{&anthropic.Codec, hi + `,"tool_choice":{"type":"some"}`, "tool_choice.type"},
		{&anthropic.Codec, hi + `,"output_config":{"format":{"type":"json_schema"}}`, "output_config.format.schema"},
		{&anthropic.Codec, hi + `,"thinking":{"type":"enabled","budget_tokens":"9"}`, "thinking.budget_tokens"},
		{&responses.Codec, `"model":1,` + ask, "model"},
		{&responses.Codec, `"input":{}`, "input"},
		{&responses.Codec, `"input":["a"]`, "input.0"},
		{&responses.Codec, `"input":[{"content":"a"}]`, "input.0.role"},
		{&responses.Codec, `"input":[{"role":"robot","content":"a"}]`, "input.0.role"},
		{&responses.Codec, `"input":[{"role":"user","content":1}]`, "input.0.content"},
		{&responses.Codec, `"input":[{"type":"function_call","name":"f"}]`, "input.0.call_id"},
		{&responses.Codec, `"input":[{"type":"function_call","call_id":"c"}]`, "input.0.name"},
		{&responses.Codec, `"input":[{"type":"function_call","call_id":"c","name":"f","arguments":"[1]"}]`, "input.0.arguments"},
		{&responses.Codec, `"input":[{"type":"function_call_output","output":"a"}]`, "input.0.call_id"},
		{&responses.Codec, `"input":[{"type":"item_reference","id":"msg_1"}]`, "input.0"},
		{&responses.Codec, `"input":[{"id":"msg_1"}]`, "input.0"},
		{&responses.Codec, ask + `,"previous_response_id":"resp_1"`, "previous_response_id"},
		{&responses.Codec, ask + `,"conversation":{"id":"conv_1"}`, "conversation"},
		{&responses.Codec, ask + `,"prompt":{"id":"p"}`, "prompt"},
		{&responses.Codec, ask + `,"background":true`, "background"},
		{&responses.Codec, ask + `,"instructions":1`, "instructions"},
		{&responses.Codec, ask + `,"temperature":"0"`, "temperature"},
		{&responses.Codec, ask + `,"tools":{}`, "tools"},
		{&responses.Codec, ask + `,"tools":[{}]`, "tools.0.type"},
		{&responses.Codec, ask + `,"tools":[{"type":"function"}]`, "tools.0.name"},
		{&responses.Codec, ask + `,"tool_choice":1`, "tool_choice"},
		{&responses.Codec, ask + `,"text":"a"`, "text"},
		{&responses.Codec, ask + `,"text":{"format":{"type":"json_schema","name":"n"}}`, "text.format.schema"},
		{&responses.Codec, ask + `,"reasoning":"high"`, "reasoning"},
		{&responses.Codec, ask + `,"include":"a"`, "include"},
		{&gemini.Codec, `"contents":"a"`, "contents"},
		{&gemini.Codec, `"contents":["a"]`, "contents.0"},
		{&gemini.Codec, `"contents":[{"role":"assistant","parts":[]}]`, "contents.0.role"},
		{&gemini.Codec, `"contents":[{"role":"user"}]`, "contents.0.parts"},
		{&gemini.Codec, `"contents":[{"parts":["a"]}]`, "contents.0.parts.0"},
		{&gemini.Codec, `"contents":[{"parts":[{"functionCall":{"args":{}}}]}]`, "contents.0.parts.0.functionCall.name"},
		{&gemini.Codec, `"contents":[{"parts":[{"functionCall":{"name":"f","args":"x"}}]}]`, "contents.0.parts.0.functionCall.args"},
		{&gemini.Codec, `"contents":[{"parts":[{"functionResponse":{"response":{}}}]}]`, "contents.0.parts.0.functionResponse.name"},
		{&gemini.Codec, `"contents":[{"parts":[{"functionResponse":{"name":"f","response":"x"}}]}]`, "contents.0.parts.0.functionResponse.response"},
		{&gemini.Codec, hallo + `,"systemInstruction":1`, "systemInstruction"},
		{&gemini.Codec, hallo + `,"systemInstruction":{"parts":[{"text":"a"},{"inlineData":{}}]}`, "systemInstruction.parts.1"},
		{&gemini.Codec, hallo + `,"tools":"f"`, "tools"},
		{&gemini.Codec, hallo + `,"tools":[{"functionDeclarations":[{}]}]`, "tools.0.functionDeclarations.0.name"},
		{&gemini.Codec, hallo + `,"toolConfig":{"functionCallingConfig":{"mode":"SOME"}}`, "toolConfig.functionCallingConfig.mode"},
		{&gemini.Codec, hallo + `,"generationConfig":[]`, "generationConfig"},
		{&gemini.Codec, hallo + `,"generationConfig":{"maxOutputTokens":"9"}`, "generationConfig.maxOutputTokens"},
		{&gemini.Codec, hallo + `,"generationConfig":{"stopSequences":"a"}`, "generationConfig.stopSequences"},
		{&gemini.Codec, hallo + `,"generationConfig":{"stopSequences":[1]}`, "generationConfig.stopSequences"},
		{&gemini.Codec, hallo + `,"generationConfig":{"thinkingConfig":{"thinkingBudget":"9"}}`, "generationConfig.thinkingConfig.thinkingBudget"},
		{&gemini.Codec, hallo + `,"generationConfig":{"thinkingConfig":{"thinkingLevel":9}}`, "generationConfig.thinkingConfig.thinkingLevel"},
	}
	for _, tt := range tests {
		_, fault := tt.codec.DecodeRequest([]byte("{" + tt.body + "}"))
		if fault == nil || fault.Kind != dialect.InvalidRequest || fault.Field != tt.field {
			t.Errorf("%s gives %v, want a refusal of %s", tt.body, fault, tt.field)
		}
	}
}
