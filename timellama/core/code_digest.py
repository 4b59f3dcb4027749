"""The digest of the code that a number depends on.

`code_digest` starts from named definitions, such as `timellama.training.run:run_experiment`, and follows what they use
through the package, definition by definition. A function that is not reached does not count, even if its module
does. Only what a definition computes counts: comments, layout, docstrings, annotations of functions, log lines and
error messages do not.

Code is digested by content, so modules and what they define may be moved or renamed. A name that the package defines
is replaced by the order in which the walk first meets it, and a name imported from a library by the library's own name
for it. A string that names a module of the package loses the module's path.

Planning calls this, so no library is imported, and of the package only `core.code_files`, `core.files` and
`core.errors`.
"""

import ast
import functools
import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from timellama.core.code_files import PACKAGE, Package, keep_digest, kept_digest, module_file, package, text_of

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
Name = tuple[str, str | None]  # a module and a name that it defines; None means all of it


@dataclass(frozen=True, kw_only=True)
class Piece:
    """A top-level statement of a module: `parts` is the text of its dump, split wherever it uses one of `uses`."""

    parts: tuple[str, ...]
    uses: tuple[Name, ...]


@dataclass(kw_only=True)
class Source:
    """A module's statements by the names that they define, and what its imports bind."""

    statements: list[ast.stmt] = field(default_factory=list)
    pieces: dict[int, Piece] = field(default_factory=dict)  # of the statements requested so far
    defined: dict[str, list[int]] = field(default_factory=dict)
    effects: list[int] = field(default_factory=list)  # statements that define nothing and run on import
    imports: dict[str, Name] = field(default_factory=dict)
    libraries: dict[str, str] = field(default_factory=dict)


@functools.cache
def code_digest(*entries: str, without: tuple[str, ...] = ()) -> str:
    """Hexadecimal SHA-256 of all code that the entries use. An entry is `module:name`, or `module` for a whole module.

    The modules in `without` are not followed: what a step records or how it is isolated from others changes no number.
    An entry outside the package is followed through its own top-level package and through this one. Raises ValueError
    for an entry or module that does not exist.
    """
    if kept := kept_digest(entries, without):
        return kept
    found = hashlib.sha256()
    for _, lines in _walk(entries, without):
        for line in lines:
            found.update(line.encode() + b"\n")
    keep_digest(entries, without, found.hexdigest())
    return found.hexdigest()


def code_used(*entries: str, without: tuple[str, ...] = ()) -> list[str]:
    """The names (`module:name`) that `code_digest` covers with the same arguments, sorted; `*` is a whole module."""
    return sorted({f"{module}:{name or '*'}" for (module, name), _ in _walk(entries, without)})


def _walk(entries: tuple[str, ...], without: tuple[str, ...]) -> Iterator[tuple[Name, list[str]]]:
    """Breadth first: each name with the lines of its statements, in which numbers replace other names."""
    numbers: dict[Name, int] = {}
    waiting: list[Name] = []
    seen: set[tuple[str, int]] = set()

    def number(name: Name) -> str:
        name = _resolved(*name)
        if name[0] in without:
            return "-"
        if name not in numbers:
            numbers[name] = len(numbers)
            waiting.append(name)
        return str(numbers[name])

    for entry in (*without, *entries):
        module, _, name = entry.partition(":")
        if module_file(module) is None or (name and name not in _source(module).defined):
            raise ValueError(f"{entry!r} is not a module, or not defined in one; a step can only name what exists")
        number((module, name or None))
    while waiting:
        module, name = current = waiting.pop(0)
        source = _source(module)
        # What a module does on import counts with anything taken from it.
        chosen = source.defined.get(name, []) if name else range(len(source.statements))
        lines = []
        for index in dict.fromkeys([*chosen, *source.effects]):
            if (module, index) in seen:
                continue
            seen.add((module, index))
            piece = _piece(module, index)
            words = [word for pair in zip(piece.parts, map(number, piece.uses), strict=False) for word in pair]
            lines.append("".join([*words, piece.parts[-1]]))
        yield current, lines


def _resolved(module: str, name: str | None) -> Name:
    """Where a name is defined: an imported name belongs to another module, and may be a module itself."""
    met = set()
    while name is not None and (module, name) not in met:
        met.add((module, name))
        if name in _source(module).defined:
            return module, name
        if name in _source(module).imports:
            module, name = _source(module).imports[name]
        elif module_file(f"{module}.{name}"):
            module, name = f"{module}.{name}", None
        else:
            return module, None  # made in a way that the source does not show: the whole module counts
    return module, name


def _source(module: str) -> Source:
    return _parsed(module, package())


