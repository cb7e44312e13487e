// SPDX-License-Identifier: MIT OR Apache-2.0

package ctrack

import "fmt"

// Optional is a value that may be missing. The zero Optional is: nothing is asked for, or nothing is changed. [Is] makes one
// with a value, which may be zero.
type Optional[T any] struct {
	value T
	set   bool
}

// Is is an Optional with a value.
func Is[T any](value T) Optional[T] {
	return Optional[T]{value: value, set: true}
}

// Get is the value, and whether there is one.
func (o Optional[T]) Get() (T, bool) {
	return o.value, o.set
}

// String is the value as text; "-" without one.
func (o Optional[T]) String() string {
	if !o.set {
		return "-"
	}
	return fmt.Sprint(o.value)
}
