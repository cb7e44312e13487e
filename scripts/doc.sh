#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# doc.sh [OUTDIR]: the manuals as HTML, into build/doc: c/ of the C library (the manual pages, mandoc makes them), rust/ of the
# crates that Rust programs use, and an index of both.

set -eu
cd "$(dirname "$0")/.."
. ./scripts/path.sh
out=${1:-build/doc}
command -v mandoc >/dev/null || {
	echo 'doc.sh: mandoc is not installed' >&2
	exit 1
}

rm -rf "$out"
mkdir -p "$out/c" "$out/rust"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' HUP INT TERM

cat >"$out/c/style.css" <<'CSS'
body { max-width: 50em; margin: 2em auto; padding: 0 1em; font-family: sans-serif; line-height: 1.4; }
table.head, table.foot { width: 100%; color: #666; }
td.head-vol { text-align: center; }
td.head-rtitle, td.foot-os { text-align: right; }
pre, code { font-family: monospace; }
.Bl-tag > dd { margin-bottom: .4em; }
.Nm, .Fn, .Cm, .Fl { font-weight: bold; font-style: normal; }
CSS

page_begin() {
	printf '<!DOCTYPE html>\n<html lang="en">\n<head><meta charset="utf-8"><title>%s</title>\n' "$1"
	printf '<link rel="stylesheet" href="%s"></head>\n<body>\n<h1>%s</h1>\n' "$2" "$1"
}

python3 scripts/man.py include/ctrack.h "$work"
{
	page_begin 'libctrack: the C manual' style.css
	echo '<ul>'
} >"$out/c/index.html"
for page in "$work"/man3/libctrack.3 "$work"/man3/ct_*.3; do
	name=$(basename "$page" .3)
	(cd "$work" && mandoc -T html -O 'style=style.css,man=%N.html' "man3/$name.3") >"$work/html"
	# Links to manuals that are not among these would lead nowhere.
	grep -o 'class="Xr" href="[a-z_0-9]*\.html"' "$work/html" | sed 's/.*"\(.*\)\.html"/\1/' | sort -u >"$work/links"
	while read -r link; do
		[ -e "$work/man3/$link.3" ] || sed -i "s| href=\"$link\\.html\"||g" "$work/html"
	done <"$work/links"
	mv "$work/html" "$out/c/$name.html"
	summary=$(sed -n 's/\\[-&]/-/g; s/\\(aq/\&#39;/g; s/\\f[BPI]//g; s/^\.Nd /: /p; s/^\.so .*\/\(.*\)\.3$/, see \1/p' "$page")
	printf '<li><a href="%s.html"><code>%s</code></a>%s</li>\n' "$name" "$name" "$summary" >>"$out/c/index.html"
done
printf '</ul>\n</body>\n</html>\n' >>"$out/c/index.html"

# In a directory of its own: cargo leaves what it made of other crates, or of this one earlier.
CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-target}/manual
export CARGO_TARGET_DIR
rm -rf "$CARGO_TARGET_DIR/doc"
RUSTDOCFLAGS='-D warnings' cargo doc --locked --no-deps --lib --quiet -p ctrack -p ctnetlink
cp -R "$CARGO_TARGET_DIR/doc/." "$out/rust/"
# rustdoc's own pages link to it.
echo '<!DOCTYPE html><title>ctrack</title><meta http-equiv="refresh" content="0; url=ctrack/index.html">' >"$out/rust/index.html"

{
	page_begin 'libctrack' c/style.css
	echo '<ul><li><a href="c/libctrack.html">From C: the manual</a> (<a href="c/index.html">all pages</a>)</li>'
	printf '<li><a href="rust/ctrack/index.html">From Rust: the crate ctrack</a>, and <a href="rust/ctnetlink/index.html">its codec alone</a></li></ul>\n'
	printf '</body>\n</html>\n'
} >"$out/index.html"
echo "$out/index.html"
