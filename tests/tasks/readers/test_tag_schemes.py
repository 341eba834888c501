"""Tag schemes by hand-made cases, and against seqeval's entities for any sequence."""

from __future__ import annotations

import warnings

import pytest
from fuzzing import times
from hypothesis import given, settings
from hypothesis import strategies as st
from seqeval.metrics.sequence_labeling import get_entities
from seqeval.scheme import IOB1, IOB2, IOBES, Entities

from tasks.errors import DataError
from tasks.readers.tag_schemes import to_iob2
from tasks.schema import check_iob2

TYPES = ("LOC", "PER", "creative-work")


def sequences(prefixes):
    tags = st.one_of(
        st.just("O"),
        st.builds("{}-{}".format, st.sampled_from(prefixes), st.sampled_from(TYPES)),
    )
    return st.lists(tags, max_size=12)


@st.composite
def spans(draw):
    """A sentence's length, and entities (type, first, last) that do not overlap."""
    place, found = draw(st.integers(0, 2)), []
    for kind in draw(st.lists(st.sampled_from(TYPES), max_size=4)):
        last = place + draw(st.integers(0, 3))
        found.append((kind, place, last))
        place = last + 1 + draw(st.integers(0, 1))
    return place + draw(st.integers(0, 2)), found


def written(length, entities, scheme):
    """The tags of entities, by the definition of each scheme."""
    tags = ["O"] * length
    for kind, first, last in entities:
        tags[first : last + 1] = [f"I-{kind}"] * (last + 1 - first)
        if scheme == "iob2" or (
            scheme == "iob1" and (kind, first - 1) in {(k, e) for k, _, e in entities}
        ):
            tags[first] = f"B-{kind}"
        if scheme == "bioes":
            tags[first], tags[last] = f"B-{kind}", f"E-{kind}"
            if first == last:
                tags[first] = f"S-{kind}"
    return tags


def by_seqeval(tags, scheme):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        (found,) = Entities([tags], scheme=scheme).entities
    return [(entity.tag, entity.start, entity.end - 1) for entity in found]


@pytest.mark.parametrize(("scheme", "tags", "expected"), [
    ("iob1", "I-PER I-PER O I-LOC", "B-PER I-PER O B-LOC"),
    ("iob1", "I-PER B-PER I-PER", "B-PER B-PER I-PER"),
    ("iob1", "I-PER I-LOC I-LOC", "B-PER B-LOC I-LOC"),
    ("iob1", "B-PER I-PER O B-LOC", "B-PER I-PER O B-LOC"),  # IOB2 reads the same
    ("iob1", "B-PER I-LOC", "B-PER B-LOC"),
    ("iob1", "O I-PER O I-PER", "O B-PER O B-PER"),
    ("bioes", "S-PER B-LOC E-LOC S-LOC", "B-PER B-LOC I-LOC B-LOC"),
    ("bioes", "B-PER I-PER I-PER E-PER O", "B-PER I-PER I-PER I-PER O"),
    ("bioes", "S-creative-work", "B-creative-work"),
    ("iob2", "B-PER I-PER B-PER O", "B-PER I-PER B-PER O"),
])  # fmt: skip
def test_by_hand(scheme, tags, expected):
    assert to_iob2(tags.split(), scheme, "f line 1") == expected.split()


@pytest.mark.parametrize(("scheme", "tags", "message"), [
    ("iob2", "O I-PER", "word 2: tag I-PER follows O"),
    ("iob1", "O E-PER", "word 2: tag 'E-PER'"),
    ("iob1", "I-", "word 1: tag 'I-'"),
    ("iob1", "i-PER", "word 1: tag 'i-PER'"),
    ("bioes", "O I-PER", "word 2: tag I-PER outside an entity; expected O, B-<type> or S-<type>"),
    ("bioes", "E-PER", "word 1: tag E-PER outside an entity"),
    ("bioes", "B-PER O", "word 2: tag O inside an entity; expected I-PER or E-PER"),
    ("bioes", "B-PER B-PER", "word 2: tag B-PER inside an entity"),
    ("bioes", "B-PER E-LOC", "word 2: tag E-LOC inside an entity"),
    ("bioes", "O B-PER", "line 1: an entity PER without an end"),
    ("bioes", "L-PER", "word 1: tag 'L-PER'"),
    ("bioes", "O-PER", "word 1: tag 'O-PER'"),
    ("bioes", "BI-PER", "word 1: tag 'BI-PER'"),
    ("bioes", "-PER", "word 1: tag '-PER'"),
    ("bioes", "S", "word 1: tag 'S'"),
    ("bioes", "S-", "word 1: tag 'S-'"),
])  # fmt: skip
def test_what_a_scheme_does_not_allow(scheme, tags, message):
    with pytest.raises(DataError) as error:
        to_iob2(tags.split(), scheme, "f line 1")
    assert message in str(error.value)


def test_a_sentence_of_no_words():
    assert [to_iob2([], scheme, "f") for scheme in ("iob2", "iob1", "bioes")] == [[], [], []]


@settings(max_examples=times(500), deadline=None)
@given(spans())
def test_every_scheme_gives_the_same_tags(sentence):
    length, entities = sentence
    expected = written(length, entities, "iob2")
    check_iob2(expected, "f")
    assert by_seqeval(expected, IOB2) == entities
    for scheme, theirs in (("iob2", IOB2), ("iob1", IOB1), ("bioes", IOBES)):
        tags = written(length, entities, scheme)
        assert to_iob2(tags, scheme, "f") == expected
        assert by_seqeval(tags, theirs) == entities


@settings(max_examples=times(500), deadline=None)
@given(sequences("BI"))
def test_any_sequence_of_b_and_i_has_the_entities_of_conlleval(tags):
    converted = to_iob2(tags, "iob1", "f")
    check_iob2(converted, "f")
    assert get_entities(converted) == get_entities(tags)
    assert by_seqeval(converted, IOB2) == get_entities(tags)


@settings(max_examples=times(500), deadline=None)
@given(sequences("BIES"))
def test_bioes_is_read_exactly_when_its_entities_write_it(tags):
    entities = by_seqeval(tags, IOBES)
    if written(len(tags), entities, "bioes") == tags:
        assert to_iob2(tags, "bioes", "f") == written(len(tags), entities, "iob2")
    else:
        with pytest.raises(DataError):
            to_iob2(tags, "bioes", "f")
