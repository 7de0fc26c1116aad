"""Stand-ins for libraries that vLLM imports on the way to its parser but never runs there.

torch alone is some 800 MB with CUDA libraries behind it and 10 s of import; the parser only
needs its names: base classes, annotations, decorators, tables of dtypes. So every attribute of
a stand-in module is a class made on first sight, and whatever is computed with one is again a
stand-in. Only listed libraries are replaced: any other missing module stays an error.
"""

import importlib.abc
import importlib.machinery
import sys
import types
import typing
from collections.abc import Callable, Iterator, Sequence

REPLACED = ("torch", "xgrammar", "llguidance")
"""Import names replaced: torch, and the two grammar libraries (xgrammar depends on torch)."""

# transformers and vLLM compare the version while they are imported.
_TORCH_VERSION = "2.13.0"


class _Made(type):
    """The type of stand-in classes: attributes appear, and a call may be a decoration."""

    def __getattr__(cls, name: str) -> "type[StandIn]":
        made = _make(name)
        setattr(cls, name, made)
        return made

    def __call__(cls, *args: object, **kwargs: object) -> object:
        if cls.__module__ != __name__:  # a real class of vLLM's that inherits from a stand-in
            return super().__call__(*args, **kwargs)
        if len(args) == 1 and not kwargs and isinstance(args[0], types.FunctionType | type):
            return args[0]  # a bare decorator: @torch.no_grad
        return super().__call__()


class StandIn(metaclass=_Made):
    """A class or value of a replaced library: takes part in expressions, means nothing."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        """Take anything: classes of vLLM's pass their own arguments on."""

    def __getattr__(self, name: str) -> object:
        # Python asks for protocols (__deepcopy__, __fspath__ ...) by such names.
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)
        return _make(name)

    def __call__(self, *args: object, **kwargs: object) -> object:
        """Decorate (``@torch.library.custom_op(...)``), or compute one more stand-in."""
        if len(args) == 1 and not kwargs and isinstance(args[0], types.FunctionType | type):
            return args[0]
        return StandIn()

    def __iter__(self) -> Iterator[object]:
        return iter(())

    def __enter__(self) -> "StandIn":
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def __class_getitem__(cls, _: object) -> "type[StandIn]":
        return cls

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: object, _handler: object) -> object:
        """Let pydantic build vLLM's config classes: a field of such a type takes anything."""
        from pydantic_core import core_schema

        return core_schema.any_schema()


def _compute(self: StandIn, *_: object) -> StandIn:
    return StandIn()


def _refuse(self: StandIn, *_: object) -> bool:
    return False


for _name in ("add", "radd", "sub", "mul", "rmul", "truediv", "floordiv", "neg", "getitem"):
    setattr(StandIn, f"__{_name}__", _compute)
for _name in ("lt", "gt", "le", "ge", "contains"):
    setattr(StandIn, f"__{_name}__", _refuse)


def _make(name: str) -> type[StandIn]:
    # Attribute access for a dunder must fail on classes too, or copy and pydantic take the
    # stand-in for something with a protocol of its own.
    if name.startswith("__") and name.endswith("__"):
        raise AttributeError(name)
    return typing.cast("type[StandIn]", _Made(name, (StandIn,), {"__module__": __name__}))


def _infer_schema(function: Callable[..., object], **_: object) -> str:
    """Stand in for torch.library.infer_schema: vLLM counts the tensors that come back."""
    returned = function.__annotations__.get("return")
    count = len(typing.get_args(returned)) if typing.get_origin(returned) is tuple else 1
    return f"(...) -> ({', '.join(['Tensor'] * count)})"


class _StandInModule(types.ModuleType):
    def __getattr__(self, name: str) -> object:
        made = _make(name)
        setattr(self, name, made)
        return made


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Answers for the replaced libraries and all their submodules."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname.partition(".")[0] not in REPLACED:
            return None
        return importlib.machinery.ModuleSpec(fullname, self, is_package=True)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType:
        return _StandInModule(spec.name)

    def exec_module(self, module: types.ModuleType) -> None:
        if module.__name__ == "torch":
            module.__dict__["__version__"] = _TORCH_VERSION
        elif module.__name__ == "torch.library":
            module.__dict__["infer_schema"] = _infer_schema


def put_in_place() -> None:
    """Replace the listed libraries from here on, for this process."""
    sys.meta_path.insert(0, _Finder())
