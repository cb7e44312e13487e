// SPDX-License-Identifier: MIT OR Apache-2.0

//go:build cgo && linux && ctrack_static

package ctrack

// #cgo pkg-config: --static libctrack
import "C"
