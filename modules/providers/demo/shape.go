package demo

import (
	"errors"
	"fmt"
	"math/big"
	"net/url"
	"slices"
	"strings"

	"github.com/tidwall/gjson"
)

// types is a set of JSON types. Numbers are two members, since an integer is also a number.
type types uint8

const (
	typeObject types = 1 << iota
	typeArray
	typeString
	typeInteger
	typeFraction
	typeBoolean
	typeNull

	typeNumber = typeInteger | typeFraction
	typeAny    = 1<<iota - 1
)

var typeNames = map[string]types{
	"object": typeObject, "array": typeArray, "string": typeString, "integer": typeInteger,
	"number": typeNumber, "boolean": typeBoolean, "null": typeNull,
}

// shape is what one or several JSON Schemas that hold together (by allOf, $ref and the like) demand of a value.
type shape struct {
	types   types
	implied types // the types that the keywords are about
	enum    []gjson.Result
	hasEnum bool
	samples []gjson.Result // the default, then the examples

	properties []property
	required   []string
	additional []gjson.Result // schemas of properties that are not declared
	closed     bool           // no others than the declared ones
	named      bool           // property names have a rule of their own
	minProps   int
	maxProps   int

	prefix     [][]gjson.Result
	items      []gjson.Result
	closedTail bool // no items after the prefix
	minItems   int
	maxItems   int
	unique     bool

	minLength int
	maxLength int
	patterns  []string
	format    string

	lower, upper         *big.Rat // nil where unbounded
	lowerOpen, upperOpen bool     // the bound itself is excluded
	step                 *big.Rat

	alternatives [][]gjson.Result // of each anyOf and oneOf, one must hold
}

// property is a declared property and the schemas of its value.
type property struct {
	name    string
	schemas []gjson.Result
}

const unbounded = 1 << 30

func newShape() *shape {
	return &shape{types: typeAny, maxProps: unbounded, maxItems: unbounded, maxLength: unbounded}
}

// clone is a copy to which more schemas can be added without a change to the original.
func (s *shape) clone() *shape {
	c := *s
	c.enum = slices.Clone(s.enum)
	c.samples = slices.Clip(s.samples)
	c.properties = slices.Clone(s.properties)
	for i := range c.properties {
		c.properties[i].schemas = slices.Clip(c.properties[i].schemas)
	}
	c.required = slices.Clip(s.required)
	c.additional = slices.Clip(s.additional)
	c.prefix = slices.Clone(s.prefix)
	for i := range c.prefix {
		c.prefix[i] = slices.Clip(c.prefix[i])
	}
	c.items = slices.Clip(s.items)
	c.patterns = slices.Clip(s.patterns)
	c.alternatives = slices.Clip(s.alternatives)
	return &c
}

var errNothingFits = errors.New("the schema allows no value")

// add tightens the shape by a schema that lies so many references and allOf's deep.
func (g *generator) add(s *shape, schema gjson.Result, hops int) error {
	if hops > maxHops {
		return errors.New("references lead too far")
	}
	if err := g.spend(1); err != nil {
		return err
	}
	switch {
	case schema.Type == gjson.True:
		return nil
	case schema.Type == gjson.False:
		return errNothingFits
	case !schema.IsObject():
		return errors.New("a schema must be an object or a boolean")
	}
	var err error
	schema.ForEach(func(key, value gjson.Result) bool {
		err = g.addKeyword(s, key.Str, value, hops)
		return err == nil
	})
	return err
}

func (g *generator) addKeyword(s *shape, keyword string, value gjson.Result, hops int) error {
	switch keyword {
	case "type":
		return s.addTypes(value)
	case "const":
		return g.addEnum(s, []gjson.Result{value})
	case "enum":
		return g.addEnum(s, value.Array())
	case "default":
		s.samples = slices.Insert(slices.Clone(s.samples), 0, value)
	case "examples":
		s.samples = append(s.samples, value.Array()...)
	case "$ref":
		target, err := lookUp(g.root, value.Str)
		if err != nil {
			return err
		}
		return g.add(s, target, hops+1)
	case "allOf":
		for _, part := range value.Array() {
			if err := g.add(s, part, hops+1); err != nil {
				return err
			}
		}
	case "anyOf", "oneOf":
		s.alternatives = append(s.alternatives, value.Array())
	case "properties", "required", "additionalProperties", "propertyNames", "minProperties", "maxProperties":
		s.implied |= typeObject
		return g.addObjectKeyword(s, keyword, value)
	case "prefixItems", "items", "additionalItems", "minItems", "maxItems", "uniqueItems":
		s.implied |= typeArray
		s.addArrayKeyword(keyword, value)
	case "minLength", "maxLength", "pattern", "format":
		s.implied |= typeString
		s.addStringKeyword(keyword, value)
	case "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf":
		s.implied |= typeNumber
		return s.addNumberKeyword(keyword, value)
	}
	return nil
}

