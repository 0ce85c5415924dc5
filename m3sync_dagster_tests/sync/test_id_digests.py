"""A set of ids in little memory."""

from m3sync_dagster.sync.id_digests import IdDigests


def test_the_given_ids_are_in_the_set_and_no_others() -> None:
    ids = [f"id-{number}" for number in range(1_000)]
    found = IdDigests(iter([*ids, ids[0]]))
    assert all(one in found for one in ids)
    assert not any(f"{one}x" in found for one in ids)
    assert "id" not in IdDigests([])


def test_an_id_that_is_added_after_a_look_is_found() -> None:
    found = IdDigests()
    for number in range(100):
        assert f"id-{number}" not in found
        found.add(f"id-{number}")
        assert f"id-{number}" in found


def test_an_id_may_have_half_a_surrogate_pair() -> None:
    assert "id-\ud83d" in IdDigests(["id-\ud83d"])
