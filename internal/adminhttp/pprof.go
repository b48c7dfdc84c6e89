package adminhttp

import (
	"fmt"
	"net/http"
	"net/http/pprof"
	"strconv"
)

// MaxProfileSeconds is the longest profile. Each costs the process while it is taken.
const MaxProfileSeconds = 300

// addProfiles adds what net/http/pprof has, bounded.
func addProfiles(mux *http.ServeMux) {
	slots := make(chan struct{}, maxProfiles)
	addProfile(mux, slots, "/debug/pprof/", pprof.Index) // and all profiles with a name
	addProfile(mux, slots, "/debug/pprof/cmdline", pprof.Cmdline)
	addProfile(mux, slots, "/debug/pprof/profile", pprof.Profile)
	addProfile(mux, slots, "/debug/pprof/symbol", pprof.Symbol)
	addProfile(mux, slots, "/debug/pprof/trace", pprof.Trace)
}

func addProfile(mux *http.ServeMux, slots chan struct{}, path string, h http.HandlerFunc) {
	mux.HandleFunc("GET "+path, func(w http.ResponseWriter, r *http.Request) {
		if text := r.FormValue("seconds"); text != "" {
			n, err := strconv.ParseFloat(text, 64)
			if err != nil || !(n >= 0 && n <= MaxProfileSeconds) { // also what is no number
				http.Error(w, fmt.Sprintf("seconds: use a number from 0 to %d", MaxProfileSeconds), http.StatusBadRequest)
				return
			}
		}
		select {
		case slots <- struct{}{}:
			defer func() { <-slots }()
		default:
			http.Error(w, fmt.Sprintf("%d profiles are being taken already: try again later", maxProfiles), http.StatusServiceUnavailable)
			return
		}
		w.Header().Set("Cache-Control", "no-store")
		h(w, r)
	})
}
