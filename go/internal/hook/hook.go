// SPDX-License-Identifier: MIT OR Apache-2.0

// Package hook is how package ctracktest gets at the checks of package ctrack, which sets these functions as it starts. They are not
// for users: what is checked before a request is sent is the same for a real table and for one of a test.
package hook

// Purpose of an entry that is handed in.
type Purpose int

const (
	ToFind   Purpose = iota // get and delete
	ToCreate                // make one
	ToUpdate                // find one and change it
)

// Entry checks a ctrack.Entry as the library would, and gives it with its Has bits and family; or the error of this operation and
// place.
var Entry func(op, place string, entry any, purpose Purpose) (any, error)

// Changed is what a ctrack.Change asks for. Values is a ctrack.Entry: of its Has bits those that do not say which entry.
type Changed struct {
	Key, Values             any
	MarkMask                uint32
	AddLabels, RemoveLabels bool
}

// Change checks a ctrack.Change.
var Change func(op, place string, change any) (Changed, error)

// Scope gives the ctrack.Filter that a ctrack.Scope comes to.
var Scope func(scope any) any
