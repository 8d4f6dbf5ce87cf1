package gateway

import (
	"context"
	"errors"
	"time"
)

// File is the record of a file that a provider keeps: whose it is. All files of all tenants are in the provider's one account, so
// without a record nobody may see a file.
type File struct {
	ID       string // the provider's
	Provider string
	// Owner is whose it is, as Key.Tenant has it; "" where the route asks for no key.
	Owner   string
	Purpose string
	Created time.Time // when it was uploaded; UTC, to the second
	Expires time.Time // when the provider lets it go; zero means never
	// Object is what the provider told of the file as it was uploaded, in JSON.
	Object []byte
}

// FilePage says which files are wanted.
type FilePage struct {
	Purpose string    // "" is any
	After   string    // the id of the last file of the page before; "" for the first page
	Oldest  bool      // oldest first, rather than newest first
	Limit   int       // at most
	Now     time.Time // files that have expired by then are left out
}

// ErrFileNotFound is about a file that has no record of this owner.
var ErrFileNotFound = errors.New("no such file")

// FileStore keeps the records of files, durably. It is asked by calls about files alone, and is safe for concurrent use.
type FileStore interface {
	// AddFile keeps a record. A provider that gives out an id again has forgotten the file which had it, so the new record takes the
	// place of that one's.
	AddFile(ctx context.Context, file *File) error
	// FileByID finds an owner's file, the newest where several providers gave out the same id.
	FileByID(ctx context.Context, owner, id string) (*File, error)
	// ListFiles lists an owner's files in the order of their times, then of their ids. ErrFileNotFound where After names none of them.
	ListFiles(ctx context.Context, owner string, page FilePage) ([]*File, error)
	// RemoveFile forgets a provider's file of an owner. That there is none is no error.
	RemoveFile(ctx context.Context, owner, provider, id string) error
}

// Tenant is on whose behalf the key calls: its team's, else its own.
func (k *Key) Tenant() string {
	if k.Team != "" {
		return "team:" + k.Team
	}
	return "key:" + k.ID
}
