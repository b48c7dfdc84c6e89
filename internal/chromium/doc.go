// Package chromium loads pages in a real browser, headless Chromium, and tells tests what a
// person would see of them and what the browser complains of.
//
//	page := chromium.Start(t).Load(t, url, &http.Cookie{Name: "session", Value: "…"})
//	if !strings.Contains(page.Text(t), "Your pins") || len(page.Violations(t)) > 0 {
//		…
//	}
//
// The browser is that of the machine (Debian's package chromium), driven by the Chrome
// DevTools Protocol over a pair of pipes. It keeps nothing, and ends with the test or with
// the process of the test. Its sandbox is off: it is for pages of our own.
//
// A test without Chromium is skipped, and says why; CHROMIUM_REQUIRED=1 makes it fail.
package chromium
