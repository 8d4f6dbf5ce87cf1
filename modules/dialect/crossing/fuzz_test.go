package crossing

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/caddy-llm/caddy-llm/modules/dialect"
)

// seeds adds what testdata has of a kind, each with the index of its codec.
func seeds(f *testing.F, kind string, codecs []*dialect.Codec) {
	for i, codec := range codecs {
		paths, err := filepath.Glob("testdata/" + string(codec.Name) + "/*." + kind)
		if err != nil || len(paths) == 0 {
			f.Fatal("no seeds", err)
		}
		for _, path := range paths {
			body, err := os.ReadFile(path)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(uint8(i), body)
		}
	}
}

func FuzzRequestsCross(f *testing.F) {
	seeds(f, "request.json", clientCodecs)
	f.Fuzz(func(t *testing.T, from uint8, body []byte) {
		checkRequest(t, clientCodecs[int(from)%len(clientCodecs)], body)
	})
}

func FuzzAnswersCross(f *testing.F) {
	seeds(f, "answer.json", codecs)
	f.Fuzz(func(t *testing.T, from uint8, body []byte) { checkAnswer(t, codecs[int(from)%len(codecs)], body) })
}

func FuzzStreamsCross(f *testing.F) {
	seeds(f, "stream.sse", codecs)
	f.Fuzz(func(t *testing.T, from uint8, stream []byte) { checkStream(t, codecs[int(from)%len(codecs)], stream) })
}
