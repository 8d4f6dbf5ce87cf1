package gateway

import (
	"context"
	"errors"
)

// makeFirst makes a key of a given secret where there is none, and tells whether the first key is that one. Of several gateways that
// start at the same time one makes it.
func (k *Keyring) makeFirst(ctx context.Context, secret string) (made bool, err error) {
	hash := HashKey(secret)
	n, err := k.store.CountKeys(ctx)
	if err != nil {
		return false, err
	}
	if n == 0 {
		err := k.store.CreateFirstKey(ctx, k.newKey(NewKey{Name: "default"}), hash)
		if !errors.Is(err, ErrKeyExists) {
			k.forget(hash)
			return err == nil, err
		}
	}
	_, err = k.store.KeyByHash(ctx, hash, k.now())
	if errors.Is(err, ErrKeyNotFound) {
		return false, nil
	}
	return err == nil, err
}

// makeAdmin stores the hash of an admin credential where there is none, and tells whether the stored one is this.
func (k *Keyring) makeAdmin(ctx context.Context, secret string) (made bool, err error) {
	hash := HashKey(secret)
	if made, err = k.store.SetAdminHash(ctx, hash); err != nil {
		return false, err
	}
	if made {
		return true, nil
	}
	stored, found, err := k.store.AdminHash(ctx)
	return found && stored == hash, err
}
