package demo

import (
	"errors"
	"fmt"
	"math/big"
	"sort"
	"strconv"
	"strings"

	"github.com/tidwall/gjson"
)

// Numbers are fractions of whole numbers here, since a multiple of 0.01 is none in floating point.

// maxExponent bounds the powers of ten that are worked out: those of a float64.
const maxExponent = 308

// parseNumber reads a JSON number exactly.
func parseNumber(text string) (*big.Rat, error) {
	if i := strings.IndexAny(text, "eE"); i >= 0 {
		if e, err := strconv.Atoi(text[i+1:]); err != nil || e > maxExponent || e < -maxExponent {
			return nil, fmt.Errorf("the number %.20s is out of range", text)
		}
	}
	if len(text) > 2*maxExponent {
		return nil, fmt.Errorf("the number %.20s… is too long", text)
	}
	x, ok := new(big.Rat).SetString(text)
	if !ok {
		return nil, fmt.Errorf("%.20q is not a number", text)
	}
	return x, nil
}

func (s *shape) addNumberKeyword(keyword string, value gjson.Result) error {
	if value.Type != gjson.Number {
		return fmt.Errorf("%s must be a number", keyword)
	}
	x, err := parseNumber(value.Raw)
	if err != nil {
		return err
	}
	switch keyword {
	case "minimum", "exclusiveMinimum":
		open := keyword == "exclusiveMinimum"
		if s.lower == nil || x.Cmp(s.lower) > 0 || open && x.Cmp(s.lower) == 0 {
			s.lower, s.lowerOpen = x, open
		}
	case "maximum", "exclusiveMaximum":
		open := keyword == "exclusiveMaximum"
		if s.upper == nil || x.Cmp(s.upper) < 0 || open && x.Cmp(s.upper) == 0 {
			s.upper, s.upperOpen = x, open
		}
	case "multipleOf":
		if x.Sign() <= 0 {
			return errors.New("multipleOf must be greater than 0")
		}
		s.step = commonMultiple(s.step, x)
	}
	return nil
}

// commonMultiple is the least fraction of which both are divisors; nil stands for no demand. With both in
// lowest terms it is lcm of the numerators over gcd of the denominators.
func commonMultiple(x, y *big.Rat) *big.Rat {
	switch {
	case x == nil:
		return y
	case y == nil:
		return x
	}
	num := new(big.Int).Mul(x.Num(), y.Num())
	num.Quo(num, new(big.Int).GCD(nil, nil, x.Num(), y.Num()))
	return new(big.Rat).SetFrac(num, new(big.Int).GCD(nil, nil, x.Denom(), y.Denom()))
}

func (s *shape) fitsNumber(x *big.Rat) bool {
	if s.lower != nil {
		if c := x.Cmp(s.lower); c < 0 || c == 0 && s.lowerOpen {
			return false
		}
	}
	if s.upper != nil {
		if c := x.Cmp(s.upper); c > 0 || c == 0 && s.upperOpen {
			return false
		}
	}
	return s.step == nil || new(big.Rat).Quo(x, s.step).IsInt()
}

// emitNumber appends one where that is allowed, else zero, else what is next to a bound, and variants of it.
func (s *shape) emitNumber(dst []byte, t types, variant int) ([]byte, error) {
	whole := t&typeFraction == 0
	step := s.step
	if whole {
		step = commonMultiple(step, big.NewRat(1, 1))
	}
	narrowed := *s
	narrowed.step = step
	x := narrowed.nearOne()
	if x == nil {
		return dst, errNothingFits
	}
	if variant > 0 {
		if step == nil {
			step = narrowed.stride(x)
		}
		x = narrowed.along(x, step, int64(variant))
	}
	return appendRat(dst, x)
}

// nearOne is a number that fits: one, zero, or the one next to a bound; nil where there is none.
func (s *shape) nearOne() *big.Rat {
	for _, x := range []*big.Rat{big.NewRat(1, 1), new(big.Rat)} {
		if s.fitsNumber(x) {
			return x
		}
	}
	var candidates []*big.Rat
	if s.step != nil {
		candidates = append(candidates, s.step)
		if s.lower != nil {
			at := ceil(new(big.Rat).Quo(s.lower, s.step))
			candidates = append(candidates, new(big.Rat).Mul(at, s.step))
			candidates = append(candidates, new(big.Rat).Mul(at.Add(at, big.NewRat(1, 1)), s.step))
		}
		if s.upper != nil {
			at := ceil(new(big.Rat).Quo(s.upper, s.step))
			for range 3 { // the ceiling may lie above the bound, the one below on an open bound
				candidates = append(candidates, new(big.Rat).Mul(at, s.step))
				at.Sub(at, big.NewRat(1, 1))
			}
		}
	} else {
		one := big.NewRat(1, 1)
		if s.lower != nil {
			candidates = append(candidates, s.lower, new(big.Rat).Add(s.lower, one))
		}
		if s.upper != nil {
			candidates = append(candidates, s.upper, new(big.Rat).Sub(s.upper, one))
		}
		if s.lower != nil && s.upper != nil {
			middle := new(big.Rat).Add(s.lower, s.upper)
			candidates = append(candidates, middle.Quo(middle, big.NewRat(2, 1)))
		}
	}
	for _, x := range candidates {
		if s.fitsNumber(x) {
			return x
		}
	}
	return nil
}

// along is the number so many steps from x: upwards while there is room, then downwards, then from x again.
func (s *shape) along(x, step *big.Rat, steps int64) *big.Rat {
	at := func(n int64) *big.Rat {
		y := new(big.Rat).Mul(step, big.NewRat(n, 1))
		return y.Add(y, x)
	}
	if up := at(steps); s.fitsNumber(up) {
		return up
	}
	// The room on each side, as far as so many steps could reach.
	above := int64(sort.Search(int(steps), func(n int) bool { return !s.fitsNumber(at(int64(n) + 1)) }))
	below := int64(sort.Search(int(steps), func(n int) bool { return !s.fitsNumber(at(-int64(n) - 1)) }))
	if steps %= above + below + 1; steps > above {
		return at(above - steps)
	}
	return at(steps)
}

// stride is a distance between variants of a fraction: one, or a thousandth of a narrow range.
func (s *shape) stride(x *big.Rat) *big.Rat {
	one := big.NewRat(1, 1)
	if s.lower == nil || s.upper == nil || s.fitsNumber(new(big.Rat).Add(x, big.NewRat(1000, 1))) {
		return one
	}
	width := new(big.Rat).Sub(s.upper, s.lower)
	return width.Quo(width, big.NewRat(1000, 1))
}

// ceil is the least whole number that is not less than x.
func ceil(x *big.Rat) *big.Rat {
	q, m := new(big.Int).DivMod(x.Num(), x.Denom(), new(big.Int))
	if m.Sign() > 0 {
		q.Add(q, big.NewInt(1))
	}
	return new(big.Rat).SetInt(q)
}

// appendRat writes a number whose decimal form ends.
func appendRat(dst []byte, x *big.Rat) ([]byte, error) {
	digits, exact := x.FloatPrec()
	if !exact {
		return dst, errNothingFits
	}
	return append(dst, x.FloatString(digits)...), nil
}
