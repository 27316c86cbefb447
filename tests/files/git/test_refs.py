"""References as values: what is written is read again, and no name leads a path astray."""

import contextlib
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.systems.files.git.errors import GitBundleWrong
from holdfast.systems.files.git.refs import BadRefs, Refs, from_files, from_for_each_ref, from_ls_remote
from holdfast.systems.files.git.stored import Bundle, bundle_list, bundle_name, parse_bundle_list

OID = st.binary(min_size=20, max_size=20).map(lambda data: data.hex().encode())
PART = st.binary(min_size=1, max_size=6).filter(
    lambda part: not set(part) & set(b"\x00\x7f ~^:?*[\\/.@{") and not any(byte < 33 for byte in part)
)
NAME = (
    st.lists(PART, min_size=1, max_size=3).map(lambda parts: b"refs/" + b"/".join(parts)).filter(lambda name: not name.endswith(b".lock"))
)


@settings(deadline=None, max_examples=60)
@given(st.dictionaries(NAME, OID, max_size=6), OID | NAME | st.none(), st.data())
def test_round_trips(refs, head, data):
    symbolic = {}
    if refs:
        target = data.draw(st.sampled_from(sorted(refs)))
        symbolic = {b"refs/a symbolic".replace(b" ", b"-"): target}
        refs = {**refs, next(iter(symbolic)): refs[target]}
    found = Refs(refs, head, {} if next(iter(symbolic), b"") == next(iter(symbolic.values()), b"-") else symbolic)
    again = from_files(found.packed(), found.head_file(), found.symrefs())
    assert again.refs == found.refs
    assert again.symbolic == found.symbolic
    assert again.head == (head or b"refs/heads/main")
    assert again.digest() == found.digest()


@settings(deadline=None, max_examples=60)
@given(st.dictionaries(NAME, OID, min_size=1, max_size=4), st.data())
def test_any_difference_changes_the_digest(refs, data):
    name = data.draw(st.sampled_from(sorted(refs)))
    one = Refs(refs, b"refs/heads/main")
    other = {key: value for key, value in refs.items() if key != name}
    assert Refs(other, b"refs/heads/main").digest() != one.digest()
    assert Refs(refs, b"refs/heads/other").digest() != one.digest()


NOT_NAMES = rb"""
refs/../x refs/heads/.. /refs/x refs//x refs/heads/.hidden refs/x.lock refs/a.lock/b refs/x/ refs/a~ refs/a^ refs/a:b refs/a? refs/a*
refs/[a refs/a\b refs/a@{b refs/a. heads/x -x hooks/x
""".split()


@pytest.mark.parametrize("name", [*NOT_NAMES, b"refs/a b", b"refs/\x7f", b"refs/a\x01", b""])
def test_names_that_are_none(name):
    with pytest.raises(BadRefs):
        from_for_each_ref(b"a" * 40 + b" " + name + b"\n")
    with pytest.raises(BadRefs):
        from_ls_remote(b"a" * 40 + b"\t" + name + b"\n")
    with pytest.raises(BadRefs):
        from_files(b"", b"ref: " + name + b"\n", b"")


@settings(deadline=None, max_examples=60)
@given(st.binary(min_size=1, max_size=8).filter(lambda name: b"\0" not in name))
def test_names_are_those_that_git_takes(name):
    """Everything that Git accepts is accepted here; nothing more."""
    whole = b"refs/heads/" + name
    git = subprocess.run([b"git", b"check-ref-format", whole], check=False, stderr=subprocess.DEVNULL).returncode == 0
    try:
        from_for_each_ref(b"a" * 40 + b" " + whole + b"\n")
        here = b"\n" not in name
    except BadRefs:
        here = False
    assert here == git


@settings(deadline=None, max_examples=60)
@given(st.binary(max_size=200))
def test_any_listing_is_read_or_refused(data):
    for read in (from_ls_remote, from_for_each_ref, lambda text: from_files(text, b"ref: refs/heads/main\n", text)):
        with contextlib.suppress(BadRefs):
            read(data)


def test_lists_of_bundles():
    bundles = [Bundle(bundle_name(number, f"{number:064x}"), f"{number:064x}") for number in range(3)]
    assert parse_bundle_list(bundle_list(bundles), "x") == bundles
    for text in (
        b"nonsense\n",
        bundle_list(bundles[1:]),
        bundle_list(bundles).replace(b"0000-", b"../0-"),
        f"{1:064x}  0000-{2:016x}.bundle\n".encode(),
    ):
        with pytest.raises(GitBundleWrong):
            parse_bundle_list(text, "x")
