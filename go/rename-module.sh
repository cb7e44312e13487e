#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# rename-module.sh NEWPATH: gives the module another path than `ctrack`, for example the one of the host that it is fetched from:
#
#   ./rename-module.sh example.org/libctrack/go
#
# It changes go.mod, the imports of all Go files, the generator and the documents beside them. What programs call the package stays
# `ctrack`. Run it in a clean checkout, look at the difference, run ./test.sh, commit. A module in a subdirectory of its repository is
# tagged with the directory in front: go/v0.2.0. Running it again with another path renames again.
set -eu
[ $# -eq 1 ] || {
	echo 'usage: rename-module.sh NEWPATH' >&2
	exit 2
}
new=$1
cd "$(dirname "$0")"
old=$(sed -n 's/^module //p' go.mod)
# The rules of module paths: what may stand between slashes, and a dot in the first part, so that go fetches it.
case $new in
*[!A-Za-z0-9._~/-]* | /* | */ | *//* | -* | .* | '')
	echo "rename-module.sh: $new is no module path" >&2
	exit 2
	;;
esac
case ${new%%/*} in
*.*) ;;
*)
	echo "rename-module.sh: $new has no host: its first part needs a dot" >&2
	exit 2
	;;
esac
[ "$new" != "$old" ] || {
	echo "rename-module.sh: the module already is $new" >&2
	exit 2
}
last=${new##*/}
# An import whose last part is not the name of the package is given that name.
if [ "$last" = ctrack ]; then name=; else name='ctrack '; fi
quoted=$(printf '%s' "$old" | sed 's/[.~]/\\&/g')

# Imports stand alone in their line, perhaps with a name; the generator's output has none of its own.
find . -name '*.go' -not -path './vendor/*' | while read -r file; do
	sed -i -e "s|^\\([[:space:]]*\\)\\(import \\)\\{0,1\\}\\(ctrack \\)\\{0,1\\}\"$quoted\"\$|\\1\\2$name\"$new\"|" \
		-e "s|^\\([[:space:]]*\\)\\(import \\)\\{0,1\\}\"$quoted/\\([a-z]*[a-z/]*\\)\"\$|\\1\\2\"$new/\\3\"|" "$file"
done
for file in *.md; do
	sed -i -e "s|^\\([[:space:]]*\\)\\(ctrack \\)\\{0,1\\}\"$quoted\"\$|\\1$name\"$new\"|" -e "s|^\\([[:space:]]*\\)\"$quoted/|\\1\"$new/|" \
		-e "s|-require=$quoted@|-require=$new@|; s|-replace=$quoted=|-replace=$new=|; s|go doc -all $quoted\\b|go doc -all $new|" \
		-e "s|module path is \`$quoted\`|module path is \`$new\`|" \
		-e '/^The module path is /s|, without a host: point |: get it from its host, or point |' "$file"
done
sed -i "s|^module $quoted\$|module $new|" go.mod
sed -i "s|-require=$quoted@v0.0.0 -replace=$quoted=|-require=$new@v0.0.0 -replace=$new=|" test.sh
command -v gofmt >/dev/null && gofmt -w .
echo "the module is $new now"
