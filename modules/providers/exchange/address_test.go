package exchange

import (
	"net/url"
	"testing"
)

func TestAnAddressBelowTheBaseIsEscapedOnce(t *testing.T) {
	for _, tt := range []struct{ base, ref, want string }{
		{"https://h/v1", "/chat/completions", "https://h/v1/chat/completions"},
		{"https://h", "/models/a:b?alt=sse", "https://h/models/a:b?alt=sse"},
		{"https://h/v1", "/models/a%2Fb%3Fc:d", "https://h/v1/models/a%2Fb%3Fc:d"},
		{"https://h/a%2Fb", "/models", "https://h/a%2Fb/models"},
		{"https://h/a%2Fb", "/c%2Fd?e=f", "https://h/a%2Fb/c%2Fd?e=f"},
		{"https://h/a b", "/c%20d", "https://h/a%20b/c%20d"},
		{"https://h", "/100%", "https://h/100%25"},
	} {
		base, err := url.Parse(tt.base)
		if err != nil {
			t.Fatal(err)
		}
		before := *base
		if got := below(base, tt.ref).String(); got != tt.want {
			t.Errorf("%s and %s make %s, want %s", tt.base, tt.ref, got, tt.want)
		}
		if *base != before {
			t.Errorf("the base became %s", base)
		}
	}
}
