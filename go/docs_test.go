// SPDX-License-Identifier: MIT OR Apache-2.0

package ctrack_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// What a block of a document may use, beside ctx and conn, if it is no program of its own.
const docsHead = `package docs

import (
	"context"
	"ctrack"
	"ctrack/ctracktest"
	"errors"
	"fmt"
	"log"
	"net/netip"
	"os"
	"syscall"
	"testing"
	"time"
)

var _, _, _, _, _ = context.Background, errors.Is, fmt.Errorf, log.Print, netip.ParseAddr
var _, _, _, _, _, _ = os.Exit, syscall.EPERM, testing.Short, time.Now, ctracktest.New, ctrack.Open

`

// goBlocks are the blocks of Go of a document.
func goBlocks(t *testing.T, document string) []string {
	text, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	var blocks []string
	for _, part := range strings.Split(string(text), "\n```go\n")[1:] {
		block, _, closed := strings.Cut(part, "\n```\n")
		if !closed {
			t.Fatalf("%s: a block is not closed", document)
		}
		blocks = append(blocks, block+"\n")
	}
	return blocks
}

func TestTheProgramsOfTheDocumentsCompile(t *testing.T) {
	module, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	path := strings.Fields(string(module))[1]
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	directory := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		name = filepath.Join(directory, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	write("go.mod", fmt.Sprintf("module example.org/docs\n\ngo 1.24\n\nrequire %s v0.0.0\n\nreplace %s => %s\n", path, path, here))
	count := 0
	for _, document := range []string{"README.md", "MIGRATING.md"} {
		blocks := goBlocks(t, document)
		if len(blocks) == 0 {
			t.Errorf("%s has no Go", document)
		}
		for _, block := range blocks {
			count++
			switch {
			case strings.HasPrefix(block, "package "):
				write(fmt.Sprintf("program%d/main.go", count), block)
			case strings.HasPrefix(block, "func "), strings.HasPrefix(block, "type "):
				write(fmt.Sprintf("block%d/docs_test.go", count), docsHead+block)
			default:
				write(fmt.Sprintf("block%d/docs.go", count), docsHead+
					"func block(ctx context.Context, conn ctrack.Table) error {\n"+block+"return nil\n}\n\nvar _ = block\n")
			}
		}
	}
	for _, args := range [][]string{{"vet", "./..."}, {"test", "./..."}} {
		command := exec.Command("go", args...)
		command.Dir = directory
		// For this machine, also where an emulator runs the test.
		command.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-mod=mod", "GOARCH=", "GOOS=")
		if output, err := command.CombinedOutput(); err != nil {
			t.Fatalf("go %v of %d blocks: %v\n%s", args, count, err, output)
		}
	}
}
