package main

import (
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-llm/caddy-llm/modules/gateway"
)

// The page that claims to have every option has every module's id, and every field of its JSON.
func TestConfigurationPageNamesEveryOption(t *testing.T) {
	text, err := os.ReadFile("../docs/CONFIGURATION.md")
	if err != nil {
		t.Fatal(err)
	}
	page := string(text)
	options := 0
	for _, id := range caddy.Modules() {
		if !strings.HasPrefix(id, gateway.AppName) && !strings.Contains(id, ".llm_") {
			continue
		}
		if !strings.Contains(page, "`"+id+"`") {
			t.Errorf("the module %s is missing", id)
		}
		info, err := caddy.GetModule(id)
		if err != nil {
			t.Fatal(err)
		}
		for name := range jsonFields(reflect.TypeOf(info.New()).Elem()) {
			options++
			if !strings.Contains(page, "`"+name+"`") {
				t.Errorf("the option %s of %s is missing", name, id)
			}
		}
	}
	if options < 20 {
		t.Errorf("the modules have only %d options", options)
	}
}

// jsonFields yields the names of a config's JSON fields, those of what is embedded in it and of the structs in its lists too.
func jsonFields(config reflect.Type) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for field := range config.Fields() {
			name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
			if name == "-" || name == "" && !field.Anonymous {
				continue
			}
			if name != "" && !yield(name) {
				return
			}
			inner := field.Type
			for inner.Kind() == reflect.Slice || inner.Kind() == reflect.Pointer {
				inner = inner.Elem()
			}
			if inner.Kind() != reflect.Struct {
				continue
			}
			for name := range jsonFields(inner) {
				if !yield(name) {
					return
				}
			}
		}
	}
}
