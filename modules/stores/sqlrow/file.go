package sqlrow

import "github.com/caddy-llm/caddy-llm/modules/gateway"

// Statements about files.
const (
	// fileColumns are the columns of the table files, in the order in which Files reads them.
	fileColumns = `provider, id, owner, purpose, created, expires, object`

	// SelectFiles lists all files.
	SelectFiles = `SELECT ` + fileColumns + ` FROM files ORDER BY provider, id`

	// InsertFile adds a file unless its provider and id are taken. Its arguments are FileArgs.
	InsertFile = `INSERT INTO files (` + fileColumns + `) VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING`

	// PutFile adds a file, in the place of one that its provider gave the same id. Its arguments are FileArgs.
	PutFile = `INSERT INTO files (` + fileColumns + `) VALUES ($1, $2, $3, $4, $5, $6, $7)
		ON CONFLICT (provider, id) DO UPDATE SET owner = excluded.owner, purpose = excluded.purpose, created = excluded.created,
			expires = excluded.expires, object = excluded.object`

	// SelectFile finds the newest file of the owner $1 with the id $2.
	SelectFile = `SELECT ` + fileColumns + ` FROM files WHERE owner = $1 AND id = $2 ORDER BY created DESC, provider LIMIT 1`

	// DeleteFile removes the file of the owner $1 that the provider $2 gave the id $3.
	DeleteFile = `DELETE FROM files WHERE owner = $1 AND provider = $2 AND id = $3`

	// selectFiles begins a list of the owner $1's files: of the purpose $2 or, where that is empty, of any, and not expired at $3.
	selectFiles = `SELECT ` + fileColumns + ` FROM files WHERE owner = $1 AND ($2 = '' OR purpose = $2) AND (expires = 0 OR expires > $3)`
)

// FilePages are the statements that list files, the oldest or the newest first, after the file with the time $4 and the id $5, at most $6.
type FilePages struct{ oldest, newest string }

// PagesOfFiles writes the statements with an expression for the id that is compared byte by byte.
func PagesOfFiles(id string) FilePages {
	return FilePages{
		oldest: selectFiles + ` AND (created > $4 OR created = $4 AND ` + id + ` > $5) ORDER BY created, ` + id + ` LIMIT $6`,
		newest: selectFiles + ` AND (created < $4 OR created = $4 AND ` + id + ` < $5) ORDER BY created DESC, ` + id + ` DESC LIMIT $6`,
	}
}

// FileArgs are the arguments of PutFile.
func FileArgs(f *gateway.File) []any {
	return []any{f.Provider, f.ID, f.Owner, Plain(f.Purpose), Seconds(f.Created), Seconds(f.Expires), Plain(string(f.Object))}
}

// Page is the statement that lists a page of an owner's files, and its arguments. It begins after a file; nil for the first page.
func (p FilePages) Page(owner string, page gateway.FilePage, after *gateway.File) (query string, args []any) {
	query, created, id := p.newest, int64(1)<<62, ""
	if page.Oldest {
		query, created = p.oldest, -1<<62
	}
	if after != nil {
		created, id = Seconds(after.Created), after.ID
	}
	return query, []any{owner, Plain(page.Purpose), page.Now.Unix(), created, id, max(page.Limit, 0)}
}

// EachFile calls yield with each file that a query found, until yield returns an error. The caller closes the rows.
func EachFile(rows Rows, yield func(*gateway.File) error) error {
	for rows.Next() {
		f := new(gateway.File)
		var created, expires int64
		var object string
		if err := rows.Scan(&f.Provider, &f.ID, &f.Owner, &f.Purpose, &created, &expires, &object); err != nil {
			return err
		}
		f.Created, f.Expires, f.Object = Instant(created), Instant(expires), []byte(object)
		if err := yield(f); err != nil {
			return err
		}
	}
	return rows.Err()
}

// Files gathers files. The caller closes the rows.
func Files(rows Rows) (files []*gateway.File, err error) {
	err = EachFile(rows, func(f *gateway.File) error {
		files = append(files, f)
		return nil
	})
	return files, err
}

// OneFile is the first file that a query found, or gateway.ErrFileNotFound. The caller closes the rows.
func OneFile(rows Rows) (*gateway.File, error) {
	files, err := Files(rows)
	if err == nil && len(files) == 0 {
		err = gateway.ErrFileNotFound
	}
	if err != nil {
		return nil, err
	}
	return files[0], nil
}
