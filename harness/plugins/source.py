"""The source behind a plugin's modules, by its digest: what tells one revision from the next under one name.

Comments, docstrings and layout are no part of it. Modules are found and parsed, never imported.
"""

import ast
import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import find_spec
from pathlib import Path

_C_LIKE = (".c", ".cc", ".cpp", ".cu", ".cuh", ".h", ".hpp")
_NOT_CODE = (".py", ".pyc", ".md", ".rst", ".typed")
"""Of the files in a package: its modules, which are looked at where they are imported, and what nothing computes by."""
_C_COMMENT = re.compile(rb"""("(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')|//[^\n]*|/\*.*?\*/""", re.DOTALL)
_DIGITS = 12


@dataclass(frozen=True)
class _Source:
    """One file of source as it was when it was read."""

    stamp: tuple[int, int]
    digest: str
    imports: tuple[str, ...]
    """Absolute names, of modules or of what modules hold."""


class Sources:
    """Reads source; a file is read again where it has changed."""

    def __init__(self, folders: Sequence[str] = (), packages: Iterable[str] = ()) -> None:
        """Look for modules in ``folders`` first; follow imports into these packages beside a module's own."""
        self._folders = list(folders)
        self._packages = frozenset(packages)
        self._read: dict[Path, _Source] = {}

    def digest(self, *modules: str) -> str:
        """Return a digest of modules and of all they import from plugins' packages and folders.

        The files beside a module that are no modules, such as a kernel's, count too. Empty where one of the modules
        has no source.
        """
        parts: dict[str, str] = {}
        waiting = list(modules)
        while waiting:
            name = waiting.pop()
            if name in parts:
                continue
            spec = self._spec(name)
            source = self._source(name, spec)
            if source is None or spec is None:
                if name in modules:
                    return ""
                continue
            parts[name] = source.digest
            parts |= self._beside(name, spec)
            waiting += [each for each in source.imports if self._is_followed(each, name)]
        text = "\n".join(f"{name} {digest}" for name, digest in sorted(parts.items()))
        return hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]

    def _is_followed(self, imported: str, importer: str) -> bool:
        top = _top(imported)
        if top in self._packages or top == _top(importer):
            return True
        return bool(self._folders) and PathFinder.find_spec(top, self._folders) is not None

    def _spec(self, name: str) -> ModuleSpec | None:
        """Find a module without importing the packages it lies in."""
        top, *inner = name.split(".")
        try:
            spec = PathFinder.find_spec(top, self._folders) or find_spec(top)
        except (ImportError, ValueError):
            return None
        for depth in range(len(inner)):
            if spec is None or spec.submodule_search_locations is None:
                return None
            spec = PathFinder.find_spec(".".join((top, *inner[: depth + 1])), list(spec.submodule_search_locations))
        return spec

    def _source(self, name: str, spec: ModuleSpec | None) -> _Source | None:
        if spec is None or not spec.origin:
            return None
        path = Path(spec.origin)
        package = name if spec.submodule_search_locations is not None else name.rpartition(".")[0]
        try:
            return self._file(path, package)
        except OSError:
            return None

    def _file(self, path: Path, package: str = "") -> _Source:
        stat = path.stat()
        stamp = (stat.st_mtime_ns, stat.st_size)
        known = self._read.get(path)
        if known is None or known.stamp != stamp:
            content = path.read_bytes()
            tree = _tree(content) if path.suffix == ".py" else None
            imports = () if tree is None else tuple(dict.fromkeys(_imports(tree, package)))
            known = self._read[path] = _Source(stamp, _digest_of(content, path.suffix, tree), imports)
        return known

    def _beside(self, name: str, spec: ModuleSpec) -> dict[str, str]:
        """Return the digests of the files beside a module of a package that are no modules."""
        assert spec.origin is not None
        if spec.submodule_search_locations is None and "." not in name:
            return {}  # a single file: what lies in its folder is another's
        folder = Path(spec.origin).parent
        files = [path for path in folder.iterdir() if path.suffix not in _NOT_CODE and not path.name.startswith(".")]
        return {f"{folder.name}/{path.name}": self._file(path).digest for path in files if path.is_file()}


def _top(name: str) -> str:
    return name.partition(".")[0]


def _digest_of(content: bytes, suffix: str, tree: ast.Module | None) -> str:
    if tree is not None:
        content = _shape(tree).encode("utf-8", "backslashreplace")
    elif suffix in _C_LIKE:
        lines = _C_COMMENT.sub(rb"\1 ", content).splitlines()
        content = b"\n".join(b" ".join(line.split()) for line in lines if line.strip())
    return hashlib.sha256(content).hexdigest()


def _tree(content: bytes) -> ast.Module | None:
    """Parse a module; None for what this Python cannot read, whose bytes count then."""
    try:
        return ast.parse(content)
    except (SyntaxError, ValueError, RecursionError):
        return None


def _shape(node: object) -> str:
    """Write a syntax tree out, its docstrings left out; unlike `ast.dump`, the same way in every Python."""
    if isinstance(node, list):
        return f"[{','.join(map(_shape, node))}]"
    if not isinstance(node, ast.AST):
        return repr(node)
    fields = []
    for name, value in ast.iter_fields(node):
        code = value[1:] if name == "body" and _begins_with_docstring(node) else value
        if code is not None and code != []:
            fields.append(f"{name}={_shape(code)}")
    return f"{type(node).__name__}({','.join(fields)})"


def _begins_with_docstring(node: ast.AST) -> bool:
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    return isinstance(node, documented) and ast.get_docstring(node, clean=False) is not None


def _imports(tree: ast.Module, package: str) -> Iterator[str]:
    """Yield what a module of a package imports, wherever in it; a name may be a module or what one holds."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from _with_parents(alias.name)
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(node.module or "", node.level, package)
            for alias in node.names:
                yield from _with_parents(f"{base}.{alias.name}")


def _absolute(module: str, level: int, package: str) -> str:
    if not level:
        return module
    above = package.split(".")[: len(package.split(".")) - level + 1]
    return ".".join((*above, module)) if module else ".".join(above)


def _with_parents(name: str) -> Iterator[str]:
    """Yield a dotted name and the packages it lies in, whose own code an import runs too."""
    parts = name.split(".")
    for length in range(1, len(parts) + 1):
        yield ".".join(parts[:length])
