package crossing

import (
	"os"
	"path/filepath"
	"testing"
)

// seeds adds what testdata has of a kind, each with the index of its codec.
func seeds(f *testing.F, kind string) {
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
	seeds(f, "request.json")
	f.Fuzz(func(t *testing.T, from uint8, body []byte) { checkRequest(t, codecs[int(from)%len(codecs)], body) })
}

func FuzzAnswersCross(f *testing.F) {
	seeds(f, "answer.json")
	f.Fuzz(func(t *testing.T, from uint8, body []byte) { checkAnswer(t, codecs[int(from)%len(codecs)], body) })
}

func FuzzStreamsCross(f *testing.F) {
	seeds(f, "stream.sse")
	f.Fuzz(func(t *testing.T, from uint8, stream []byte) { checkStream(t, codecs[int(from)%len(codecs)], stream) })
}
