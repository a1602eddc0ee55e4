"""The marks of a cell: the best method where duels show one, and the methods that tie with the leader."""

from hypothesis import given
from hypothesis import strategies as st

from lthbench.scoring.leader import marks

MEANS = st.dictionaries(st.text("abcdef", min_size=1, max_size=2), st.floats(0, 100), min_size=1, max_size=6)


@given(MEANS, st.data())
def test_the_best_is_ahead_of_or_tied_with_all_others(means: dict[str, float], data: st.DataObject) -> None:
    words = data.draw(st.sampled_from([["ahead", "tie"], ["tie"], ["ahead", "behind", "tie", "undecided", "pending"]]))
    drawn = {method: data.draw(st.sampled_from(words)) for method in means}

    def outcome(a: str, b: str) -> str:
        assert means[a] == max(means.values())
        return {"ahead": a, "behind": b}.get(drawn[b], drawn[b])

    found = marks(means, outcome)
    leader = max(means, key=lambda method: means[method])
    others = {drawn[method] for method in means if method != leader}
    assert {method for method, mark in found.items() if mark == "tied"} == {
        method for method in means if method != leader and drawn[method] == "tie"
    }
    assert [m for m, mark in found.items() if mark == "best"] == [leader] * (others in ({"ahead"}, {"ahead", "tie"}))
