// SPDX-License-Identifier: MIT OR Apache-2.0

package ctrack

// Selection is a list of filters that was checked, and can be asked which entries it selects: in plain Go, by the rule of List and
// Delete. The zero Selection selects every entry. It may be used by many goroutines at once.
type Selection struct {
	include, exclude []matcher
}

// NewSelection checks filters. What is wrong with one is the error that List would give; then the Selection is nil. Without
// filters, and with none but excluding ones, everything is selected that is not excluded, as by List.
func NewSelection(filters ...Filter) (*Selection, error) {
	return newSelection("selection", filters)
}

func newSelection(op string, filters []Filter) (*Selection, error) {
	s := &Selection{}
	for i := range filters {
		m, wrong := filters[i].matcher()
		if wrong != nil {
			return nil, wrong.in(op, filterPlace(i))
		}
		if filters[i].Exclude {
			s.exclude = append(s.exclude, m)
		} else {
			s.include = append(s.include, m)
		}
	}
	return s, nil
}

// Selects says whether the entry is selected: it matches at least one including filter, or there is none, and no excluding one.
// What is no right entry never is.
func (s *Selection) Selects(e Entry) bool {
	raw, right := plainEntry(&e)
	if !right {
		return false
	}
	included := len(s.include) == 0
	for i := range s.include {
		included = included || s.include[i].matches(&raw)
	}
	for i := range s.exclude {
		included = included && !s.exclude[i].matches(&raw)
	}
	return included
}

// CheckDelete is why Delete would refuse these filters although List takes them; nil if it would not: there is no including filter,
// or one matches every entry, or names an ID alone.
func (s *Selection) CheckDelete() error {
	refuse := func(reason string) error {
		return (&fault{"", reason}).in("delete", "filter")
	}
	if len(s.include) == 0 {
		return refuse("no including filter: nothing says what to delete")
	}
	for i := range s.include {
		if s.include[i].matchesAllBut(0) {
			return refuse("a filter matches every entry; to delete all of them use a flush")
		}
	}
	for i := range s.include {
		if s.include[i].matchesAllBut(ctHasId) {
			return refuse("a filter names an id alone, and entries can share one; add what else the entry has, such as its " +
				"addresses, ports or zone")
		}
	}
	return nil
}

// Check is what is wrong with the filter, in the words of the calls that would refuse it; nil if nothing is.
func (f Filter) Check() error {
	if _, wrong := f.matcher(); wrong != nil {
		return wrong.in("check", "filter")
	}
	return nil
}

// Matches says whether all fields that are set hold for the entry. Exclude makes no difference: an excluding filter matches what it
// takes away; see [Selection] for several filters together. A filter that Check refuses matches nothing, and so does what is no
// right entry. For many entries NewSelection is faster: this checks the filter each time.
func (f Filter) Matches(e Entry) bool {
	m, wrong := f.matcher()
	if wrong != nil {
		return false
	}
	raw, right := plainEntry(&e)
	return right && m.matches(&raw)
}
