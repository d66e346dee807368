"""Finds cycles among the modules of each crate, from the text of their `use` declarations and paths.

A module is a file. It depends on another where its code (tests aside) names an item that the other defines; a name that a
module only passes on (`pub use`) leads to the module that defines it. Run `python3 tools/module_cycles.py`; it prints every
cycle with the names that tie it, and fails where there is one.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

Module = tuple[str, ...]


def code_of(path: Path) -> str:
    """The code of a file: without its tests, comments and the insides of its strings."""
    text = re.split(r"^#\[cfg\(test\)\]\s*\nmod tests", path.read_text(), maxsplit=1, flags=re.M)[0]
    text = re.sub(r'r#".*?"#', '""', text, flags=re.S)
    text = re.sub(r'"(?:\\.|[^"\\])*"', '""', text, flags=re.S)
    text = re.sub(r"//[^\n]*", "", text)
    return re.sub(r"/\*.*?\*/", "", text, flags=re.S)


def modules_of(source: Path) -> dict[Module, str]:
    """The modules of a crate by their paths below its root."""
    found: dict[Module, str] = {}
    for path in sorted(source.rglob("*.rs")):
        parts = list(path.relative_to(source).with_suffix("").parts)
        if parts == ["main"]:
            continue
        found[() if parts == ["lib"] else tuple(part for part in parts if part != "mod")] = code_of(path)
    return found


def leaves(tree: str, prefix: list[str]) -> Iterator[tuple[list[str], str]]:
    """The paths of a `use` tree, each with the name by which it is known afterwards."""
    depth, start, parts = 0, 0, []
    for index, char in enumerate(tree):
        depth += {"{": 1, "}": -1}.get(char, 0)
        if char == "," and depth == 0:
            parts.append(tree[start:index])
            start = index + 1
    parts.append(tree[start:])
    for part in (part.strip() for part in parts):
        if not part:
            continue
        if group := re.fullmatch(r"(?:([\w:]+)::)?\{(.*)\}", part, re.S):
            yield from leaves(group[2], prefix + (group[1].split("::") if group[1] else []))
            continue
        path, _, alias = part.partition(" as ")
        names = prefix + path.strip().split("::")
        if names[-1] == "self":
            names = names[:-1]
        yield names, alias.strip() or names[-1]


class Crate:
    """The modules of a crate, and what each takes from which."""

    def __init__(self, source: Path) -> None:
        self.modules = modules_of(source)
        self.uses = {module: list(self._uses(code)) for module, code in self.modules.items()}

    @staticmethod
    def _uses(code: str) -> Iterator[tuple[list[str], str, bool]]:
        for match in re.finditer(r"\b(pub(?:\([^)]*\))?\s+)?use\s+([^;]+);", code):
            for names, alias in leaves(match[2], []):
                yield names, alias, match[1] is not None

    def start(self, module: Module, names: list[str]) -> tuple[Module, list[str]] | None:
        """The module at which a path written in `module` begins, and the rest of the path."""
        if names[0] == "crate":
            return (), names[1:]
        at, rest = module, names
        if names[0] == "self":
            return at, names[1:]
        while rest and rest[0] == "super":
            at, rest = at[:-1], rest[1:]
        if rest is not names:
            return at, rest
        return (module, names) if module + (names[0],) in self.modules else None

    def definer(self, at: Module, rest: list[str], seen: frozenset[tuple[Module, str]] = frozenset()) -> Module:
        """The module that defines what a path names."""
        while rest and at + (rest[0],) in self.modules:
            at, rest = at + (rest[0],), rest[1:]
        if not rest or (at, rest[0]) in seen:
            return at
        seen |= {(at, rest[0])}
        for names, alias, _ in self.uses[at]:
            if alias == rest[0] or alias == "*":
                begun = self.start(at, names[:-1] if alias == "*" else names)
                if begun and alias != "*":
                    return self.definer(*begun, seen)
        return at

    def edges(self) -> dict[Module, dict[Module, set[str]]]:
        """For each module the others that it depends on, with the names that it takes."""
        found: dict[Module, dict[Module, set[str]]] = {module: {} for module in self.modules}
        for module, code in self.modules.items():
            paths = [names for names, _, is_public in self.uses[module] if not is_public]
            body = re.sub(r"\b(pub(?:\([^)]*\))?\s+)?use\s+[^;]+;", "", code)
            paths += [path[0].split("::") for path in re.finditer(r"(?<![\w:])(?:crate|super|self|[a-z_]\w*)(?:::\w+)+", body)]
            for names in paths:
                if begun := self.start(module, names):
                    other = self.definer(*begun)
                    if other != module:
                        found[module].setdefault(other, set()).add(names[-1])
        return found


def cycles(edges: dict[Module, dict[Module, set[str]]]) -> list[list[Module]]:
    """The strongly connected components of more than one module (Tarjan)."""
    order: dict[Module, int] = {}
    low: dict[Module, int] = {}
    stack: list[Module] = []
    found: list[list[Module]] = []

    def visit(module: Module) -> None:
        order[module] = low[module] = len(order)
        stack.append(module)
        for other in edges[module]:
            if other not in order:
                visit(other)
                low[module] = min(low[module], low[other])
            elif other in stack:
                low[module] = min(low[module], order[other])
        if low[module] == order[module]:
            component = []
            while True:
                component.append(stack.pop())
                if component[-1] == module:
                    break
            if len(component) > 1:
                found.append(sorted(component))

    for module in edges:
        if module not in order:
            visit(module)
    return found


def main() -> int:
    """Prints the cycles of every crate; gives how many there are."""
    count = 0
    for source in [ROOT / "src", *sorted(ROOT.glob("crates/*/src"))]:
        crate = Crate(source)
        edges = crate.edges()
        for cycle in cycles(edges):
            count += 1
            print(f"{source.relative_to(ROOT)}: {len(cycle)} modules depend on each other")
            for module in cycle:
                for other, names in edges[module].items():
                    if other in cycle:
                        print(f"  {'::'.join(module) or 'lib'} -> {'::'.join(other) or 'lib'}: {', '.join(sorted(names))}")
    print(f"{count} cycles" if count else "no module depends on itself through others")
    return min(count, 1)


if __name__ == "__main__":
    sys.exit(main())
