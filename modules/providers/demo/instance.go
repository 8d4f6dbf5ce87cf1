package demo

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/tidwall/gjson"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

// Bounds of an instance. Beyond settleDepth only what is demanded is made, and the simplest alternative is
// preferred, so that recursive schemas end.
const (
	settleDepth = 2
	maxDepth    = 24
	maxHops     = 32     // references and allOf within one value
	maxWork     = 20_000 // values tried, and bytes of long texts
	maxInstance = 1 << 20
)

var (
	errTooMuch   = errors.New("the schema demands too large a value")
	errExhausted = errors.New("the schema allows too few distinct values")
)

// instance makes a small value that a JSON Schema allows. Of the schema's keywords it heeds those that
// describe a value (types, bounds, properties, items, patterns, formats, references within the schema,
// allOf, anyOf, oneOf), not those that exclude one (not, if, dependent…): there it may be wrong.
// Where the schema asks for an intent and a subject, the prompt is looked at for what to say.
func instance(schema gjson.Result, prompt string, seed uint64) ([]byte, error) {
	return (&generator{root: schema, prompt: prompt, seed: seed, work: maxWork}).make()
}

// briefInstance makes an instance as instance does that says less about the prompt.
func briefInstance(schema gjson.Result, prompt string, seed uint64) ([]byte, error) {
	return (&generator{root: schema, prompt: prompt, seed: seed, work: maxWork, brief: true}).make()
}

// generator makes one instance. Its methods append to dst and on an error return dst's former content.
type generator struct {
	root   gjson.Result
	prompt string
	seed   uint64
	work   int // what may still be done
	brief  bool
}

func (g *generator) make() ([]byte, error) {
	return g.value(nil, []gjson.Result{g.root}, 0, 0)
}

// value appends a value that all of the schemas allow. Successive variants give different values, until the
// schemas allow no more and they come round again.
func (g *generator) value(dst []byte, schemas []gjson.Result, depth, variant int) ([]byte, error) {
	if depth > maxDepth {
		return dst, errors.New("the schema nests too deeply")
	}
	s := newShape()
	for _, schema := range schemas {
		if err := g.add(s, schema, 0); err != nil {
			return dst, err
		}
	}
	return g.settle(dst, s, depth, variant)
}

func (g *generator) spend(n int) error {
	if g.work -= n; g.work < 0 {
		return errTooMuch
	}
	return nil
}

// settle chooses among the shape's alternatives, then appends the value.
func (g *generator) settle(dst []byte, s *shape, depth, variant int) ([]byte, error) {
	if err := g.spend(1); err != nil {
		return dst, err
	}
	if len(s.alternatives) == 0 {
		return g.emit(dst, s, depth, variant)
	}
	if !s.hasEnum {
		for _, sample := range s.samples {
			if variant == 0 && !isContainer(sample) && s.allows(sample) && g.fitsAlternatives(s, sample) {
				return append(dst, sample.Raw...), nil
			}
		}
	}
	list := slices.Clone(s.alternatives[0])
	if len(list) == 0 {
		return dst, errNothingFits
	}
	if depth > settleDepth {
		slices.SortStableFunc(list, func(a, b gjson.Result) int { return weight(a) - weight(b) })
	} else if turn := variant % len(list); turn > 0 {
		list = append(slices.Clone(list[turn:]), list[:turn]...)
	}
	failure := errNothingFits
	for _, alternative := range list {
		narrowed := s.clone()
		narrowed.alternatives = narrowed.alternatives[1:]
		err := g.add(narrowed, alternative, 0)
		if err == nil {
			var out []byte
			if out, err = g.settle(dst, narrowed, depth, variant); err == nil {
				return out, nil
			}
		}
		failure = err
		if errors.Is(err, errTooMuch) {
			break
		}
	}
	return dst, failure
}

// fitsAlternatives tells whether a simple value is allowed by one alternative each.
func (g *generator) fitsAlternatives(s *shape, v gjson.Result) bool {
	for _, list := range s.alternatives {
		if !slices.ContainsFunc(list, func(schema gjson.Result) bool {
			one := newShape()
			return g.add(one, schema, 0) == nil && len(one.alternatives) == 0 && one.allows(v)
		}) {
			return false
		}
	}
	return true
}

// weight orders alternatives by how soon they end.
func weight(schema gjson.Result) int {
	switch kind := schema.Get("type"); {
	case kind.Str == "null":
		return 0
	case schema.Get("const").Exists(), schema.Get("enum").Exists(),
		kind.Type == gjson.String && kind.Str != "object" && kind.Str != "array":
		return 1
	case kind.Str == "array":
		return 2
	}
	return 3
}

// emit appends a value of a shape that has no alternatives.
func (g *generator) emit(dst []byte, s *shape, depth, variant int) ([]byte, error) {
	if len(dst) > maxInstance {
		return dst, errTooMuch
	}
	if s.hasEnum {
		return s.emitEnum(dst, variant)
	}
	if variant == 0 {
		for _, sample := range s.samples {
			if s.allows(sample) {
				return append(dst, sample.Raw...), nil
			}
		}
	}
	failure := errNothingFits
	for _, t := range s.order(depth) {
		out, err := g.emitType(dst, s, t, depth, variant)
		if err == nil {
			return out, nil
		}
		failure = err
	}
	return dst, failure
}

func (s *shape) emitEnum(dst []byte, variant int) ([]byte, error) {
	fitting := slices.DeleteFunc(slices.Clone(s.enum), func(v gjson.Result) bool { return !s.fits(v) })
	if len(fitting) == 0 {
		return dst, errNothingFits
	}
	return append(dst, fitting[variant%len(fitting)].Raw...), nil
}

