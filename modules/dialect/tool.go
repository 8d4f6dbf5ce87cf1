package dialect

// Tool is a function that the model may ask the client to call.
type Tool struct {
	Name        string
	Description Inside
	Schema      Raw // a JSON Schema for its arguments; nil where it takes none
	Strict      Flag
	Cache       Cache
}

// ToolMode is how free the model is to call tools.
type ToolMode uint8

// The modes. ToolsUnset leaves it to the provider, which means ToolsAuto where there are tools.
const (
	ToolsUnset ToolMode = iota
	ToolsAuto
	ToolsNone
	ToolsAny   // it must call one
	ToolsNamed // it must call the one with the name
)

// ToolChoice is how the model may use its tools.
type ToolChoice struct {
	Mode ToolMode
	Name string
	// Parallel says whether it may call several at once.
	Parallel Flag
}
