package dialect

// Model is one model of a list.
type Model struct {
	ID      string
	Created int64 // Unix seconds; zero where unknown
	OwnedBy string
}
