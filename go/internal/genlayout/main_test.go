// SPDX-License-Identifier: MIT OR Apache-2.0

package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const module = "../.."

// opaque is a struct whose fields the header does not have.
var opaque = regexp.MustCompile(`\nstruct ct_\w+;`)

func textOf(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(module, "..", filepath.FromSlash(path)))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func headerText(t *testing.T) string {
	t.Helper()
	return textOf(t, "include/ctrack.h")
}

func TestWhatIsCommittedIsWhatTheHeaderGives(t *testing.T) {
	files, err := generate(headerText(t), textOf(t, "abi/fields.txt"))
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
			t.Errorf("%s is not what the header and abi/fields.txt give: run go generate", name)
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
	if structs := strings.Count(text, "\nstruct ct_") - len(opaque.FindAllString(text, -1)); len(parsed.structures) != structs {
		t.Errorf("%d structs of %d", len(parsed.structures), structs)
	}
}

func TestWhatIsNotUnderstoodIsRefusedAndNotLeftOut(t *testing.T) {
	right := "#define CT_A (1ull << 3)\n#define CT_B 7\nstruct ct_s {\n  uint8_t a[16];\n  struct ct_t b;\n};\n"
	if _, err := generate(right, ""); err != nil {
		t.Fatal(err)
	}
	for part, wrong := range map[string]string{
		"(1ull << 3)": "sizeof(int)", "7": "CT_A | 1", "uint8_t a[16]": "uint8_t *a", "uint8_t a": "unsigned a", "struct ct_t b": "int b : 3",
	} {
		changed := strings.Replace(right, part, wrong, 1)
		if changed == right {
			t.Fatalf("%s is not in it", part)
		}
		if _, err := generate(changed, ""); err == nil {
			t.Errorf("%s is let through", wrong)
		}
	}
	if _, err := generate("int x;", ""); err == nil {
		t.Error("nothing at all is let through")
	}
}

func TestARecordOfFieldsThatIsNotThatOfTheHeaderIsRefused(t *testing.T) {
	header, right := headerText(t), textOf(t, "abi/fields.txt")
	for line := range strings.Lines(right) {
		name, _, _ := strings.Cut(line, " ")
		if _, err := generate(header, strings.Replace(right, line, "", 1)); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("without %s: %v", name, err)
		}
		if _, err := generate(header, right+line); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("with %s twice: %v", name, err)
		}
	}
	for part, wrong := range map[string]string{
		"ct_entry.mark 16 4 MARK create,update": "ct_entry.nothing 16 4 MARK create,update", "ct_filter.mark 28 4 MARK": "ct_filter.mark 28 4 NOTHING",
		" USE -": " USE", "MARK create,update": "MARK create,list", "use_count 24": "use_count x", "ORIG&PORTS": "ORIG&NOTHING", "ct_filter.id": "ct_result.id",
	} {
		changed := strings.Replace(right, part, wrong, 1)
		if changed == right {
			t.Fatalf("%s is not in it", part)
		}
		if _, err := generate(header, changed); err == nil {
			t.Errorf("%s is let through", wrong)
		}
	}
}
