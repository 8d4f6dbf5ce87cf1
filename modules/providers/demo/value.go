package demo

import (
	"regexp"
	"slices"
	"unicode/utf8"

	"github.com/tidwall/gjson"
)

// isContainer tells whether a value is an object or an array.
func isContainer(v gjson.Result) bool { return v.Type == gjson.JSON }

// same tells whether two values are equal, for containers only where they are written alike.
func same(v, w gjson.Result) bool {
	if v.Type != w.Type {
		return false
	}
	switch v.Type {
	case gjson.String:
		return v.Str == w.Str
	case gjson.Number:
		return v.Num == w.Num
	default:
		return v.Raw == w.Raw
	}
}

// typeOf is the one type of a value.
func typeOf(v gjson.Result) types {
	switch {
	case v.Type == gjson.String:
		return typeString
	case v.Type == gjson.True, v.Type == gjson.False:
		return typeBoolean
	case v.Type == gjson.Null:
		return typeNull
	case v.IsObject():
		return typeObject
	case v.IsArray():
		return typeArray
	}
	if x, err := parseNumber(v.Raw); err == nil && x.IsInt() {
		return typeInteger
	}
	return typeFraction
}

// allows tells whether a value that came with the schema, or from the prompt, keeps to the shape. It does not
// look into objects and arrays beyond their names and length, nor at alternatives.
func (s *shape) allows(v gjson.Result) bool {
	if s.hasEnum && !slices.ContainsFunc(s.enum, func(w gjson.Result) bool { return same(v, w) }) {
		return false
	}
	return s.fits(v)
}

// fits is allows without regard to the enumeration.
func (s *shape) fits(v gjson.Result) bool {
	t := typeOf(v)
	if s.types&t == 0 {
		return false
	}
	switch t {
	case typeString:
		return s.fitsText(v.Str)
	case typeInteger, typeFraction:
		x, err := parseNumber(v.Raw)
		return err == nil && s.fitsNumber(x)
	case typeArray:
		n := len(v.Array())
		return n >= s.minItems && n <= s.maxItems && (!s.closedTail || n <= len(s.prefix))
	case typeObject:
		return s.fitsNames(v)
	}
	return true
}

func (s *shape) fitsText(text string) bool {
	n := utf8.RuneCountInString(text)
	if n < s.minLength || n > s.maxLength {
		return false
	}
	for _, pattern := range s.patterns {
		if re, err := regexp.Compile(pattern); err != nil || !re.MatchString(text) {
			return false
		}
	}
	return true
}

func (s *shape) fitsNames(v gjson.Result) bool {
	fields := v.Map()
	if len(fields) < s.minProps || len(fields) > s.maxProps {
		return false
	}
	for _, name := range s.required {
		if _, ok := fields[name]; !ok {
			return false
		}
	}
	for name := range fields {
		if s.closed && !s.declares(name) {
			return false
		}
	}
	return true
}