func (s *shape) addTypes(value gjson.Result) error {
	var set types
	for _, name := range value.Array() { // a lone string counts as an array of one
		t, ok := typeNames[name.Str]
		if !ok {
			return fmt.Errorf("unknown type %s", name.Raw)
		}
		set |= t
	}
	s.types &= set
	return nil
}

func (g *generator) addEnum(s *shape, values []gjson.Result) error {
	if !s.hasEnum {
		s.enum, s.hasEnum = values, true
		return nil
	}
	if err := g.spend(len(s.enum) * len(values) / 1024); err != nil {
		return err
	}
	s.enum = slices.DeleteFunc(slices.Clone(s.enum), func(v gjson.Result) bool {
		return !slices.ContainsFunc(values, func(w gjson.Result) bool { return same(v, w) })
	})
	return nil
}

func (g *generator) addObjectKeyword(s *shape, keyword string, value gjson.Result) error {
	switch keyword {
	case "properties":
		var err error
		value.ForEach(func(name, schema gjson.Result) bool {
			i := slices.IndexFunc(s.properties, func(p property) bool { return p.name == name.Str })
			if i < 0 {
				i = len(s.properties)
				s.properties = append(s.properties, property{name: name.Str})
			}
			s.properties[i].schemas = append(s.properties[i].schemas, schema)
			err = g.spend(1)
			return err == nil
		})
		return err
	case "required":
		for _, name := range value.Array() {
			if !slices.Contains(s.required, name.Str) {
				s.required = append(s.required, name.Str)
			}
		}
	case "additionalProperties":
		if value.Type == gjson.False {
			s.closed = true
		} else {
			s.additional = append(s.additional, value)
		}
	case "propertyNames":
		s.named = true
	case "minProperties":
		s.minProps = max(s.minProps, bound(value))
	case "maxProperties":
		s.maxProps = min(s.maxProps, bound(value))
	}
	return nil
}

func (s *shape) addArrayKeyword(keyword string, value gjson.Result) {
	switch keyword {
	case "items":
		if !value.IsArray() { // an array here is prefixItems in the words of older drafts
			s.addTail(value)
			return
		}
		fallthrough
	case "prefixItems":
		for i, schema := range value.Array() {
			if i == len(s.prefix) {
				s.prefix = append(s.prefix, nil)
			}
			s.prefix[i] = append(s.prefix[i], schema)
		}
	case "additionalItems":
		s.addTail(value)
	case "minItems":
		s.minItems = max(s.minItems, bound(value))
	case "maxItems":
		s.maxItems = min(s.maxItems, bound(value))
	case "uniqueItems":
		s.unique = s.unique || value.Type == gjson.True
	}
}

func (s *shape) addTail(schema gjson.Result) {
	if schema.Type == gjson.False {
		s.closedTail = true
		return
	}
	s.items = append(s.items, schema)
}

func (s *shape) addStringKeyword(keyword string, value gjson.Result) {
	switch keyword {
	case "minLength":
		s.minLength = max(s.minLength, bound(value))
	case "maxLength":
		s.maxLength = min(s.maxLength, bound(value))
	case "pattern":
		s.patterns = append(s.patterns, value.Str)
	case "format":
		s.format = value.Str
	}
}

// bound is a count that a schema names, no larger than what counts as unbounded.
func bound(value gjson.Result) int {
	return int(max(0, min(value.Num, unbounded)))
}

// lookUp follows a reference within the document: "#" or a JSON Pointer behind "#" (RFC 6901, section 6).
func lookUp(root gjson.Result, ref string) (gjson.Result, error) {
	pointer, ok := strings.CutPrefix(ref, "#")
	if !ok || pointer != "" && pointer[0] != '/' {
		return gjson.Result{}, fmt.Errorf("the reference %q does not point into the schema itself", ref)
	}
	target := root
	for token := range strings.SplitSeq(strings.TrimPrefix(pointer, "/"), "/") {
		if pointer == "" {
			break
		}
		name, err := url.PathUnescape(token)
		if err != nil {
			return gjson.Result{}, fmt.Errorf("parsing the reference %q: %w", ref, err)
		}
		name = strings.NewReplacer("~1", "/", "~0", "~").Replace(name)
		if target = target.Get(gjson.Escape(name)); !target.Exists() {
			return gjson.Result{}, fmt.Errorf("the reference %q leads nowhere", ref)
		}
	}
	return target, nil
}
