// SPDX-License-Identifier: MIT OR Apache-2.0

package ctrack

// Namespace says in which network namespace a [Conn] works. The zero Namespace is that of the thread that calls [Open].
type Namespace struct {
	kind namespaceKind
	fd   int
	path string
}

type namespaceKind uint8

const (
	namespaceOfCaller namespaceKind = iota
	namespaceOfFD
	namespaceAtPath
)

// NamespaceFD is the network namespace that a descriptor refers to. It is looked at during Open only, and stays yours.
func NamespaceFD(fd int) Namespace {
	return Namespace{kind: namespaceOfFD, fd: fd}
}

// NamespacePath is the network namespace at a path, for example /run/netns/NAME or /proc/PID/ns/net.
func NamespacePath(path string) Namespace {
	return Namespace{kind: namespaceAtPath, path: path}
}
