"""Secrets at rest: opened by every configured secret, for their purpose only, and rotated without a gap."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from db.sealing import CannotOpen, Sealer

OLD = "the old secret of thirty-two characters or more"
NEW = "the new secret of thirty-two characters or more"


@settings(max_examples=30, deadline=None)
@given(st.text(max_size=200), st.text(max_size=20))
def test_what_is_sealed_opens_again_and_only_for_its_purpose(text: str, purpose: str) -> None:
    sealer = Sealer(OLD)
    sealed = sealer.seal(text, purpose)
    assert sealer.open(sealed, purpose) == text
    with pytest.raises(CannotOpen):
        sealer.open(sealed, f"{purpose}x")


def test_the_same_text_never_looks_the_same() -> None:
    assert Sealer(OLD).seal("text", "key") != Sealer(OLD).seal("text", "key")


def test_a_rotation_step_by_step() -> None:
    before = Sealer(OLD).seal("text", "key")
    both = Sealer(f"{NEW}, {OLD}")
    assert both.open(before, "key") == "text"
    after = both.seal("text", "key")
    assert Sealer(NEW).open(after, "key") == "text"
    with pytest.raises(CannotOpen):
        Sealer(NEW).open(before, "key")
    with pytest.raises(CannotOpen):
        Sealer(OLD).open(after, "key")
    assert both.signing_keys == Sealer(NEW).signing_keys + Sealer(OLD).signing_keys


def test_an_altered_value_does_not_open() -> None:
    name, _, body = Sealer(OLD).seal("text", "key").partition(":")
    with pytest.raises(CannotOpen):
        Sealer(OLD).open(f"{name}:{'B' if body[0] == 'A' else 'A'}{body[1:]}", "key")


@pytest.mark.parametrize("secrets", ["", " , ", "short", f"{OLD},short"])
def test_weak_secrets_are_refused(secrets: str) -> None:
    with pytest.raises(ValueError, match="32 characters"):
        Sealer(secrets)
