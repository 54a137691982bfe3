"""Finds source files of a crate that use each other in a circle; exit code 1 if there are any.

A file should use only files that can be read before it. This looks up every path that starts with `crate`, `self`, `super` or a
module's name in the file where its item is defined, through re-exports, and prints each group of files of which every one
reaches every other. Test modules are left out. What it can't see: methods and macros.
"""

import argparse
import re
import sys
from pathlib import Path

ITEM = re.compile(r"\b(?:fn|struct|enum|trait|type|union|macro_rules!|const|static(?:\s+mut)?)\s+([A-Za-z_]\w*)")
USE = re.compile(r"(\bpub(?:\([^)]*\))?\s+)?\buse\s+([^;]+);", re.S)
PATH = re.compile(r"\b(?:[A-Za-z_]\w*::)+[A-Za-z_]\w*")
NOISE = re.compile(r'//[^\n]*|/\*.*?\*/|b?r(#*)".*?"\1|b?"(?:\\.|[^"\\])*"|\'(?:\\.|[^\\\'])\'', re.S)


def braces(text, start):
    """The end of the block whose brace opens at or after `start`."""
    depth = 0
    for at in range(text.index("{", start), len(text)):
        depth += {"{": 1, "}": -1}.get(text[at], 0)
        if depth == 0:
            return at + 1
    raise ValueError("a brace is not closed")


def code(path):
    """A file without comments, strings and test modules."""
    text = NOISE.sub(lambda found: "/**/" if found[0][0] == "/" else '""', path.read_text())
    text = re.sub(r"/\*\*/", " ", text)
    while found := re.search(r"#\[cfg\(test\)\]\s*(?:pub\s*(?:\([^)]*\))?\s*)?mod\s+\w+\s*([{;])", text):
        end = braces(text, found.start(1)) if found[1] == "{" else found.end()
        text = text[: found.start()] + text[end:]
    return text


def leaves(tree):
    """Each (path, name) of a use tree such as `a::{b, c::{self, d as e}}`."""
    depth, part, parts = 0, "", []
    for letter in tree + ",":
        depth += {"{": 1, "}": -1}.get(letter, 0)
        if letter == "," and depth == 0:
            parts.append(part.strip())
            part = ""
        else:
            part += letter
    for part in filter(None, parts):
        head, brace, rest = part.partition("{")
        if brace:
            yield from ((head.strip() + path, name) for path, name in leaves(rest.rstrip().removesuffix("}")))
        else:
            path, _, name = part.partition(" as ")
            path = path.strip().removesuffix("::self")
            yield path, name.strip() or path.split("::")[-1]


class Crate:
    def __init__(self, folder):
        source = folder / "src"
        root = source / "lib.rs" if (source / "lib.rs").exists() else source / "main.rs"
        self.files, self.items, self.names, self.paths = {(): root}, {}, {}, {}
        todo = [()]
        while todo:
            module = todo.pop()
            text = code(self.files[module])
            self.items[module] = set(ITEM.findall(text))
            self.names[module] = {name: path for _, tree in USE.findall(text) for path, name in leaves(" ".join(tree.split()))}
            self.paths[module] = set(self.names[module].values()) | set(PATH.findall(USE.sub("", text)))
            for child in re.findall(r"\bmod\s+(\w+)\s*;", text):
                file = source.joinpath(*module, child + ".rs")
                if file.exists():
                    self.files[*module, child] = file
                    todo.append((*module, child))

    def find(self, module, path, seen=frozenset()):
        """The module that defines what `path` means in `module`; None outside the crate."""
        first, *rest = path.split("::") if isinstance(path, str) else path
        if first == "crate":
            return self.descend((), rest, seen)
        if first == "self":
            return self.descend(module, rest, seen)
        if first == "super":
            return self.find(module[:-1], ["self", *rest], seen)
        return self.descend(module, [first, *rest], seen)

    def descend(self, module, path, seen):
        if not path:
            return module
        if (module, path[0]) in seen:
            return None
        seen |= {(module, path[0])}
        first, *rest = path
        if first == "super":
            return self.descend(module[:-1], rest, seen)
        if (*module, first) in self.files:
            return self.descend((*module, first), rest, seen)
        if first in self.items[module]:
            return module
        if first in self.names[module]:
            target = self.names[module][first].split("::")
            return self.find(module, target + rest, seen) if target != [first] else None
        for name, target in self.names[module].items():
            if name == "*" and (found := self.find(module, target.split("::")[:-1] + path, seen)) is not None:
                return found
        return None

    def uses(self):
        """Of each file, those whose items it uses. A module that only declares and re-exports uses nothing."""
        graph = {}
        for module in self.files:
            paths = {path.removesuffix("::*") for path in self.paths[module]} if self.items[module] else set()
            found = {self.find(module, path) for path in paths}
            graph[module] = found - {None, module}
        return graph


def circles(graph):
    def reach(start):
        seen, todo = set(), [start]
        while todo:
            new = graph[todo.pop()] - seen
            seen |= new
            todo.extend(new)
        return seen

    reached = {module: reach(module) for module in graph}
    groups = {frozenset(b for b in reached[a] if a in reached[b]) for a in graph}
    return [sorted(group) for group in groups if group]


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="example: python3 tools/module_cycles.py crates/*",
    )  # fmt: skip
    parser.add_argument("crates", type=Path, nargs="+", metavar="CRATE", help="the folder of a crate, with src in it")
    failed = False
    for folder in parser.parse_args().crates:
        crate = Crate(folder)
        graph = crate.uses()
        for group in circles(graph):
            failed = True
            print(f"{folder.name}: {len(group)} files use each other in a circle")
            for module in group:
                users = ", ".join("::".join(other) or "the root" for other in sorted(graph[module] & set(group)))
                print(f"    {crate.files[module]} uses {users}")
    sys.exit(failed)


if __name__ == "__main__":
    main()
