package main

import (
	"database/sql"
	"path/filepath"
	"strings"
	"testing"

	_ "modernc.org/sqlite"
)

// What calls used is in the ledger when the gateway ends, and prompts are there only redacted and only because the config says so.
func TestTheLedgerHasWhatCallsUsed(t *testing.T) {
	p := start(t, site("\t\tprovider demo\n\t\tledger {\n\t\t\trequest_log 1d\n\t\t\tprompts\n\t\t\tredact secret-[0-9]+\n\t\t}", "llm"))
	for range 3 {
		p.do("POST", chatPath, p.Key, `{"model":"demo","temperature":0,"messages":[{"role":"user","content":"about secret-42"}]}`)
	}
	p.do("POST", chatPath, p.Key, chatBody("no-such-model", ""))
	p.do("POST", chatPath, "", chatBody("demo", ""))
	p.stop() // writes what is left

	db, err := sql.Open("sqlite", filepath.Join(p.Dir, "data", "gateway.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var calls, failures, hits, output int
	if err := db.QueryRow(`SELECT sum(calls), sum(failures), sum(cache_hits), sum(output) FROM usage`).Scan(&calls, &failures, &hits, &output); err != nil {
		t.Fatal(err)
	}
	if calls != 4 || failures != 1 || hits != 2 || output == 0 {
		t.Errorf("usage: %d calls, %d failures, %d hits, %d tokens of output", calls, failures, hits, output)
	}
	rows, err := db.Query(`SELECT status, prompt FROM calls ORDER BY at`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	n := 0
	for rows.Next() {
		var status int
		var prompt string
		if err := rows.Scan(&status, &prompt); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(prompt, "secret-42") {
			t.Errorf("the prompt is kept as it was: %s", prompt)
		}
		n++
	}
	if n != 4 || rows.Err() != nil {
		t.Errorf("%d calls in the request log, %v", n, rows.Err())
	}
}
