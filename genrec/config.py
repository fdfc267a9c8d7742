"""YAML to frozen dataclasses and back: overrides, conversion by declared type, all errors at once.

It does not know what a stage does with a value.
"""

import copy
import dataclasses
import difflib
import hashlib
import json
import math
import numbers
import os
import secrets
import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar, Union

import yaml

from genrec.errors import ConfigError, GenRecError

T = TypeVar("T")


class _Loader(yaml.SafeLoader):
    """Safe YAML, but a repeated key is an error and a date stays the text that was written."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key_node, _ in node.value:
            if isinstance(key_node, yaml.ScalarNode) and key_node.tag != "tag:yaml.org,2002:merge":
                if key_node.value in seen:
                    problem = f"the key {key_node.value!r} stands here twice"
                    raise yaml.constructor.ConstructorError(None, None, problem, key_node.start_mark)
                seen.add(key_node.value)
        return super().construct_mapping(node, deep=deep)


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def read_yaml(path: str | Path) -> dict[str, Any]:
    """Read one YAML file whose top is a mapping; an empty file is an empty mapping.

    Raises:
        ConfigError: The file is missing, is not UTF-8 YAML, repeats a key, or its top is not a mapping.
    """
    path = Path(path)
    try:
        loaded = _parse_yaml(path.read_text(encoding="utf-8"))
    except OSError as error:
        reason = error.strerror or str(error)
        raise ConfigError(f"{path} cannot be read: {reason}", remedy="check the path") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8 text: {error}", remedy="save the file as UTF-8") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is not valid YAML: {error}", remedy="mend the marked place") from error
    if loaded is None:
        return {}
    if not isinstance(loaded, dict):
        raise ConfigError(
            f"the top of {path} must be a mapping", received=loaded, remedy="write `key: value` lines"
        )
    return loaded


def _parse_yaml(text: str) -> Any:
    return yaml.load(text, Loader=_Loader)


def apply_overrides(mapping: Mapping[str, Any], overrides: Iterable[str]) -> dict[str, Any]:
    """Set dotted keys, e.g. ``["align.max_steps=8", "output_dir=outputs/x"]``, in a copy of ``mapping``.

    A value is read as YAML (``key=`` sets null). Sections that are not there yet are made;
    whether a key is known is for `build` to say.

    Raises:
        ConfigError: An override has no ``=`` or an empty key part, its value is not YAML, or its
            path runs through something that is not a section. All such overrides are named at once.
    """
    result = copy.deepcopy(dict(mapping))
    errors: list[str] = []
    for override in overrides:
        dotted, equals, text = override.partition("=")
        parts = dotted.strip().split(".")
        if not equals or not all(parts):
            errors.append(f"{override!r} is not of the form section.key=value")
            continue
        try:
            value = _parse_yaml(text)
        except yaml.YAMLError as error:
            errors.append(f"{override!r}: the value is not valid YAML: {' '.join(str(error).split())}")
            continue
        if isinstance(value, str) and " #" in text and text.strip()[0] not in "'\"":
            errors.append(f"{override!r}: of this YAML reads {value!r} alone; put the value in quotes")
            continue
        section = result
        for depth, part in enumerate(parts[:-1], start=1):
            if section.get(part) is None:
                section[part] = {}
            section = section[part]
            if not isinstance(section, dict):
                errors.append(f"{override!r}: {'.'.join(parts[:depth])} is a value, not a section")
                break
        else:
            section[parts[-1]] = value
    if errors:
        raise ConfigError(
            "these overrides cannot be used:\n" + "\n".join(f"  {error}" for error in errors),
            remedy="write them as section.key=value, and quote what the shell or YAML would read otherwise",
        )
    return result


def build(cls: type[T], mapping: Mapping[str, Any], *, source: str) -> T:
    """Make a (nested, frozen) dataclass from a plain mapping, each value converted by its declared type.

    Declared types may be bool, int, float, str, Path, Any, Literal, Optional and other unions, list, dict,
    tuple and further dataclasses. ``"2e-4"`` becomes a float where a float is declared; a number
    where text is declared is an error, since YAML may already have changed its spelling. An empty
    section stands for its defaults. What a ``__post_init__`` raises is reported with the rest.

    Args:
        cls: The dataclass to make.
        mapping: Plain values, as `read_yaml` gives them.
        source: Where the mapping came from; named in errors.

    Raises:
        ConfigError: Unknown keys (with the nearest known one), missing required keys and values that do not
            fit their type; every one of them in a single error.
    """
    errors: list[str] = []
    built = _dataclass(cls, mapping, "", errors)
    if errors:
        count = "1 mistake" if len(errors) == 1 else f"{len(errors)} mistakes"
        listed = "\n".join(f"  {error}" for error in errors)
        raise ConfigError(f"{source}: {count}\n{listed}", remedy="mend the keys named above")
    return typing.cast(T, built)


_FAILED = object()  # stands for a value whose error has been noted


def _dataclass(cls: Any, value: object, place: str, errors: list[str]) -> object:
    value = {} if value is None else value
    if not isinstance(value, Mapping):
        errors.append(f"{place or 'the top'}: expected a section (key: value lines), received {value!r}")
        return _FAILED
    fields = {field.name: field for field in dataclasses.fields(cls) if field.init}
    hints = typing.get_type_hints(cls)
    before = len(errors)
    for key in value:
        if key not in fields:
            near = difflib.get_close_matches(str(key), fields, n=1)
            hint = f"did you mean {_join(place, near[0])}?" if near else f"known here: {', '.join(fields)}"
            errors.append(f"{_join(place, key)}: unknown key; {hint}")
    arguments: dict[str, object] = {}
    for name, field in fields.items():
        if name in value:
            arguments[name] = _convert(hints[name], value[name], _join(place, name), errors)
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            errors.append(f"{_join(place, name)}: missing, and it has no default")
    if len(errors) > before:
        return _FAILED
    try:
        return cls(**arguments)
    except (GenRecError, ValueError) as error:
        message = " | ".join(str(error).splitlines())
        errors.append(f"{place}: {message}" if place else message)
        return _FAILED


def _join(place: str, key: object) -> str:
    return f"{place}.{key}" if place else str(key)


def _convert(declared: Any, value: object, place: str, errors: list[str]) -> object:
    if declared is Any or declared is object:
        return value
    if dataclasses.is_dataclass(declared):
        return _dataclass(declared, value, place, errors)
    origin, arguments = typing.get_origin(declared), typing.get_args(declared)
    if origin in (Union, types.UnionType):
        return _union(arguments, value, place, errors)
    if origin is Literal:
        for choice in arguments:
            if value == choice and type(value) is type(choice):
                return value
        choices = ", ".join(repr(choice) for choice in arguments)
        near = difflib.get_close_matches(str(value), [str(choice) for choice in arguments], n=1)
        errors.append(f"{place}: expected one of {choices}, received {value!r}" + _did_you_mean(near))
        return _FAILED
    container = origin or declared
    if container in (list, tuple, Sequence):
        return _sequence(container, arguments, value, place, errors)
    if container in (dict, Mapping):
        return _dictionary(arguments, value, place, errors)
    return _scalar(declared, value, place, errors)


def _did_you_mean(near: Sequence[str]) -> str:
    return f"; did you mean {near[0]!r}?" if near else ""


def _union(members: tuple[Any, ...], value: object, place: str, errors: list[str]) -> object:
    if value is None and type(None) in members:
        return None
    members = tuple(member for member in members if member is not type(None))
    # A member that takes the value as it stands goes before one that has to convert it.
    exact = [member for member in members if isinstance(member, type) and type(value) is member]
    attempts: list[list[str]] = []
    for member in [*exact, *members]:
        trial: list[str] = []
        converted = _convert(member, value, place, trial)
        if not trial:
            return converted
        attempts.append(trial)
    if len(members) == 1:
        errors.extend(attempts[0])
    else:
        errors.append(f"{place}: expected {' or '.join(map(_named, members))}, received {value!r}")
    return _FAILED


def _sequence(
    container: Any, arguments: tuple[Any, ...], value: object, place: str, errors: list[str]
) -> object:
    if not isinstance(value, (list, tuple)):
        errors.append(f"{place}: expected a list, received {value!r}")
        return _FAILED
    if container is tuple and arguments and arguments[-1] is not Ellipsis:
        if len(arguments) != len(value):
            errors.append(f"{place}: expected {len(arguments)} values, received {value!r}")
            return _FAILED
        declared: Sequence[Any] = arguments
    else:
        declared = [arguments[0] if arguments else Any] * len(value)
    converted = [
        _convert(kind, entry, f"{place}[{position}]", errors)
        for position, (kind, entry) in enumerate(zip(declared, value, strict=True))
    ]
    return converted if container is list else tuple(converted)


def _dictionary(arguments: tuple[Any, ...], value: object, place: str, errors: list[str]) -> object:
    if not isinstance(value, Mapping):
        errors.append(f"{place}: expected a mapping, received {value!r}")
        return _FAILED
    key_type, value_type = arguments or (Any, Any)
    return {
        _convert(key_type, key, f"{place} (key)", errors): _convert(
            value_type, entry, _join(place, key), errors
        )
        for key, entry in value.items()
    }


def _scalar(declared: Any, value: object, place: str, errors: list[str]) -> object:
    if declared is bool and isinstance(value, bool):
        return value
    if declared in (int, float) and isinstance(value, (int, float, str)) and not isinstance(value, bool):
        number = _number(value)
        if number is not None and declared is float:
            return float(number)
        if number is not None and math.isfinite(number) and number == int(number):
            return int(number)
    if declared is str and isinstance(value, str):
        return value
    if declared is Path and isinstance(value, (str, Path)):
        try:
            return Path(value).expanduser()
        except RuntimeError:
            errors.append(f"{place}: this machine knows no such home folder, received {str(value)!r}")
            return _FAILED
    quote = (
        f"; put it in quotes: \"'{value}'\""
        if declared in (str, Path) and isinstance(value, (int, float))
        else ""
    )
    errors.append(f"{place}: expected {_named(declared)}, received {value!r}{quote}")
    return _FAILED


def _number(value: float | str) -> float | None:
    """Read a number without loss (whole ones stay int); None for what is no number, NaN included."""
    for kind in (int, float):
        if not isinstance(value, str):
            return None if math.isnan(value) else value
        try:
            return _number(kind(value))
        except ValueError:
            continue
    return None


def _named(declared: Any) -> str:
    return declared.__name__ if isinstance(declared, type) else str(declared)


def to_mapping(obj: object) -> Any:
    """Turn dataclasses, mappings and sequences into plain dict, list, str, int, float, bool and None.

    Paths become strings, tuples lists, whole-number and text keys text.

    Raises:
        ConfigError: A value is none of these.
    """
    if obj is None or isinstance(obj, (str, bool)):
        return obj
    if isinstance(obj, numbers.Integral):
        return int(obj)
    if isinstance(obj, numbers.Real):
        return float(obj)
    if isinstance(obj, Path):
        return obj.as_posix()
    if dataclasses.is_dataclass(obj) and not isinstance(obj, type):
        return {field.name: to_mapping(getattr(obj, field.name)) for field in dataclasses.fields(obj)}
    if isinstance(obj, Mapping):
        for key in obj:
            if not isinstance(key, (str, numbers.Integral)):
                raise ConfigError("a key must be text or a whole number", received=key)
        plain = {str(key): to_mapping(value) for key, value in obj.items()}
        if len(plain) != len(obj):
            raise ConfigError("two keys are the same text", received=list(obj))
        return plain
    if isinstance(obj, (list, tuple)):
        return [to_mapping(value) for value in obj]
    raise ConfigError(f"a {type(obj).__name__} has no plain form", received=obj)


def fingerprint(obj: object) -> str:
    """Give the sha256 (64 hex digits) of the canonical JSON of a dataclass, mapping or list."""
    canonical = json.dumps(to_mapping(obj), sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode("ascii")).hexdigest()


def write_yaml(path: str | Path, mapping: object, header: str | None = None) -> None:
    """Write a mapping or dataclass as YAML, keys in their own order, in one atomic step.

    Args:
        path: The file; its folder is made when it is not there.
        mapping: What `to_mapping` accepts.
        header: Text to put on top as comment lines.
    """
    plain = to_mapping(mapping)
    body = yaml.safe_dump(plain, sort_keys=False, allow_unicode=True, width=110)
    if any(mark in body for mark in "\x85\u2028\u2029"):  # line breaks to YAML: only their escapes come back
        body = yaml.safe_dump(plain, sort_keys=False, allow_unicode=False, width=110)
    comment = "".join(f"# {line}".rstrip() + "\n" for line in (header or "").splitlines())
    atomic_write_text(path, comment + body)


def atomic_write_text(path: str | Path, text: str) -> None:
    """Write UTF-8 text so that the file is at every moment either the old one or the new one, whole."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        with temporary.open("xb") as stream:
            stream.write(text.encode("utf-8"))
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
