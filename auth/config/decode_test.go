package config

import "testing"

// TestText is what is said of files that cannot be read as they are.
func TestText(t *testing.T) {
	for text, want := range map[string]string{
		"":                                    "it is empty: write a JSON object, {…}",
		"[]":                                  "it is not an object: write {…}",
		"null":                                "is null: give it a value, or remove it",
		"{}{}":                                "something follows the JSON object, in line 1: remove it",
		"{}\n\nx":                             "something follows the JSON object, in line 3: remove it",
		"{\n\"listen\": \":1\"\n\"tls\": {}}": "line 3 is not JSON, invalid character '\"' after object value (expecting ',' or '}'): look for a comma, a quote or a bracket that is missing or too much",
		"{\"tls\": {\"key_file\": \"a\",\n\"key_file\": \"b\"}}": "line 2 has key_file for the second time: keep one of them",
		`{"liste": "x"}`:                                 "liste is not a setting: did you mean listen?",
		`{"Listen": "x"}`:                                "Listen is not a setting: did you mean listen?",
		`{"passwords": 1}`:                               "passwords is not a setting: correct its name, or remove it",
		`{"peers": {"password": "hunter2"}}`:             "peers.password is not a setting: did you mean password_file?",
		`{"issuers": [{"audience": ["a"]}]}`:             "issuers[0].audience is not a setting: did you mean audiences?",
		`{"database": {"host": ["a"]}}`:                  "database.host is not a setting: did you mean hosts?",
		`{"database": {"folder": "/"}}`:                  "database.folder is not a setting: correct its name, or remove it",
		`{"folder": "/"}`:                                "folder is not a setting: correct its name, or remove it",
		`{"listen": 1}`:                                  `listen is not a text: write it as in "text"`,
		`{"tls": null}`:                                  "tls is null: give it a value, or remove it",
		`{"tls": []}`:                                    `tls is not an object: write it as in {"name": "value"}`,
		`{"issuers": {}}`:                                `issuers is not a list of objects: write it as in [{"name": "value"}]`,
		`{"issuers": [1]}`:                               `issuers[0] is not an object: write it as in {"name": "value"}`,
		`{"siwe": {"chains": [-1]}}`:                     `siwe.chains is not a list of whole numbers: write it as in [1, 2]`,
		`{"peers": {"urls": "a"}}`:                       `peers.urls is not a list of texts: write it as in ["one", "two"]`,
		`{"sessions": {"lifetime": 900}}`:                `sessions.lifetime is not a duration: write it as in "10s"`,
		`{"sessions": {"lifetime": "900"}}`:              `sessions.lifetime is not a duration: write it as in "10s"`,
		`{"sessions": {"keys": [{"from": "tomorrow"}]}}`: `sessions.keys[0].from is not a time: write it as in "2026-01-31T12:00:00Z"`,
		`{"pins": {"repl_min": 1.5}}`:                    `pins.repl_min is not a whole number: write it as in 10`,
		`{"limits": {"tenant": {"per_second": "1"}}}`:    `limits.tenant.per_second is not a number: write it as in 0.5`,
		`{"did": {"enabled": "yes"}}`:                    `did.enabled is not true or false: write it as in true`,
		`{"database": {"replication": [1]}}`:             `database.replication is not a list of data centres and replicas: write it as in {"dc1": 3, "dc2": 3}`,
	} {
		_, err := Parse([]byte(text), "", nil)
		if err == nil || err.Error() != want {
			t.Errorf("%s\ngot  %v\nwant %s", text, err, want)
		}
	}
}

func TestComments(t *testing.T) {
	text := `{"//": 1, "// a": {"b": null}, "audit": {"//key_file": "x", "folder": "f", "key_file": "k"}, "did": {"enabled": true}, "sessions": {"keys": [{"//": [], "id": "1", "file": "s"}]}}`
	if _, err := Parse([]byte(text), "", nil); err != nil {
		t.Error(err)
	}
}
