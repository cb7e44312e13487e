// SPDX-License-Identifier: MIT OR Apache-2.0

package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const module = "../.."

func headerText(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(module, "..", "include", "ctrack.h"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestWhatIsCommittedIsWhatTheHeaderGives(t *testing.T) {
	files, err := generate(headerText(t))
	if err != nil {
		t.Fatal(err)
	}
	if len(files) != 3 {
		t.Errorf("%d files", len(files))
	}
	for name, want := range files {
		have, err := os.ReadFile(filepath.Join(module, name))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(have, want) {
			t.Errorf("%s is not what the header gives: run go generate", name)
		}
	}
}

func TestNothingOfTheHeaderIsLeftOut(t *testing.T) {
	text := headerText(t)
	parsed, err := parse(text)
	if err != nil {
		t.Fatal(err)
	}
	if defines := strings.Count(text, "\n#define CT_"); len(parsed.constants) != defines || defines < 100 {
		t.Errorf("%d constants of %d defines", len(parsed.constants), defines)
	}
	if structs := strings.Count(text, "\nstruct ct_") - strings.Count(text, "\nstruct ct_handle;"); len(parsed.structures) != structs {
		t.Errorf("%d structs of %d", len(parsed.structures), structs)
	}
}

func TestWhatIsNotUnderstoodIsRefusedAndNotLeftOut(t *testing.T) {
	right := "#define CT_A (1ull << 3)\n#define CT_B 7\nstruct ct_s {\n  uint8_t a[16];\n  struct ct_t b;\n};\n"
	if _, err := generate(right); err != nil {
		t.Fatal(err)
	}
	for part, wrong := range map[string]string{
		"(1ull << 3)": "sizeof(int)", "7": "CT_A | 1", "uint8_t a[16]": "uint8_t *a", "uint8_t a": "unsigned a", "struct ct_t b": "int b : 3",
	} {
		changed := strings.Replace(right, part, wrong, 1)
		if changed == right {
			t.Fatalf("%s is not in it", part)
		}
		if _, err := generate(changed); err == nil {
			t.Errorf("%s is let through", wrong)
		}
	}
	if _, err := generate("int x;"); err == nil {
		t.Error("nothing at all is let through")
	}
}