@functools.cache
def _parsed(module: str, _: Package) -> Source:
    """The module as that reading of the package has it."""
    file = module_file(module)
    if file is None:
        raise ValueError(f"{module!r} is not a readable module; a step can only name modules that exist")
    source = Source()
    for statement in _body(ast.parse(text_of(file))):
        if isinstance(statement, (ast.Import, ast.ImportFrom)):
            _bind(statement, module, source.imports, source.libraries)
        elif not _is_main(statement):
            source.statements.append(statement)
    for index, statement in enumerate(source.statements):
        names = set(_bound(statement))
        for name in names:
            source.defined.setdefault(name, []).append(index)
        if not names:
            source.effects.append(index)
    return source


def _piece(module: str, index: int) -> Piece:
    """A statement of the module. Not built by `_source`: it needs the sources of others, which may import this one."""
    source = _source(module)
    if index not in source.pieces:
        writer = _Writer(source.statements[index], module)
        source.pieces[index] = Piece(parts=(*writer.parts, "".join(writer.text)), uses=tuple(writer.uses))
    return source.pieces[index]


def _body(node: ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> list[ast.stmt]:
    """Its statements without the docstring."""
    match node.body:
        case [ast.Expr(value=ast.Constant(value=str())), *rest]:
            return rest or [ast.Pass()]
        case statements:
            return statements


def _is_main(statement: ast.stmt) -> bool:
    """`if __name__ == "__main__":` runs only where the module is the program."""
    return (
        isinstance(statement, ast.If)
        and isinstance(statement.test, ast.Compare)
        and isinstance(statement.test.left, ast.Name)
        and statement.test.left.id == "__name__"
    )


def _bind(
    statement: ast.Import | ast.ImportFrom,
    module: str,
    imports: dict[str, Name],
    libraries: dict[str, str],
) -> None:
    """Record what an import binds: names of followed packages in `imports`, others in `libraries`."""
    followed = {PACKAGE, module.split(".")[0]}
    if isinstance(statement, ast.Import):
        for alias in statement.names:
            name = alias.asname or alias.name.split(".")[0]
            target = alias.name if alias.asname else name
            if target.split(".")[0] in followed:
                imports[name] = (target, None)
            else:
                libraries[name] = target
        return
    origin = statement.module or ""
    if statement.level:
        parents = module.split(".") if _is_package(module) else module.split(".")[:-1]
        parents = parents[: len(parents) - statement.level + 1]
        origin = ".".join([*parents, origin]) if origin else ".".join(parents)
    for alias in statement.names:
        name = alias.asname or alias.name
        if origin.split(".")[0] in followed:
            imports[name] = (origin, None if alias.name == "*" else alias.name)
        else:
            libraries[name] = f"{origin}.{alias.name}"


def _is_package(module: str) -> bool:
    file = module_file(module)
    return file is not None and (file.name == "__init__.py" or file.is_dir())


def _bound(node: ast.AST) -> Iterator[str]:
    """The names that a statement binds in its own scope, not those inside the functions and classes that it defines.

    A change to an element or attribute, `a[0] = 1`, belongs to the name that it changes.
    """
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        yield node.name
        return
    if isinstance(node, (ast.Lambda, *COMPREHENSIONS)):
        return
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        yield node.id
    if isinstance(node, (ast.Attribute, ast.Subscript)) and isinstance(node.ctx, ast.Store):
        root = node
        while isinstance(root, (ast.Attribute, ast.Subscript)):
            root = root.value
        if isinstance(root, ast.Name):
            yield root.id
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        yield from (alias.asname or alias.name.split(".")[0] for alias in node.names)
    if isinstance(node, ast.ExceptHandler) and node.name:
        yield node.name
    for child in ast.iter_child_nodes(node):
        yield from _bound(child)


class _Writer:
    """Writes one statement's syntax tree as words, with a gap wherever it uses a name of a followed package."""

    def __init__(self, statement: ast.stmt, module: str):
        source = _source(module)
        self.statement, self.module, self.defined = statement, module, source.defined
        self.imports, self.libraries = dict(source.imports), dict(source.libraries)
        self.local: list[set[str]] = []
        self.text: list[str] = []
        self.parts: list[str] = []
        self.uses: list[Name] = []
        self._write(statement)

    def _write(self, node: object) -> None:
        """Add a node, a list of nodes or a plain value."""
        if isinstance(node, ast.AST):
            self._node(node)
        elif isinstance(node, list):
            self.text.append("[")
            for item in node:
                self._write(item)
            self.text.append("]")
        else:
            self.text.append(f"{node!r},")

    def _use(self, name: Name) -> None:
        self.parts.append("".join(self.text))
        self.text = []
        self.uses.append(name)

    def _node(self, node: ast.AST) -> None:
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            _bind(node, self.module, self.imports, self.libraries)
        elif isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
            self.text.append("Raise(")
            self._write(node.exc.func)
            self.text.append(")")
        elif isinstance(node, ast.Expr) and self._is_logging(node.value):
            self.text.append("Pass()")
        elif isinstance(node, (ast.Attribute, ast.Name)) and (target := self._target(node)):
            self._use(target)
        elif isinstance(node, ast.Name):
            library = None if self._is_local(node.id) else self.libraries.get(node.id)
            self.text.append(f"<{library}>" if library else f"{node.id},")
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            self.text.append(f"{self._shortened(node.value)!r},")
        elif isinstance(node, (*FUNCTIONS, *COMPREHENSIONS)):
            self.local.append(self._locals_of(node))
            self._fields(node)
            self.local.pop()
        else:
            self._fields(node)

    def _fields(self, node: ast.AST) -> None:
        self.text.append(f"{type(node).__name__}(")
        at_top = not self.local
        for name, value in ast.iter_fields(node):
            # `type_params` is a field of Python 3.12 and later: a digest is the same under every Python.
            if name in ("type_comment", "type_params", "kind", "returns") or (name == "annotation" and not at_top):
                continue
            if name == "name" and node is self.statement:
                continue  # a definition may be renamed
            self._write(_body(node) if name == "body" and isinstance(node, DOCUMENTED) else value)
        self.text.append(")")

    def _is_logging(self, node: ast.expr) -> bool:
        """Whether this is a call such as `log.info(...)` of the module's own logger, named `log` everywhere."""
        call = node.func if isinstance(node, ast.Call) else None
        return isinstance(call, ast.Attribute) and isinstance(call.value, ast.Name) and call.value.id == "log"

    def _is_local(self, name: str) -> bool:
        return any(name in names for names in self.local)

    def _target(self, node: ast.Attribute | ast.Name) -> Name | None:
        """The definition in a followed package that a name, or a chain of a module's attributes, refers to."""
        if isinstance(node, ast.Attribute):
            owner = self._target(node.value) if isinstance(node.value, (ast.Attribute, ast.Name)) else None
            if owner is None:
                return None
            module, name = _resolved(*owner) if owner[0] != self.module else owner
            return (module, node.attr) if name is None and module_file(module) else None
        if self._is_local(node.id):
            return None
        if node.id in self.imports:
            return self.imports[node.id]
        if node.id in self.defined and (isinstance(node.ctx, ast.Load) or not self.local):
            return self.module, node.id
        return None

    def _locals_of(self, node: ast.AST) -> set[str]:
        names = set()
        if isinstance(node, FUNCTIONS):
            every = node.args
            given = [*every.posonlyargs, *every.args, *every.kwonlyargs, every.vararg, every.kwarg]
            names = {argument.arg for argument in given if argument is not None}
            body: Iterable[ast.AST] = [node.body] if isinstance(node, ast.Lambda) else node.body
            inner = [child for statement in body for child in _inside(statement)]
            shared = {name for child in inner if isinstance(child, (ast.Global, ast.Nonlocal)) for name in child.names}
            imported = {
                alias.asname or alias.name.split(".")[0]
                for child in inner
                if isinstance(child, (ast.Import, ast.ImportFrom))
                for alias in child.names
            }
            for child in inner:
                if isinstance(child, ast.Name) and isinstance(child.ctx, ast.Store):
                    names.add(child.id)
                elif isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)) or (
                    isinstance(child, ast.ExceptHandler) and child.name
                ):
                    names.add(child.name)
            return names - shared - imported
        for generator in node.generators:
            names |= {child.id for child in ast.walk(generator.target) if isinstance(child, ast.Name)}
        return names

    def _shortened(self, text: str) -> str:
        """`text` without its leading module path, if that names one of our modules."""
        if not text.startswith(f"{PACKAGE}.") or not text.replace(".", "").replace(":", "").isidentifier():
            return text
        path, colon, rest = text.partition(":")
        parts = path.split(".")
        for end in range(len(parts), 1, -1):
            if module_file(".".join(parts[:end])):
                return ".".join(["<module>", *parts[end:]]) + colon + rest
        return text


def _inside(node: ast.AST) -> list[ast.AST]:
    """A statement and everything in it, except the insides of functions, classes and comprehensions."""
    found = [node]
    for each in found:  # grows as it is read
        if isinstance(each, (*FUNCTIONS, ast.ClassDef)):
            continue
        for child in ast.iter_child_nodes(each):
            if isinstance(child, COMPREHENSIONS):
                # A walrus in a comprehension binds outside of it.
                found += [inner.target for inner in ast.walk(child) if isinstance(inner, ast.NamedExpr)]
            else:
                found.append(child)
    return found
