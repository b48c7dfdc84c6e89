package section

import (
	"net/url"
	"strings"
	"testing"
)

// FuzzURL: a URL is accepted only if one server can be read from it, and neither what is
// shown nor what is said of it has its secret.
func FuzzURL(f *testing.F) {
	for _, seed := range []string{"nats://n1:4222", "nats://u:geheim@n1", "tls://geheim@n1:1", "u:geheim@n1", "nats://u:ge@heim@n1/x", "nats://u:geheim@n1?a@b", "tls://@0"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if urlProblem(text, []string{"nats", "tls"}, false) != "" {
			return
		}
		u, err := url.Parse(text)
		if err != nil || u.Hostname() == "" || strings.Contains(text, ",") {
			t.Fatalf("%q was accepted: %v", text, err)
		}
		masked, err := url.Parse(maskURL(text))
		if err != nil || masked.Host != u.Host || masked.Scheme != u.Scheme {
			t.Fatalf("%q is shown as %q: %v", text, maskURL(text), err)
		}
		if (u.User == nil) != (masked.User == nil) {
			t.Fatalf("%q is shown as %q", text, maskURL(text))
		}
		if u.User == nil {
			return
		}
		secret, name := u.User.Username(), ""
		if password, ok := u.User.Password(); ok {
			secret, name = password, u.User.Username()
		}
		if shown, _ := masked.User.Password(); masked.User.Username() != name && masked.User.Username() != "XXX_hidden_XXX" || shown == secret {
			t.Fatalf("%q is shown as %q", text, maskURL(text))
		}
	})
}

func TestMaskURL(t *testing.T) {
	for text, want := range map[string]string{
		"nats://n1:4222":               "nats://n1:4222",
		"nats://u:geheim@n1:4222":      "nats://u:XXX_hidden_XXX@n1:4222",
		"nats://geheim@n1":             "nats://XXX_hidden_XXX@n1",
		"nats://u:ge@heim@n1":          "nats://u:XXX_hidden_XXX@n1",
		"nats://u:ge:heim/@n1":         "nats://u:XXX_hidden_XXX@n1",
		"u:geheim@n1":                  "u:XXX_hidden_XXX@n1",
		"nats://n1,nats://u:geheim@n2": "nats://n1,nats:XXX_hidden_XXX@n2",
		"":                             "",
	} {
		if got := maskURL(text); got != want {
			t.Errorf("%q is shown as %q, want %q", text, got, want)
		}
	}
}
