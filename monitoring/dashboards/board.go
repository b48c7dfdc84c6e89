package dashboards

// board is a dashboard.
type board struct {
	uid, title, about string
	rows              []row
	// job is a metric by whose label job the processes are found that the board is about.
	job string
}

// row is a line of panels under a title. Panels go from left to right, 24 columns wide, and
// on below.
type row struct {
	title  string
	panels []panel
}

// panel is a number or a graph.
type panel struct {
	title, about string
	kind         kind
	unit         string
	queries      []query
	// steps are the values from which on the panel is yellow, and red. Below is set if it is
	// the lower ones that are bad.
	steps []float64
	below bool
}

// kind is what a panel is, a graph if it says nothing.
type kind int

const (
	// number is the newest value.
	number kind = iota + 1
	// stacked is a graph whose series add up.
	stacked
)

// query is what a panel asks. In expr, SEL stands for the selector of the job and the
// instances that are chosen above the dashboard, and RATE for a duration that rates need.
type query struct{ expr, legend string }

// ask is a panel's only query, or the first of some.
func ask(expr, legend string) []query { return []query{{expr, legend}} }

// quantiles asks for three quantiles of a histogram.
func quantiles(histogram string) []query {
	of := func(q, name string) query {
		return query{"histogram_quantile(" + q + ", sum by (le) (rate(" + histogram + "_bucket{SEL}[RATE])))", name}
	}
	return []query{of("0.5", "median"), of("0.95", "95 %"), of("0.99", "99 %")}
}

// p99 asks for the 99th percentile of a histogram for each value of a label.
func p99(histogram, label string) []query {
	return ask("histogram_quantile(0.99, sum by (le, "+label+") (rate("+histogram+"_bucket{SEL}[RATE])))", "{{"+label+"}}")
}

// rate asks how often a counter counts in a second, for each value of a label.
func rate(counter, label string) []query {
	return ask("sum by ("+label+") (rate("+counter+"{SEL}[RATE]))", "{{"+label+"}}")
}

// total asks how often a counter counts in a second.
func total(counter, name string) query {
	return query{"sum(rate(" + counter + "{SEL}[RATE]))", name}
}
