package analyze

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/maypok86/otter/v2"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

const (
	// maxSchema bounds a client's schema, in bytes.
	maxSchema = 64 << 10
	// maxSchemaDepth bounds how deep its objects and arrays are nested.
	maxSchemaDepth = 64
	// maxSchemas bounds the compiled schemas that are remembered, by the bytes of their texts.
	maxSchemas = 4 << 20
	// schemaOverhead is what a remembered schema counts beside its text, so that many tiny ones are bounded too.
	schemaOverhead = 1 << 10
)

// schema is a JSON Schema, ready to check with. It is shared and does not change.
type schema struct {
	text      []byte // as it was written
	canonical []byte // the same for all texts that mean the same
	compiled  *jsonschema.Schema
}

// schemas remembers compiled schemas by the SHA-256 of their text, since clients send the same few again and again.
type schemas struct {
	known *otter.Cache[[sha256.Size]byte, *schema]
}

func newSchemas() *schemas {
	return &schemas{known: otter.Must(&otter.Options[[sha256.Size]byte, *schema]{
		MaximumWeight: maxSchemas,
		Weigher: func(_ [sha256.Size]byte, s *schema) uint32 {
			return uint32(len(s.text) + schemaOverhead)
		},
		Executor: func(task func()) { task() },
	})}
}

// of returns the schema that a request's data must satisfy: its own, or else the surface's.
func (s *schemas) of(req *request) (*schema, *dialect.Error) {
	if req.schema == nil {
		return builtin(req.format), nil
	}
	if len(req.schema) > maxSchema {
		return nil, invalid("schema_definition", "schema_definition has %d bytes and may have %d at most", len(req.schema), maxSchema)
	}
	key := sha256.Sum256(req.schema)
	if known, ok := s.known.GetIfPresent(key); ok {
		return known, nil
	}
	made, err := compile(bytes.Clone(req.schema))
	if err != nil {
		return nil, invalid("schema_definition", "schema_definition is no valid JSON Schema: %s", clip(err.Error(), maxReason))
	}
	s.known.Set(key, made)
	return made, nil
}

// schemaURL is where a schema says to be, so that relative references lead nowhere but into itself.
const schemaURL = "schema:///schema_definition"

// compile reads a schema, of draft 2020-12 where it names none.
func compile(text []byte) (*schema, error) {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	if err := checkBounds(doc, maxSchemaDepth); err != nil {
		return nil, err
	}
	compiler := jsonschema.NewCompiler()
	compiler.DefaultDraft(jsonschema.Draft2020)
	compiler.UseLoader(noLoader{})
	compiler.UseRegexpEngine(compilePattern)
	if err := compiler.AddResource(schemaURL, doc); err != nil {
		return nil, explain(err)
	}
	compiled, err := compiler.Compile(schemaURL)
	if err != nil {
		return nil, explain(err)
	}
	canonical, err := dialect.Canonical(nil, text, nil)
	if err != nil { // out of order beyond measure: it only equals itself
		canonical = text
	}
	return &schema{text: text, canonical: canonical, compiled: compiled}, nil
}

// explain says why a schema does not compile, without the URLs that the compiler puts into its messages.
func explain(err error) error {
	var unfit *jsonschema.SchemaValidationError
	var complaint *jsonschema.ValidationError
	if errors.As(err, &unfit) && errors.As(unfit.Err, &complaint) {
		return errors.New(complaints(complaint))
	}
	var unloaded *jsonschema.LoadURLError
	if errors.As(err, &unloaded) {
		return fmt.Errorf("it refers to %q, but a reference may lead into the schema itself only", clip(unloaded.URL, 100))
	}
	return errors.New(strings.ReplaceAll(err.Error(), schemaURL, ""))
}

// noLoader keeps a client's schema from making the gateway read a file or ask the network.
type noLoader struct{}

func (noLoader) Load(string) (any, error) { return nil, errors.New("nothing is loaded") }

// The surface's own schemas, one for each output format.
var (
	builtinJSON = sync.OnceValue(func() *schema { return compileBuiltin(formatJSON) })
	builtinXML  = sync.OnceValue(func() *schema { return compileBuiltin(formatXML) })
)

func builtin(format string) *schema {
	if format == formatXML {
		return builtinXML()
	}
	return builtinJSON()
}

// compileBuiltin makes the schema of data where the client gives none. It has an enum of one where a const would
// do, since more providers can enforce that, and names kinds of entities for those that close objects.
func compileBuiltin(format string) *schema {
	made, err := compile([]byte(`{"type":"object","properties":{` +
		`"intent":{"type":"string","minLength":1,"description":"what the text wants, in a word or two, such as translate"},` +
		`"subject":{"type":"string","minLength":1,"description":"what the text is about, in a few words"},` +
		`"entities":{"type":"object","description":"the particulars in the text, by kind","properties":{` +
		`"names":{"type":"array","items":{"type":"string"}},"places":{"type":"array","items":{"type":"string"}},` +
		`"dates":{"type":"array","items":{"type":"string"}},"quoted":{"type":"array","items":{"type":"string"}},` +
		`"other":{"type":"array","items":{"type":"string"}}}},` +
		`"output_format":{"type":"string","enum":["` + format + `"]},` +
		`"original_language":{"type":"string","pattern":"^[a-z]{2}$","description":"the ISO 639-1 code of the text's language"},` +
		`"confidence_score":{"type":"number","minimum":0,"maximum":1,"description":"how sure the analysis is"}},` +
		`"required":["intent","subject","entities","output_format","original_language","confidence_score"],` +
		`"additionalProperties":false}`))
	if err != nil {
		panic(err) // the text above is at fault
	}
	return made
}
