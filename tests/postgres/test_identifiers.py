"""Names as people write them: no two things share one, and each is read back into its parts."""

from hypothesis import given
from hypothesis import strategies as st

from holdfast.systems.postgres.identifiers import behind_database, parted, shown

PARTS = st.lists(st.text("ab.\"#' é", max_size=5), min_size=1, max_size=4)


@given(PARTS, PARTS)
def test_two_things_never_have_one_name_and_parts_come_back(one, other):
    assert parted(shown(*one)) == one
    assert (shown(*one) == shown(*other)) == (one == other)


def test_plain_names_are_as_they_always_were():
    assert shown("postgres", "public", "my table") == "postgres.public.my table"
    assert behind_database("shop.public.orders") == ("shop", "public.orders")
    assert behind_database("public.orders") == (None, "public.orders")
    assert behind_database('"my.db"."a.b".c') == ("my.db", '"a.b".c')
    assert behind_database('"a.b".c') == (None, '"a.b".c')
    assert parted('a"b') == ['a"b']
