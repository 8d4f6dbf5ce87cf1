package analyze

import (
	"encoding/json"
	"fmt"
	"regexp"
	"regexp/syntax"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// A client writes the schema, and by its prompt much of the data as well. The bounds here keep a pair of both from
// keeping the gateway busy: what is beyond them is refused, not worked on.
const (
	// maxDataDepth bounds how deep a model's output is nested.
	maxDataDepth = 256
	// maxExponent bounds how a number may be scaled. The validator counts exactly, so that 1e999999 would be a
	// number of a million digits, and more than it can take.
	maxExponent = 400
	// maxProgram bounds a regular expression, in instructions.
	maxProgram = 5_000
	// maxChain bounds how many subschemas of one value lead from one to the next.
	maxChain = 256
	// maxEffort bounds the work of one check: about the number of subschemas that meet a value.
	maxEffort = 200_000
)

// checkBounds tells whether a document nests too deeply, or has a number that is too large or small to count with.
func checkBounds(doc any, depth int) error {
	switch v := doc.(type) {
	case map[string]any:
		if depth == 0 {
			return errTooDeep
		}
		for _, member := range v {
			if err := checkBounds(member, depth-1); err != nil {
				return err
			}
		}
	case []any:
		if depth == 0 {
			return errTooDeep
		}
		for _, element := range v {
			if err := checkBounds(element, depth-1); err != nil {
				return err
			}
		}
	case json.Number:
		at := strings.IndexAny(string(v), "eE")
		if at < 0 {
			return nil
		}
		if exponent, err := strconv.Atoi(string(v[at+1:])); err != nil || exponent < -maxExponent || exponent > maxExponent {
			return fmt.Errorf("the number %s is beyond what can be checked", clip(string(v), 40))
		}
	}
	return nil
}

// pattern is a regular expression with the size of its program.
type pattern struct {
	*regexp.Regexp
	size int
}

// compilePattern reads a schema's pattern. The syntax is RE2's: no look-around and no back reference.
func compilePattern(text string) (jsonschema.Regexp, error) {
	parsed, err := syntax.Parse(text, syntax.Perl)
	if err != nil {
		return nil, err
	}
	program, err := syntax.Compile(parsed.Simplify())
	if err != nil {
		return nil, err
	}
	if len(program.Inst) > maxProgram {
		return nil, fmt.Errorf("the pattern %q is too large", clip(text, 40))
	}
	compiled, err := regexp.Compile(text)
	if err != nil {
		return nil, err
	}
	return pattern{compiled, len(program.Inst)}, nil
}

// effort counts down while it walks over a schema and data as the validator would. The validator itself cannot be
// stopped, and a schema of a few lines can make it visit a value more often than there is time for.
type effort struct{ left int }

// affordable tells whether the validator can be let loose on the data.
func affordable(s *jsonschema.Schema, data any) bool {
	e := effort{left: maxEffort}
	return e.visit(s, data, 0)
}

// visit takes every branch, so that it counts no less than the validator does.
func (e *effort) visit(s *jsonschema.Schema, v any, chain int) bool {
	if s == nil {
		return true
	}
	if e.left--; e.left < 0 || chain > maxChain {
		return false
	}
	if s.Enum != nil {
		e.left -= len(s.Enum.Values)
	}
	for _, sub := range [...]*jsonschema.Schema{s.Ref, s.RecursiveRef, s.Not, s.If, s.Then, s.Else} {
		if !e.visit(sub, v, chain+1) {
			return false
		}
	}
	if s.DynamicRef != nil && !e.visit(s.DynamicRef.Ref, v, chain+1) {
		return false
	}
	for _, list := range [...][]*jsonschema.Schema{s.AllOf, s.AnyOf, s.OneOf} {
		for _, sub := range list {
			if !e.visit(sub, v, chain+1) {
				return false
			}
		}
	}
	switch v := v.(type) {
	case string:
		e.match(s.Pattern, v)
		return e.left >= 0
	case map[string]any:
		return e.visitObject(s, v, chain)
	case []any:
		return e.visitArray(s, v)
	}
	return true
}

func (e *effort) match(p jsonschema.Regexp, text string) {
	if p, ok := p.(pattern); ok {
		e.left -= 1 + len(text)*p.size/1024
	}
}

func (e *effort) visitObject(s *jsonschema.Schema, object map[string]any, chain int) bool {
	for _, sub := range s.DependentSchemas {
		if !e.visit(sub, object, chain+1) {
			return false
		}
	}
	for _, dependency := range s.Dependencies {
		if sub, ok := dependency.(*jsonschema.Schema); ok && !e.visit(sub, object, chain+1) {
			return false
		}
	}
	additional, _ := s.AdditionalProperties.(*jsonschema.Schema)
	for name, member := range object {
		for p, sub := range s.PatternProperties {
			e.match(p, name)
			if !e.visit(sub, member, 0) {
				return false
			}
		}
		if !e.visit(s.PropertyNames, name, 0) {
			return false
		}
		for _, sub := range [...]*jsonschema.Schema{s.Properties[name], additional, s.UnevaluatedProperties} {
			if !e.visit(sub, member, 0) {
				return false
			}
		}
	}
	return true
}

func (e *effort) visitArray(s *jsonschema.Schema, array []any) bool {
	each, _ := s.Items.(*jsonschema.Schema)
	tuple, _ := s.Items.([]*jsonschema.Schema)
	additional, _ := s.AdditionalItems.(*jsonschema.Schema)
	for i, element := range array {
		subs := [...]*jsonschema.Schema{each, additional, s.Items2020, s.Contains, s.UnevaluatedItems, nil, nil}
		if i < len(tuple) {
			subs[5] = tuple[i]
		}
		if i < len(s.PrefixItems) {
			subs[6] = s.PrefixItems[i]
		}
		for _, sub := range subs {
			if !e.visit(sub, element, 0) {
				return false
			}
		}
	}
	return true
}