// order lists the types to try: null only where nothing else is allowed, or where it ends a nested value.
func (s *shape) order(depth int) []types {
	allowed := s.types
	if allowed == typeAny {
		allowed = typeString
		if s.implied != 0 {
			allowed = s.implied
		}
	}
	var list []types
	if depth > settleDepth && allowed&typeNull != 0 && allowed&(typeObject|typeArray) != 0 {
		list = append(list, typeNull)
	}
	for _, t := range []types{typeObject, typeArray, typeString, typeNumber, typeBoolean, typeNull} {
		if allowed&t != 0 {
			list = append(list, allowed&t)
		}
	}
	return list
}

func (g *generator) emitType(dst []byte, s *shape, t types, depth, variant int) ([]byte, error) {
	switch t {
	case typeObject:
		return g.emitObject(dst, s, depth, variant)
	case typeArray:
		return g.emitArray(dst, s, depth, variant)
	case typeString:
		return g.emitString(dst, s, variant)
	case typeBoolean:
		return strconv.AppendBool(dst, variant%2 == 0), nil
	case typeNull:
		return append(dst, "null"...), nil
	default:
		return s.emitNumber(dst, t, variant)
	}
}

// emitObject appends the demanded properties, and the optional ones of the outer levels.
func (g *generator) emitObject(dst []byte, s *shape, depth, variant int) ([]byte, error) {
	var suggested map[string]string
	if depth == 0 && s.declares("intent") && s.declares("subject") {
		suggested = suggest(g.prompt, g.seed)
		if g.brief {
			shorten(suggested)
		}
	}
	out := append(dst, '{')
	count, optional := 0, s.maxProps-len(s.required)
	member := func(name string, schemas []gjson.Result) error {
		before := len(out)
		if count > 0 {
			out = append(out, ',')
		}
		out = append(dialect.String(out, name), ':')
		made, err := g.member(out, schemas, suggested[name], depth, variant)
		if err != nil {
			out = out[:before]
			return err
		}
		out = made
		count++
		return nil
	}

	for _, p := range s.properties {
		demanded := slices.Contains(s.required, p.name)
		if !demanded && (depth >= settleDepth || optional <= 0) {
			continue
		}
		err := member(p.name, p.schemas)
		switch {
		case demanded && err != nil:
			return dst, fmt.Errorf("property %s: %w", p.name, err)
		case !demanded && err == nil:
			optional--
		}
	}
	spare := 0
	if count == 0 && len(s.additional) > 0 && depth < settleDepth && s.maxProps > 0 && !s.closed && !s.named {
		spare = 1
	}
	for _, name := range s.required {
		if s.declares(name) {
			continue
		}
		if s.closed {
			return dst, fmt.Errorf("property %s: %w", name, errNothingFits)
		}
		if err := member(name, s.additional); err != nil {
			return dst, fmt.Errorf("property %s: %w", name, err)
		}
		spare = 0
	}
	for i := 1; count < max(s.minProps, spare); i++ {
		name := "demo" + strconv.Itoa(i)
		if s.declares(name) || slices.Contains(s.required, name) {
			continue
		}
		if s.closed || s.named {
			return dst, errNothingFits
		}
		if err := member(name, s.additional); err != nil {
			if count < s.minProps {
				return dst, fmt.Errorf("property %s: %w", name, err)
			}
			break // it can be done without
		}
	}
	if count > s.maxProps {
		return dst, errNothingFits
	}
	return append(out, '}'), nil
}

// member appends a property's value: the suggested one, where there is one and it fits.
func (g *generator) member(dst []byte, schemas []gjson.Result, suggested string, depth, variant int) ([]byte, error) {
	if suggested != "" {
		s := newShape()
		fits := true
		for _, schema := range schemas {
			fits = fits && g.add(s, schema, 0) == nil
		}
		if v := gjson.Parse(suggested); fits && s.allows(v) && g.fitsAlternatives(s, v) {
			return append(dst, suggested...), nil
		}
	}
	return g.value(dst, schemas, depth+1, variant)
}

func (s *shape) declares(name string) bool {
	return slices.ContainsFunc(s.properties, func(p property) bool { return p.name == name })
}

// emitArray appends as few items as are demanded, but one where that is easy.
func (g *generator) emitArray(dst []byte, s *shape, depth, variant int) ([]byte, error) {
	length := s.minItems
	if depth <= settleDepth {
		length = max(length, 1, len(s.prefix))
	}
	length = min(length, s.maxItems)
	if s.closedTail {
		length = min(length, len(s.prefix))
	}
	if length < s.minItems {
		return dst, errNothingFits
	}
	out := append(dst, '[')
	var made [][2]int // where each item is, for comparing
	next := variant
	for i := range length {
		before := len(out)
		if i > 0 {
			out = append(out, ',')
		}
		start := len(out)
		schemas := s.items
		if i < len(s.prefix) {
			schemas = s.prefix[i]
		}
		var err error
		if s.unique {
			// Variants need not be distinct; a few more than there are items are tried.
			for tries := 0; ; tries++ {
				if out, err = g.value(out[:start], schemas, depth+1, next); err != nil {
					break
				}
				if err = g.spend(len(made) / 64); err != nil {
					break
				}
				next++
				item := out[start:]
				if !slices.ContainsFunc(made, func(m [2]int) bool { return bytes.Equal(out[m[0]:m[1]], item) }) {
					break
				}
				if tries > length+8 {
					err = errExhausted
					break
				}
			}
		} else {
			out, err = g.value(out, schemas, depth+1, variant)
		}
		if err != nil {
			if i >= s.minItems && !errors.Is(err, errTooMuch) {
				out = out[:before]
				break
			}
			return dst, fmt.Errorf("item %d: %w", i, err)
		}
		made = append(made, [2]int{start, len(out)})
	}
	return append(out, ']'), nil
}
