package gemini

import "testing"

func TestAModelAndAMethodAreTakenApart(t *testing.T) {
	for text, want := range map[string][2]string{
		"gemini-flash-latest:generateContent": {"gemini-flash-latest", MethodGenerate},
		"openai/gpt-5:streamGenerateContent":  {"openai/gpt-5", MethodStream},
		"llama3:8b:countTokens":               {"llama3:8b", MethodCount},
		"embedContent:embedContent":           {"embedContent", MethodEmbed},
		"a:batchEmbedContents":                {"a", MethodEmbedBatch},
		":generateContent":                    {"", MethodGenerate},
		"llama3:8b":                           {},
		"generateContent":                     {},
		"a:generatecontent":                   {},
		"a:predict":                           {},
		"":                                    {},
	} {
		model, method, ok := SplitMethod(text)
		if (want != [2]string{model, method}) || ok != (want[1] != "") {
			t.Errorf("%q is %q and %q, %t", text, model, method, ok)
		}
	}
}

func TestModelsAreNamedAsResources(t *testing.T) {
	for model, want := range map[string]string{"m": "models/m", "models/m": "models/m", "tunedModels/m": "tunedModels/m", "a/b": "models/a/b"} {
		if got := Resource(model); got != want {
			t.Errorf("%s is %s, want %s", model, got, want)
		}
	}
}
