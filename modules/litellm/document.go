package litellm

import (
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
)

// member is one member of a YAML mapping.
type member struct {
	name  string
	line  int
	value *yaml.Node
}

// maxMerges bounds how deep mappings are merged into each other, since a YAML document may go in a circle.
const maxMerges = 8

// membersOf lists a mapping's members. What `<<` merges into it stands behind its own.
func membersOf(node *yaml.Node) []member { return merged(node, maxMerges) }

func merged(node *yaml.Node, depth int) []member {
	node = resolved(node)
	if node == nil || node.Kind != yaml.MappingNode || depth == 0 {
		return nil
	}
	var own, others []member
	for i := 0; i+1 < len(node.Content); i += 2 {
		name, value := node.Content[i], resolved(node.Content[i+1])
		switch {
		case name.Tag == "!!merge" && value.Kind == yaml.SequenceNode:
			for _, element := range value.Content {
				others = append(others, merged(element, depth-1)...)
			}
		case name.Tag == "!!merge":
			others = append(others, merged(value, depth-1)...)
		default:
			own = append(own, member{name.Value, name.Line, value})
		}
	}
	for _, m := range others {
		if _, ok := find(own, m.name); !ok {
			own = append(own, m)
		}
	}
	return own
}

func resolved(node *yaml.Node) *yaml.Node {
	if node != nil && node.Kind == yaml.AliasNode {
		return node.Alias
	}
	return node
}

func find(members []member, name string) (member, bool) {
	for _, m := range members {
		if m.name == name {
			return m, true
		}
	}
	return member{}, false
}

// text is a scalar's text; "" where there is none.
func (m member) text() string {
	if m.value == nil || m.value.Kind != yaml.ScalarNode || m.value.Tag == "!!null" {
		return ""
	}
	return m.value.Value
}

// isTrue tells whether a scalar is true.
func (m member) isTrue() bool { return strings.EqualFold(m.text(), "true") }

// elements are a sequence's.
func elements(node *yaml.Node) []*yaml.Node {
	if node = resolved(node); node == nil || node.Kind != yaml.SequenceNode {
		return nil
	}
	return node.Content
}

// note is something that was not carried over as it is, or that is left to do.
type note struct {
	line int // 0 where it is about the whole
	text string
}

// notes tell what became of a file.
type notes struct {
	file string
	list []note
}

func (n *notes) add(line int, format string, args ...any) {
	n.list = append(n.list, note{line, fmt.Sprintf(format, args...)})
}

// String has a line for each note, as compilers have them.
func (n *notes) String() string {
	var b strings.Builder
	for _, one := range n.list {
		if one.line > 0 {
			fmt.Fprintf(&b, "%s:%d: %s\n", n.file, one.line, one.text)
		} else {
			fmt.Fprintf(&b, "%s: %s\n", n.file, one.text)
		}
	}
	return b.String()
}
