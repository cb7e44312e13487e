// SPDX-License-Identifier: MIT OR Apache-2.0

// Package fieldtest walks over the fields of structs, for tests that ask of each whether it was forgotten somewhere.
package fieldtest

import (
	"net/netip"
	"reflect"
	"slices"
	"testing"
	"time"
)

// plain are values of types that have no fields to walk over.
var plain = []any{time.Unix(1, 0).UTC(), time.Second, netip.MustParseAddr("fd00::1"), netip.MustParsePrefix("fd00::1/128")}

// Each calls visit once for every exported field of a struct, with what sets it: to that of the values which has its type; numbers
// to 1, texts to "a", addresses to fd00::1. A struct within the struct is walked over too, and named with a dot: "Orig.Src". A type
// that no value is known of fails the test.
func Each[T any](t *testing.T, values []any, visit func(name string, set func(to *T))) {
	t.Helper()
	walk(t, slices.Concat(values, plain), reflect.TypeFor[T](), "", nil, func(name string, index []int, value reflect.Value) {
		visit(name, func(to *T) { reflect.ValueOf(to).Elem().FieldByIndex(index).Set(value) })
	})
}

// Full is a struct of which every field has the value that Each gives it.
func Full[T any](t *testing.T, values []any) T {
	t.Helper()
	var full T
	Each(t, values, func(_ string, set func(to *T)) { set(&full) })
	return full
}

func walk(t *testing.T, values []any, kind reflect.Type, before string, at []int, visit func(string, []int, reflect.Value)) {
	t.Helper()
	for i := range kind.NumField() {
		field := kind.Field(i)
		if !field.IsExported() {
			continue
		}
		name, index := before+field.Name, append(append([]int{}, at...), i)
		if value, known := valueOf(values, field.Type); known {
			visit(name, index, value)
		} else if field.Type.Kind() == reflect.Struct && hasExported(field.Type) {
			walk(t, values, field.Type, name+".", index, visit)
		} else {
			t.Fatalf("%s: this test has no value of the type %v: add one", name, field.Type)
		}
	}
}

func hasExported(kind reflect.Type) bool {
	for i := range kind.NumField() {
		if kind.Field(i).IsExported() {
			return true
		}
	}
	return false
}

func valueOf(values []any, kind reflect.Type) (reflect.Value, bool) {
	for _, value := range values {
		if reflect.TypeOf(value) == kind {
			return reflect.ValueOf(value), true
		}
	}
	made := reflect.New(kind).Elem()
	switch {
	case made.Kind() == reflect.Bool:
		made.SetBool(true)
	case made.CanUint():
		made.SetUint(1)
	case made.CanInt():
		made.SetInt(1)
	case made.Kind() == reflect.String:
		made.SetString("a")
	case made.Kind() == reflect.Array && made.Type().Elem().Kind() == reflect.Uint8:
		for i := range made.Len() {
			made.Index(i).SetUint(1)
		}
	default:
		return made, false
	}
	return made, true
}
