// Package plot draws curves as SVG pictures.
package plot

import (
	"encoding/xml"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Chart is curves over one axis, which is logarithmic, as scales are.
type Chart struct {
	Title, X, Y string
	At          []float64 // where on the axis, ascending, above zero
	Curves      []Curve
	LogY        bool // the other axis is as well; else it begins at zero
}

// Curve has a value for each place on the axis.
type Curve struct {
	Name   string
	Values []float64
}

const (
	width, height            = 760, 300
	left, right, top, bottom = 70, 20, 40, 50
)

var colors = []string{"#1f6feb", "#d1741b", "#2da44e"}

// SVG is the picture.
func (c *Chart) SVG() string {
	var svg strings.Builder
	fmt.Fprintf(&svg, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" font-family="sans-serif" font-size="12">`+"\n", width, height)
	svg.WriteString(`<rect width="100%" height="100%" fill="white"/>` + "\n")
	text := func(x, y float64, anchor, style, words string) {
		fmt.Fprintf(&svg, `<text x="%.1f" y="%.1f" text-anchor="%s"%s>`, x, y, anchor, style)
		xml.EscapeText(&svg, []byte(words)) //nolint:errcheck // a Builder takes everything
		svg.WriteString("</text>\n")
	}
	text(left, 20, "start", ` font-weight="bold"`, c.Title)
	text((left+width-right)/2, height-10, "middle", "", c.X)
	text(left, 35, "start", ` fill="#666"`, c.Y)

	x := axis{log: true, from: c.At[0], to: c.At[len(c.At)-1], start: left + 15, end: width - right - 15}
	for _, at := range c.At {
		fmt.Fprintf(&svg, `<path d="M%.1f %dV%d" stroke="#eee"/>`+"\n", x.place(at), top, height-bottom)
		text(x.place(at), height-bottom+16, "middle", "", Short(at))
	}
	y, ticks := c.vertical()
	for _, tick := range ticks {
		fmt.Fprintf(&svg, `<path d="M%d %.1fH%d" stroke="#ddd"/>`+"\n", left, y.place(tick), width-right)
		text(left-6, y.place(tick)+4, "end", "", Short(tick))
	}
	for i, curve := range c.Curves {
		color := colors[i%len(colors)]
		var points []string
		for j, value := range curve.Values {
			points = append(points, fmt.Sprintf("%.1f,%.1f", x.place(c.At[j]), y.place(value)))
			fmt.Fprintf(&svg, `<circle cx="%.1f" cy="%.1f" r="3" fill="%s"/>`+"\n", x.place(c.At[j]), y.place(value), color)
		}
		fmt.Fprintf(&svg, `<polyline points="%s" fill="none" stroke="%s" stroke-width="1.5"/>`+"\n", strings.Join(points, " "), color)
		text(width-right-float64(180*i), 20, "end", ` fill="`+color+`"`, curve.Name)
	}
	svg.WriteString("</svg>\n")
	return svg.String()
}

// vertical is the axis of values, with its ticks.
func (c *Chart) vertical() (axis, []float64) {
	smallest, largest := math.Inf(1), 0.0
	for _, curve := range c.Curves {
		for _, value := range curve.Values {
			smallest, largest = min(smallest, value), max(largest, value)
		}
	}
	a := axis{log: c.LogY, start: height - bottom, end: top}
	var ticks []float64
	if c.LogY {
		a.from, a.to = math.Pow(10, math.Floor(math.Log10(smallest))), math.Pow(10, math.Ceil(math.Log10(largest)))
		if a.to == a.from {
			a.to *= 10
		}
		for tick := a.from; tick <= a.to*1.0001; tick *= 10 {
			ticks = append(ticks, tick)
		}
		return a, ticks
	}
	step := Step(largest)
	a.to = step * math.Ceil(largest/step)
	for i := range int(math.Round(a.to/step)) + 1 {
		ticks = append(ticks, float64(i)*step)
	}
	return a, ticks
}

// axis places values between two ends of the picture.
type axis struct {
	log        bool
	from, to   float64
	start, end float64
}

func (a axis) place(value float64) float64 {
	from, to := a.from, a.to
	if a.log {
		value, from, to = math.Log10(value), math.Log10(from), math.Log10(to)
	}
	if from == to {
		return a.start
	}
	return a.start + (value-from)/(to-from)*(a.end-a.start)
}

// Step is a round one that divides the way to the largest value into two to five parts.
func Step(largest float64) float64 {
	if largest <= 0 {
		return 1
	}
	power := math.Pow(10, math.Floor(math.Log10(largest)))
	for _, f := range []float64{0.2, 0.5, 1} {
		if largest/(f*power) <= 5 {
			return f * power
		}
	}
	return 2 * power
}

// Short writes a value with the letters k and M for thousands and millions.
func Short(v float64) string {
	for _, unit := range []struct {
		size   float64
		letter string
	}{{1e6, "M"}, {1e3, "k"}} {
		if v >= unit.size {
			return strconv.FormatFloat(v/unit.size, 'g', 4, 64) + unit.letter
		}
	}
	return strconv.FormatFloat(v, 'g', 3, 64)
}
