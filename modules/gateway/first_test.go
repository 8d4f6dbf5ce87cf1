package gateway

import (
	"errors"
	"testing"
)

// An attempt may have made a credential and not have heard of it. Its secret is nobody else's, so that it is shown after all.
func TestAFirstCredentialIsKnownByWhoMadeIt(t *testing.T) {
	for name, test := range map[string]struct {
		prefix string
		make   func(r *ring, secret string) (bool, error)
	}{
		"key":   {KeyPrefix, func(r *ring, secret string) (bool, error) { return r.makeFirst(t.Context(), secret) }},
		"admin": {AdminKeyPrefix, func(r *ring, secret string) (bool, error) { return r.makeAdmin(t.Context(), secret) }},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRing(t)
			mine, theirs := NewSecret(test.prefix), NewSecret(test.prefix)
			asked := 0
			r.store.fails = func() error { // but for the count of keys, which comes first
				if asked++; name == "key" && asked == 1 {
					return nil
				}
				return errBroken
			}
			if made, err := test.make(r, mine); made || !errors.Is(err, errBroken) {
				t.Fatalf("an attempt that was cut off: made %t, %v", made, err)
			}
			r.store.fails = nil
			for range 2 {
				if made, err := test.make(r, mine); !made || err != nil {
					t.Errorf("another attempt: made %t, %v", made, err)
				}
				if made, err := test.make(r, theirs); made || err != nil {
					t.Errorf("somebody else's attempt: made %t, %v", made, err)
				}
			}
		})
	}
}
