// Package config is the gateway's configuration: one file of JSON, pin-gateway.json, in
// which environment variables override single fields.
//
//	{
//	  "// who may come": "a name that begins with two slashes is a comment",
//	  "public_url": "https://pins.example.com",
//	  "issuers": [{"url": "https://id.example.com", "audiences": ["pins"], …}]
//	}
//
// The variable of a field is PIN_GATEWAY_ and its path in capitals, with underscores in
// place of dots: PIN_GATEWAY_PEERS_PASSWORD_FILE is peers.password_file. Lists of texts and
// numbers have commas; lists of objects are JSON.
//
// Promised: a configuration that Load returns is complete and fits together. What is not
// known, in the file or among the variables, is an error, with what was probably meant. All
// that is wrong is reported at once: each field, what is wrong with it, and what to do.
//
// No secret is in it, and none is in an error: secrets are in files of their own, which
// Read reads. A field with the name of such a file may be shown to anybody.
package config
