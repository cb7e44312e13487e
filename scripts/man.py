#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""man.py HEADER OUTDIR: writes the manual pages of the C library into OUTDIR/man3, made of the header alone.

Which page something stands on follows from what the header says:

- Functions ct_OBJECT_VERB() of one object in one chapter share a page. Each other function has its own, and so has each struct.
- A struct that one page alone uses, as an argument or a field, stands on that page.
- Constants that begin alike (CT_MATCH_) stand together, where they are named: rather in their own chapter than in another one,
  rather by a field or parameter than in running text, and where that leaves several, by the first.

A chapter begins with a comment that is nothing but ---- Title ----; each is a section of libctrack(3). What no page would show
is an error. The date of the pages is that of the header, or SOURCE_DATE_EPOCH.
"""

from __future__ import annotations

import datetime
import errno
import itertools
import os
import re
import sys
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

# What the comments do not name.
OTHER_PAGES = [("netlink", 7), ("capabilities", 7), ("network_namespaces", 7), ("conntrack", 8)]


class HeaderError(Exception):
    """The header has something that no page would show."""


@dataclass
class Comment:
    """A comment: paragraphs, @param, @return and the release."""

    paragraphs: list[str] = field(default_factory=list)
    params: dict[str, str] = field(default_factory=dict)
    returns: str = ""
    since: str = ""

    @property
    def summary(self) -> str:
        """The first sentence as the NAME section wants it."""
        first = re.split(r"[.:](?:\s|$)", self.paragraphs[0])[0]
        return first[0].lower() + first[1:]


# Of a section, by the kind of its item.
TITLES = {"function": "{}()", "struct": "struct {}", "constants": "{} constants"}


@dataclass
class Item:
    """A function, a struct, or constants that begin alike."""

    kind: str
    name: str
    chapter: str
    comment: Comment
    # By name, arguments, fields or constants: how they are declared, and what is said of them.
    declared: dict[str, str] = field(default_factory=dict)
    said: dict[str, list[str]] = field(default_factory=dict)
    # Of a function.
    result: str = ""

    def details(self) -> str:
        return " ".join(text for texts in self.said.values() for text in texts)

    def uses(self, struct: Item) -> bool:
        return any(re.search(rf"struct {struct.name}\b", text) for text in self.declared.values())


@dataclass
class Header:
    top: str
    items: list[Item]

    def of(self, kind: str) -> dict[str, Item]:
        return {item.name: item for item in self.items if item.kind == kind}


# What the comments name of section 2; all else that is not of this library is of section 3.
SYSTEM_CALLS = {"clone", "fork", "madvise", "setns", "unshare", "vfork"}


def parse_comment(text: str) -> Comment:
    """The text of a comment without its stars."""
    found = Comment()
    parts = re.split(r"^(@param \w+|@return|Since (?=\d))", text, flags=re.MULTILINE)
    found.paragraphs = [" ".join(p.split()) for p in re.split(r"\n\s*\n", parts[0]) if p.strip()]
    for tag, body in zip(parts[1::2], parts[2::2]):
        body = " ".join(body.split())
        if tag.startswith("@param"):
            found.params[tag.split()[1]] = body
        elif tag == "@return":
            found.returns = body
        else:
            found.since = body.rstrip(".")
    return found


def without_stars(comment: str) -> str:
    return "\n".join(re.sub(r"^\s*\* ?", "", line).rstrip() for line in comment.strip().splitlines())


def last_name(declaration: str) -> str:
    return declaration.partition("[")[0].rstrip(";").replace("*", " ").split()[-1]


def parse_function(code: str, chapter: str, about: Comment) -> Item:
    match = re.match(r"(.*?)(\w+)\((.*)\);", code, re.DOTALL)
    if not match:
        raise HeaderError(f"this cannot be read: {code}")
    result, name, arguments = match.groups()
    declared = {last_name(a): " ".join(a.split()) for a in arguments.split(",") if arguments != "void"}
    if not about.since:
        raise HeaderError(f"{name} does not say since when it is there")
    if extra := set(about.params) - set(declared):
        raise HeaderError(f"{name} has no {extra}")
    # A function of one argument says in its text what that is.
    if len(declared) > 1 and (missing := set(declared) - set(about.params)):
        raise HeaderError(f"{name} does not document {missing}")
    said = {n: [sentence(text, about.params)] for n, text in about.params.items()}
    return Item("function", name, chapter, about, declared, said, result.strip())


def parse_struct(name: str, body: str, chapter: str, about: Comment) -> Item:
    fields = re.findall(r"^  /\*\*\n(.*?)\n   \*/\n  ([^;]*;)", body, re.MULTILINE | re.DOTALL)
    if len(fields) != len(re.findall(r"^  [\w ]+(?:\[\d+\])?;", body, re.MULTILINE)):
        raise HeaderError(f"a field of struct {name} is not documented")
    said = {last_name(f): parse_comment(without_stars(c)).paragraphs for c, f in fields}
    return Item("struct", name, chapter, about, {last_name(f): f for _, f in fields}, said)


def parse_header(text: str) -> Header:
    """Everything that the header documents. What is not documented is an error."""
    top = re.search(r"^/\*\n(.*?)^ \*/", text, re.MULTILINE | re.DOTALL)
    if not top:
        raise HeaderError("the header has no comment on top")
    banners = [(b.start(), b[1]) for b in re.finditer(r"^/\*\n \* ---- (.+) ----\n \*/$", text, re.MULTILINE)]
    if len(banners) != len(re.findall(r"^[/* ]*---- ", text, re.MULTILINE)):
        raise HeaderError("a banner must be a comment of three lines, and the one in the middle: * ---- Title ----")
    header, constants = Header(without_stars(top[1]), []), {}
    for found in re.finditer(
        r"^/\*\*\n(.*?)\n \*/\n(#define[^\n]*|struct \w+ \{.*?^\};|[^;]*;)", text, re.MULTILINE | re.DOTALL
    ):
        about, code = parse_comment(without_stars(found[1])), found[2]
        chapter = next((title for start, title in reversed(banners) if start < found.start()), "")
        if match := re.match(r"#define ((CT_[A-Z0-9]+_)\w+) (.*)", code):
            name, prefix, value = match.groups()
            if prefix not in constants:
                constants[prefix] = Item("constants", prefix, chapter, Comment())
                header.items.append(constants[prefix])
            family = constants[prefix]
            family.declared[name], family.said[name] = value.strip("()"), about.paragraphs
            if len(family.declared) > 1:
                family.name = os.path.commonprefix(list(family.declared)).rpartition("_")[0] + "_"
        elif match := re.match(r"struct (\w+)(?: \{\n(.*)\};|;)", code, re.DOTALL):
            header.items.append(parse_struct(match[1], match[2] or "", chapter, about))
        else:
            header.items.append(parse_function(code, chapter, about))
    begins = r"#define (?=CT_\w+ )|struct (?=\w+(?: \{|;))|[a-z][\w *]*?\b(?=ct_\w+\()"
    declared = re.findall(rf"^(?:{begins})(\w+)", text, re.MULTILINE)
    known = {item.name for item in header.items} | {n for family in constants.values() for n in family.declared}
    if missing := set(declared) - known:
        raise HeaderError("not documented: " + ", ".join(sorted(missing)))
    if unknown := set(re.findall(r"\b(ct_\w+)\(", text)) - known:
        raise HeaderError("there is no " + ", ".join(sorted(unknown)))
    return header


def home(header: Header, family: Item) -> Item:
    """What names these constants first and best."""
    named = [i for i in header.items if i.kind != "constants" and family.name in f"{i.details()} {i.comment}"]
    if not named:
        raise HeaderError(f"no function or struct names {family.name}, so no page shows these constants")
    return min(named, key=lambda item: (item.chapter != family.chapter, family.name not in item.details()))


def lay_out(header: Header) -> list[list[Item]]:
    """The items of each page: functions, structs, constants. The first one names it."""
    groups: dict[tuple[str, str], list[Item]] = {}
    for function in header.of("function").values():
        _, first, *others = function.name.split("_")
        groups.setdefault((function.chapter, first if others else function.name), []).append(function)
    pages = list(groups.values()) + [[struct] for struct in header.of("struct").values()]
    for struct in header.of("struct").values():
        own = next(page for page in pages if struct in page)
        users = [page for page in pages if page is not own and any(item.uses(struct) for item in page)]
        if len(users) == 1:
            users[0] += own
            pages.remove(own)
    for family in header.of("constants").values():
        at_home = home(header, family)
        next(page for page in pages if at_home in page).append(family)
    return pages


def escape(text: str) -> str:
    return text.replace("\\", "\\e").replace("-", "\\-").replace("`", "\\`").replace("'", "\\(aq").replace("~", "\\(ti")


def plain(word: str) -> str:
    """A word of running text, or of a synopsis."""
    word = escape(word)
    word = re.sub(r"(\b)(CT_\w+|CAP_\w+|E[A-Z0-9]{3,}|AF_INET6?|IPPROTO_|NULL)\b", r"\1\\fB\2\\fP", word)
    return re.sub(r"\b(ret_\w+|result\\->?\w*)", r"\\fI\1\\fP", word)


def prose(text: str, own: Collection[str] = ()) -> str:
    """Running text as mdoc: references as macros, one to a line. own: names that are on the same page."""
    lines: list[str] = []
    words: list[str] = []

    def flush() -> None:
        if words:
            line = " ".join(words)
            lines.append("\\&" + line if line[0] in ".'" else line)
            words.clear()

    text = re.sub(r"`([^`]*)`", lambda m: "\\fB" + m[1].replace(" ", "\0") + "\\fP", text)
    for word in text.split():
        reference = re.match(r"^(\W*)(ct_\w+|[a-z_]+)(\(\d?\))(.*)$", word)
        if not reference or "\0" in word:
            font = re.sub(r"\\f[BP]", "", word) != word
            quoted = word.replace("\\fB", "\1").replace("\\fP", "\2").replace("\0", " ")
            done = escape(quoted) if font else plain(quoted)
            words.append(done.replace("\1", "\\fB").replace("\2", "\\fP"))
            if word.endswith((".", ":", "?")):
                flush()
            continue
        before, name, section, behind = reference.groups()
        if section == "()" and not name.startswith("ct_"):
            section = "(2)" if name in SYSTEM_CALLS else "(3)"
        flush()
        if name in own:
            words.append(f"{plain(before)}\\fB{name}\\fP(){plain(behind)}")
            continue
        number = "3" if section == "()" else section[1]
        macro = f"Xr {name} {number}"
        if before:
            macro = f"No \\&{plain(before)} Ns {macro}"
        if re.fullmatch(r"[.,:;)]+", behind):
            macro += "".join(f" {c}" for c in behind)
        elif behind:
            macro += f" Ns {plain(behind)}"
        lines.append("." + macro)
    flush()
    return "\n".join(lines)


def paragraphs(texts: list[str], own: Collection[str]) -> str:
    return "\n.Pp\n".join(prose(text, own) for text in texts)


def tagged(items: list[tuple[str, str]]) -> str:
    """A list of terms, each with its text."""
    return ".Bl -tag -width Ds\n" + "\n".join(f".It {term}\n{text}" for term, text in items) + "\n.El"


def split_errors(returns: str) -> tuple[str, list[tuple[str, str]], list[str]]:
    """What is returned; the errors, code by code; and what is said of others."""
    match = re.match(r"(.*?negative errno[^:.]*?)(?: as for (\S+?))?([,:.] .*)?$", returns, re.DOTALL)
    if match and match[2]:
        # What it has in common with another function, and then its own.
        rest = re.split(r"(?<=\.)\s+(?=-E\w+:)", (match[3] or "").lstrip(". "))
        own = [m for r in rest if (m := re.match(r"-(E\w+): (.*)", r, re.DOTALL))]
        if len(own) == len(rest):
            return f"{match[1]}.", [(f"Er {m[1]}", m[2]) for m in own], [f"Others as for {match[2]}"]
        return f"{match[1]}{(match[3] or '').rstrip('.')}.", [], [f"Errors as for {match[2]}"]
    match = re.match(r"(.*?negative errno[^:]*):\s*(-E.*)$", returns, re.DOTALL)
    if not match:
        return returns + ".", [], []
    errors, others = [], []
    for item in re.split(r";\s+(?![^(]*\))", match[2]):
        codes = re.match(r"((?:-E[A-Z0-9]+(?:, | or | and )?)+)\s*(.*)", item, re.DOTALL)
        if not codes:
            others.append(item)
            continue
        names = re.findall(r"E[A-Z0-9]+", codes[1])
        text = codes[2].lstrip(": ") or os.strerror(getattr(errno, names[0])).lower()
        errors.append((" , ".join(f"Er {name}" for name in names), text))
    return match[1] + ".", errors, others


def sentence(text: str, names: Collection[str] = ()) -> str:
    """A capital and a full stop, but for text that begins with a name of C or one of names."""
    first = re.split(r"\W", text, maxsplit=1)[0]
    if first not in names and "_" not in first and not text[len(first) :].startswith(("->", "(")):
        text = text[0].upper() + text[1:]
    return text if text.endswith((".", "?")) else text + "."


def synopsis_of(item: Item) -> str:
    declared = [escape(d) for d in item.declared.values()]
    if item.kind == "function":
        return "\n".join([f'.Ft "{item.result}"', f".Fo {item.name}", *(f'.Fa "{d}"' for d in declared or ["void"]), ".Fc"])
    if not declared:
        return f".Vt struct {item.name} ;"
    return "\n".join([".Bd -literal", f"struct {item.name} {{", *(f"    {d}" for d in declared), "};", ".Ed"])


def version_of(header: Header) -> str:
    values = header.of("constants")["CT_VERSION_"].declared
    return ".".join(values[f"CT_VERSION_{part}"] for part in ("MAJOR", "MINOR", "PATCH"))


def head(header: Header, page: str, names: list[str], summary: str, date: str) -> str:
    listed = "\n".join(f".Nm {n}" + (" ," if n != names[-1] else "") for n in names)
    return (
        f'.\\" Made of ctrack.h by man.py; changes belong there.\n.Dd {date}\n.Dt {page.upper()} 3\n.Os libctrack {version_of(header)}\n'
        f".Sh NAME\n{listed}\n.Nd {plain(summary)}\n.Sh LIBRARY\nlibctrack (\\-lctrack)\n.Sh SYNOPSIS\n.In ctrack.h"
    )


def see_also(pages: list[tuple[str, int]]) -> str:
    ordered = sorted(set(pages), key=lambda p: (p[1], p[0]))
    return ".Sh SEE ALSO\n" + "\n".join(f".Xr {n} {s}" + (" ," if (n, s) != ordered[-1] else "") for n, s in ordered)


def related(header: Header, page: list[Item], where: dict[str, str]) -> list[tuple[str, int]]:
    """The pages that the comments of this one speak of; for structs also the functions that take them."""
    text = " ".join(f"{item.comment} {item.details()} {item.declared}" for item in page)
    words = {name for name in where if re.search(rf"\b{name}" if name.isupper() else rf"\b{name}\b", text)}
    if page[0].kind == "struct":
        words |= {n for n, function in header.of("function").items() if any(function.uses(struct) for struct in page)}
    return [("libctrack", 3)] + [(p, 3) for p in {where[n] for n in words} if p != page[0].name]


def item_page(header: Header, page: list[Item], where: dict[str, str], date: str) -> str:
    functions = [item for item in page if item.kind == "function"]
    items = [item for item in page if item.kind != "constants"]
    own = [item.name for item in items]
    out = [head(header, own[0], own, items[0].comment.summary, date), *map(synopsis_of, items), ".Sh DESCRIPTION"]
    for item in page:
        if len(items) > 1 or item.kind == "constants":
            out.append(f".Ss {TITLES[item.kind].format(item.name)}")
        if item.comment.paragraphs:
            out.append(paragraphs(item.comment.paragraphs, own))
        if item.said:
            term = "Dv {} Pq {}" if item.kind == "constants" else "Fa {}"
            rows = [(term.format(n, escape(item.declared[n])), paragraphs(texts, own)) for n, texts in item.said.items()]
            out.append(tagged(rows))
    out += returns_and_errors(functions, own)
    out.append(see_also(related(header, page, where)))
    if functions:
        out.append(".Sh HISTORY")
        for since in sorted({f.comment.since for f in functions}):
            new = [f.name for f in functions if f.comment.since == since]
            listed = "\n".join(
                f".Fn {n}" + (" ," if n not in new[-2:] else "") + ("\nand" if n in new[-2:-1] else "") for n in new
            )
            out.append(f"{listed}\nfirst appeared in libctrack {since}.")
    return "\n".join(out) + "\n"


def returns_and_errors(functions: list[Item], own: Collection[str]) -> list[str]:
    returned, failed = [], []
    for function in functions:
        if not function.comment.returns:
            continue
        text, errors, others = split_errors(function.comment.returns)
        known = function.declared
        intro = f".Fn {function.name}\nreturns:\n" if len(functions) > 1 else ""
        returned.append(intro + prose(sentence(text.rstrip("."), known), own))
        if errors:
            intro = f".Fn {function.name}\nfails with:\n" if len(functions) > 1 else "It fails with:\n"
            failed.append(intro + tagged([(term, prose(sentence(t, known), own)) for term, t in errors]))
        elif others and len(functions) > 1:
            others[0] = f"{function.name}(): {others[0]}"
        failed += [prose(sentence(t, known), own) for t in others]
    out = [".Sh RETURN VALUES", "\n.Pp\n".join(returned)] if returned else []
    return out + ([".Sh ERRORS", "\n.Pp\n".join(failed)] if failed else [])


def overview(header: Header, where: dict[str, str], date: str) -> str:
    blocks = re.split(r"\n\s*\n", header.top.strip("\n"))
    name, _, summary = " ".join(blocks[0].split()).partition(": ")
    out = [head(header, "libctrack", [name], summary.rstrip("."), date), ".Sh DESCRIPTION"]
    for block in blocks[1:]:
        titled = re.match(r"(\w+)\. (.*)", block, re.DOTALL)
        if block.startswith("  "):
            code = "\n".join(escape(line[2:]) for line in block.splitlines())
            out.append(f".Bd -literal -offset indent\n{code}\n.Ed")
        elif titled:
            out += [f".Ss {titled[1]}", prose(titled[2])]
        else:
            out += [".Pp", prose(block)]
    for chapter, items in itertools.groupby(header.items, lambda item: item.chapter):
        rows = [
            (f"Dv {item.name}", f".Xr {where[item.name]} 3")
            if item.kind == "constants"
            else (f"Xr {item.name} 3", prose(sentence(item.comment.summary)))
            for item in items
        ]
        out += [f".Ss {escape(chapter or 'Functions, structs and constants')}", tagged(rows)]
    out.append(see_also([(page, 3) for page in where.values()] + OTHER_PAGES))
    return "\n".join(out) + "\n"


def pages(text: str, date: datetime.date) -> dict[str, str]:
    """File name -> page, for the text of a header."""
    header = parse_header(text)
    laid_out = lay_out(header)
    where = {item.name: page[0].name for page in laid_out for item in page}
    day = f"{date:%B} {date.day}, {date.year}"
    found = {f"{name}.3": f".so man3/{page}.3\n" for name, page in where.items() if not name.isupper()}
    found.update({f"{page[0].name}.3": item_page(header, page, where, day) for page in laid_out})
    found["libctrack.3"] = overview(header, where, day)
    return found


def main(arguments: list[str]) -> int:
    if len(arguments) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    header, out = Path(arguments[0]), Path(arguments[1]) / "man3"
    moment = float(os.environ.get("SOURCE_DATE_EPOCH") or header.stat().st_mtime)
    date = datetime.datetime.fromtimestamp(moment, datetime.timezone.utc).date()
    try:
        found = pages(header.read_text(encoding="utf-8"), date)
    except HeaderError as error:
        print(f"man.py: {error}", file=sys.stderr)
        return 1
    out.mkdir(parents=True, exist_ok=True)
    for name, text in found.items():
        (out / name).write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
