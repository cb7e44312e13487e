#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""man.py HEADER OUTDIR: writes the manual pages of the C library into OUTDIR/man3, made of the header's comments alone.

A function, struct or constant of the header that no page takes is an error, so that none can be forgotten. The date of the pages
is that of the header, or SOURCE_DATE_EPOCH.
"""

import datetime
import errno
import os
import re
import sys
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

# Page -> its functions, structs and prefixes of constants. The first name is that of the page.
PAGES = {
    "ct_handle_open": (["ct_handle_open", "ct_handle_close"], ["ct_open_opts", "ct_handle"], ["CT_OPEN_"]),
    "ct_handle_error": (["ct_handle_error", "ct_strerror"], [], []),
    "ct_list": (["ct_list", "ct_entries_free"], [], []),
    "ct_dump_start": (["ct_dump_start", "ct_dump_next", "ct_dump_end"], [], []),
    "ct_get": (["ct_get"], [], []),
    "ct_count": (["ct_count"], [], []),
    "ct_zone_find_free": (["ct_zone_find_free"], [], []),
    "ct_delete": (["ct_delete"], [], ["CT_DELETE_"]),
    "ct_delete_entries": (["ct_delete_entries"], [], []),
    "ct_create_entries": (["ct_create_entries"], [], []),
    "ct_update_entries": (["ct_update_entries"], [], []),
    "ct_flush": (["ct_flush"], [], ["CT_FLUSH_"]),
    "ct_entry_format": (["ct_entry_format"], [], ["CT_FORMAT_"]),
    "ct_version_number": (["ct_version_number", "ct_version_string"], [], ["CT_VERSION_"]),
    "ct_entry": (
        [],
        ["ct_entry", "ct_tuple", "ct_counters"],
        ["CT_HAS_", "CT_STATUS_", "CT_TCP_STATE_", "CT_FAMILY_", "CT_PROTO_"],
    ),
    "ct_filter_dead_endpoint": (
        ["ct_filter_dead_endpoint", "ct_filter_service", "ct_filter_port", "ct_filter_live_endpoint", "ct_filter_everything_but"],
        [],
        [],
    ),
    "ct_filter": ([], ["ct_filter"], ["CT_FILTER_", "CT_MATCH_"]),
    "ct_result": ([], ["ct_result"], ["CT_RESULT_"]),
}
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


@dataclass
class Function:
    name: str
    result: str
    arguments: list[str]
    comment: Comment


@dataclass
class Struct:
    name: str
    fields: list[tuple[str, Comment]]
    comment: Comment


@dataclass
class Constant:
    name: str
    value: str
    comment: Comment


@dataclass
class Header:
    top: str
    functions: dict[str, Function]
    structs: dict[str, Struct]
    constants: dict[str, Constant]

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


def parse_header(text: str) -> Header:
    """Everything that the header documents. What is not documented is an error."""
    top = re.search(r"^/\*\n(.*?)^ \*/", text, re.MULTILINE | re.DOTALL)
    if not top:
        raise HeaderError("the header has no comment on top")
    header = Header(without_stars(top[1]), {}, {}, {})
    declared = set(re.findall(r"^#define (CT_\w+)", text, re.MULTILINE)) | set(
        re.findall(r"^struct (\w+)(?: \{|;)", text, re.MULTILINE)
    )
    declared |= set(re.findall(r"^[a-z][\w *]*?\b(ct_\w+)\(", text, re.MULTILINE))
    for comment, code in re.findall(
        r"^/\*\*\n(.*?)\n \*/\n(#define[^\n]*|struct \w+ \{.*?^\};|[^;]*;)", text, re.MULTILINE | re.DOTALL
    ):
        about = parse_comment(without_stars(comment))
        if match := re.match(r"#define (\w+) (.*)", code):
            header.constants[match[1]] = Constant(match[1], match[2], about)
        elif match := re.match(r"struct (\w+)(?: \{\n(.*)\};|;)", code, re.DOTALL):
            fields = re.findall(r"^  /\*\*\n(.*?)\n   \*/\n  ([^;]*;)", match[2] or "", re.MULTILINE | re.DOTALL)
            if len(fields) != len(re.findall(r"^  [\w ]+(?:\[\d+\])?;", match[2] or "", re.MULTILINE)):
                raise HeaderError(f"a field of struct {match[1]} is not documented")
            header.structs[match[1]] = Struct(match[1], [(f, parse_comment(without_stars(c))) for c, f in fields], about)
        elif match := re.match(r"(.*?)(\w+)\((.*)\);", code, re.DOTALL):
            arguments = [] if match[3] == "void" else [" ".join(a.split()) for a in match[3].split(",")]
            if not about.since:
                raise HeaderError(f"{match[2]} does not say since when it is there")
            header.functions[match[2]] = Function(match[2], match[1].strip(), arguments, about)
        else:
            raise HeaderError(f"this cannot be read: {code}")
    if missing := declared - header.constants.keys() - header.structs.keys() - header.functions.keys():
        raise HeaderError("not documented: " + ", ".join(sorted(missing)))
    return header


def argument_name(argument: str) -> str:
    return re.search(r"(\w+)$", argument)[1]


def check_pages(header: Header) -> None:
    """Each name of the header is on exactly one page, and no page has others."""
    for what, of_header, of_pages in [
        ("functions", header.functions, [n for functions, _, _ in PAGES.values() for n in functions]),
        ("structs", header.structs, [n for _, structs, _ in PAGES.values() for n in structs]),
    ]:
        if sorted(of_header) != sorted(of_pages):
            raise HeaderError(f"{what} of header and pages differ: {sorted(set(of_header) ^ set(of_pages))}")
    prefixes = [p for _, _, constants in PAGES.values() for p in constants]
    for name in header.constants:
        if sum(name.startswith(p) for p in prefixes) != 1:
            raise HeaderError(f"no page for {name}")
    for function in header.functions.values():
        names = [argument_name(a) for a in function.arguments]
        if extra := set(function.comment.params) - set(names):
            raise HeaderError(f"{function.name} has no {extra}")
        # A function of one argument says in its text what that is.
        if len(names) > 1 and (missing := set(names) - set(function.comment.params)):
            raise HeaderError(f"{function.name} does not document {missing}")


def escape(text: str) -> str:
    return text.replace("\\", "\\e").replace("-", "\\-").replace("`", "\\`").replace("'", "\\(aq").replace("~", "\\(ti")


def plain(word: str) -> str:
    """A word of running text, or of a synopsis."""
    word = escape(word)
    word = re.sub(r"(\b)(CT_\w+|CAP_\w+|E[A-Z0-9]{3,}|AF_INET6?|IPPROTO_|NULL)\b", r"\1\\fB\2\\fP", word)
    return re.sub(r"\b(ret_\w+|result\\->?\w*)", r"\\fI\1\\fP", word)


def page_of(name: str) -> str:
    for page, (functions, structs, _) in PAGES.items():
        if name in functions or name in structs:
            return page
    raise HeaderError(f"there is no {name}")


def prose(text: str, own: str = "") -> str:
    """Running text as mdoc: references as macros, one to a line."""
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
        if name == own or section == "()" and page_of(name) == own:
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


def paragraphs(texts: list[str], own: str) -> str:
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
        own = [re.match(r"-(E\w+): (.*)", r, re.DOTALL) for r in rest]
        if all(own):
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
    first = re.match(r"\w*", text)[0]
    if first not in names and "_" not in first and not text[len(first) :].startswith(("->", "(")):
        text = text[0].upper() + text[1:]
    return text if text.endswith((".", "?")) else text + "."


def synopsis_of(function: Function) -> str:
    arguments = "\n".join(f'.Fa "{escape(a)}"' for a in function.arguments or ["void"])
    return f'.Ft "{function.result}"\n.Fo {function.name}\n{arguments}\n.Fc'


def struct_block(struct: Struct) -> str:
    if not struct.fields:
        return f".Vt struct {struct.name} ;"
    lines = [f"struct {struct.name} {{"] + [f"    {f}" for f, _ in struct.fields] + ["};"]
    return ".Bd -literal\n" + "\n".join(escape(line) for line in lines) + "\n.Ed"


def constants_of(header: Header, prefix: str, own: str) -> str:
    found = [c for c in header.constants.values() if c.name.startswith(prefix)]
    return tagged([(f"Dv {c.name} Pq {escape(c.value.strip('()'))}", paragraphs(c.comment.paragraphs, own)) for c in found])


def version_of(header: Header) -> str:
    return ".".join(header.constants[f"CT_VERSION_{part}"].value for part in ("MAJOR", "MINOR", "PATCH"))


def head(header: Header, page: str, names: list[str], summary: str, date: str) -> str:
    listed = "\n".join(f".Nm {n}" + (" ," if n != names[-1] else "") for n in names)
    return (
        f'.\\" Made of ctrack.h by man.py; changes belong there.\n.Dd {date}\n.Dt {page.upper()} 3\n.Os libctrack {version_of(header)}\n'
        f".Sh NAME\n{listed}\n.Nd {plain(summary)}\n.Sh LIBRARY\nlibctrack (\\-lctrack)\n.Sh SYNOPSIS\n.In ctrack.h"
    )


def see_also(pages: list[tuple[str, int]]) -> str:
    ordered = sorted(set(pages), key=lambda p: (p[1], p[0]))
    return ".Sh SEE ALSO\n" + "\n".join(f".Xr {n} {s}" + (" ," if (n, s) != ordered[-1] else "") for n, s in ordered)


def related(header: Header, page: str) -> list[tuple[str, int]]:
    """The pages that the comments of this one speak of; for structs also the functions that take them."""
    functions, structs, _ = PAGES[page]
    texts = [c for n in functions for c in [str(header.functions[n].comment), *header.functions[n].arguments]]
    texts += [str(header.structs[n].comment) + str(header.structs[n].fields) for n in structs]
    words = set(re.findall(r"\bct_\w+", " ".join(texts)))
    if not functions:
        words |= {n for n, f in header.functions.items() if re.search(rf"\b({'|'.join(structs)})\b", " ".join(f.arguments))}
    known = [n for n in words if n in header.functions or n in header.structs]
    return [("libctrack", 3)] + [(p, 3) for p in {page_of(n) for n in known} if p != page]


def function_page(header: Header, page: str, date: str) -> str:
    names, structs, prefixes = PAGES[page]
    functions = [header.functions[n] for n in names]
    records = [header.structs[n] for n in structs]
    first = functions[0].comment if functions else records[0].comment
    out = [head(header, page, names + structs, first.summary, date)]
    out += [synopsis_of(f) for f in functions] + [struct_block(s) for s in records]
    out.append(".Sh DESCRIPTION")
    for function in functions:
        if len(functions) > 1 or records:
            out.append(f".Ss {function.name}()")
        out.append(paragraphs(function.comment.paragraphs, page))
        params = function.comment.params.items()
        if params:
            known = [n for n, _ in params]
            out.append(tagged([(f"Fa {n}", prose(sentence(text, known), page)) for n, text in params]))
    for struct in records:
        if functions or len(records) > 1:
            out.append(f".Ss struct {struct.name}")
        out.append(paragraphs(struct.comment.paragraphs, page))
        if struct.fields:
            named = [(re.search(r"(\w+)(\[\d+\])?;$", f)[1], c) for f, c in struct.fields]
            out.append(tagged([(f"Fa {n}", paragraphs(c.paragraphs, page)) for n, c in named]))
    for prefix in prefixes:
        out += [f".Ss {prefix} constants", constants_of(header, prefix, page)]
    out += returns_and_errors(functions, page)
    out.append(see_also(related(header, page)))
    if functions:
        out.append(".Sh HISTORY")
        for since in sorted({f.comment.since for f in functions}):
            new = [f.name for f in functions if f.comment.since == since]
            listed = "\n".join(
                f".Fn {n}" + (" ," if n not in new[-2:] else "") + ("\nand" if n in new[-2:-1] else "") for n in new
            )
            out.append(f"{listed}\nfirst appeared in libctrack {since}.")
    return "\n".join(out) + "\n"


def returns_and_errors(functions: list[Function], page: str) -> list[str]:
    returned, failed = [], []
    for function in functions:
        if not function.comment.returns:
            continue
        text, errors, others = split_errors(function.comment.returns)
        known = [argument_name(a) for a in function.arguments]
        intro = f".Fn {function.name}\nreturns:\n" if len(functions) > 1 else ""
        returned.append(intro + prose(sentence(text.rstrip("."), known), page))
        if errors:
            intro = f".Fn {function.name}\nfails with:\n" if len(functions) > 1 else "It fails with:\n"
            failed.append(intro + tagged([(term, prose(sentence(t, known), page)) for term, t in errors]))
        elif others and len(functions) > 1:
            others[0] = f"{function.name}(): {others[0]}"
        failed += [prose(sentence(t, known), page) for t in others]
    out = [".Sh RETURN VALUES", "\n.Pp\n".join(returned)] if returned else []
    return out + ([".Sh ERRORS", "\n.Pp\n".join(failed)] if failed else [])


def overview(header: Header, date: str) -> str:
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
    out.append(".Ss Functions")
    out.append(tagged([(f"Xr {n} 3", prose(sentence(f.comment.summary))) for n, f in header.functions.items()]))
    out.append(".Ss Structs")
    out.append(tagged([(f"Xr {n} 3", prose(sentence(s.comment.summary))) for n, s in header.structs.items()]))
    out.append(".Ss Constants")
    of = [(prefix, page) for page, (_, _, prefixes) in PAGES.items() for prefix in prefixes]
    out.append(
        tagged([(f"Dv {prefix}", f".Xr {page} 3") for prefix, page in sorted(of)]).replace(
            "-tag -width Ds", "-tag -width CT_TCP_STATE_ -compact"
        )
    )
    out.append(see_also([(page, 3) for page in PAGES] + OTHER_PAGES))
    return "\n".join(out) + "\n"


def pages(text: str, date: datetime.date) -> dict[str, str]:
    """File name -> page, for the text of a header."""
    header = parse_header(text)
    check_pages(header)
    day = f"{date:%B} {date.day}, {date.year}"
    found = {"libctrack.3": overview(header, day)}
    for page, (functions, structs, _) in PAGES.items():
        found[f"{page}.3"] = function_page(header, page, day)
        for other in functions + structs:
            found.setdefault(f"{other}.3", f".so man3/{page}.3\n")
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
