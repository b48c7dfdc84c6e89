package web

import (
	"net/http"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/authn"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/door"
)

// problemView is what is wrong, as a page says it.
type problemView struct {
	Details, RequestID string
	// Next is where one goes on, and To what that is called.
	Next, To string
}

// failed is the door.Form of the pages. Who is nobody is sent to the login.
func (p *Pages) failed(w http.ResponseWriter, problem *door.Problem, id string) {
	if problem.Status == http.StatusUnauthorized {
		w.Header().Del("WWW-Authenticate")
		target := Login
		if problem.Reason != authn.Unauthorized {
			target += "?ended"
		}
		goTo(w, target)
		return
	}
	shown := page{Menu: true, Keys: p.config.Keys != nil, Body: problemView{sentence(problem.Details), id, Home, "Go to your pins"}}
	p.showProblem(w, problem, shown)
}

// LoginFailed is the door.Form of logins by browsers.
func (p *Pages) LoginFailed(w http.ResponseWriter, problem *door.Problem, id string) {
	p.showProblem(w, problem, page{Body: problemView{sentence(problem.Details), id, Login, "Go to the login"}})
}

func (p *Pages) showProblem(w http.ResponseWriter, problem *door.Problem, shown page) {
	shown.Title = titleOf(problem.Status)
	if err := p.show(w, problem.Status, "problem", shown); err != nil {
		http.Error(w, "internal error", http.StatusInternalServerError)
	}
}

func titleOf(status int) string {
	switch {
	case status == http.StatusUnauthorized:
		return "You are not logged in"
	case status == http.StatusForbidden:
		return "This is not allowed"
	case status == http.StatusNotFound:
		return "There is nothing here"
	case status == http.StatusTooManyRequests:
		return "Too many requests"
	case status == http.StatusInternalServerError:
		return "Something went wrong"
	case status >= http.StatusInternalServerError:
		return "This does not work at the moment"
	}
	return "This cannot be done"
}

// sentence is a text as one that stands by itself.
func sentence(text string) string {
	first, length := utf8.DecodeRuneInString(text)
	if length == 0 {
		return ""
	}
	text = string(unicode.ToUpper(first)) + text[length:]
	if strings.HasSuffix(text, ".") {
		return text
	}
	return text + "."
}
