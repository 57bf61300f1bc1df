"""What a job of GitHub Actions is compared with: real repositories, real checkouts, the events that GitHub sends."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from builders import make_run
from hub import NAME, Hub, Store, Told
from remote_kit import state
from repositories import git

from evalgate.pipeline.place import Place


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Hub:
    """Made once, copied for each test."""
    return Hub.made(tmp_path_factory.mktemp("hub") / "origin.git")


@pytest.fixture
def hub(template: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hub:
    """`main`: m1 … m6."""
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    return template.copy(tmp_path / "origin.git")


@pytest.fixture
def store(hub: Hub) -> Iterator[Store]:
    """An empty history."""
    with Store.of(hub) as found:
        yield found


# ---- pull requests ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("depth", [None, 1, 2, 50])
def test_a_test_merge_is_compared_with_its_first_parent(hub: Hub, store: Store, depth: int | None) -> None:
    """However shallow the checkout: the same runs, as far behind, pooled with the same earlier ones."""
    store.record("m2", "m3", "m4")
    head = hub.line("f", 2, on="m3")
    merge = hub.pull(head, "m6")
    clone = hub.checkout(merge, depth)
    told = store.compared(clone, hub.pull_job(head, base="m5"))
    assert (told.first, told.ids) == (("m4", 2), ["m4", "m3", "m2"])
    assert told.why.startswith(f"nearest ancestor with a complete run: 2 commits behind {hub.ids['m6'][:10]}")


@pytest.mark.parametrize("depth", [None, 1])
def test_a_checked_out_head_is_compared_with_its_merge_base(hub: Hub, store: Store, depth: int | None) -> None:
    """What has come to main since is not the change's doing."""
    store.record("m2", "m3", "m5")
    head = hub.line("f", 2, on="m3")
    hub.pull(head, "m6")
    clone = hub.checkout(head, depth)
    assert store.compared(clone, hub.pull_job(head, base="m6")).first == ("m3", 0)


def test_a_shallow_checkout_is_not_believed_about_where_a_change_left_its_base(hub: Hub, store: Store) -> None:
    """It has a common commit, m3; the newer one, m5, came in by a way that is cut off there."""
    store.record("m3", "m5")
    head = hub.commit("f2", hub.line("f", 1, on="m3"), hub.line("side", 3, on="m5"))
    hub.pull(head, "m6")
    clone = hub.checkout(head, 3)
    git(clone, "fetch", "--quiet", "--depth=4", "origin", "main:refs/remotes/origin/main")
    assert git(clone, "merge-base", "HEAD", "origin/main") == hub.ids["m3"]
    assert store.compared(clone, hub.pull_job(head, base="m6")).first == ("m5", 0)


@pytest.mark.parametrize("depth", [None, 1])
def test_what_was_merged_into_the_change_since_belongs_to_its_base(hub: Hub, store: Store, depth: int | None) -> None:
    """The payload's base is not kept up to date: the branch as it is now knows better."""
    store.record("m2", "m3", "m5")
    head = hub.commit("f2", hub.line("f", 1, on="m3"), "m5")
    hub.pull(head, "m6")
    assert store.compared(hub.checkout(head, depth), hub.pull_job(head, base="m3")).first == ("m5", 0)


def test_the_changes_own_earlier_runs_are_no_baseline(hub: Hub, store: Store) -> None:
    """A store that keeps pull requests' runs too: a first push that lost much would hide it from the second."""
    head = hub.line("f", 3, on="m4")
    merge = hub.pull(head, "m6")
    store.record("m3", "f1", "f2", "f3", merge)
    environ = hub.pull_job(head, base="m6")
    assert store.compared(hub.checkout(head, 1), environ).first == ("m3", 1)
    assert store.compared(hub.checkout(merge, 1, folder="merge"), environ).first == ("m3", 3)


def test_a_re_run_after_the_merge_is_compared_as_the_first_time(hub: Hub, store: Store) -> None:
    """Attempt 2 of a pull request that main holds by now: neither its own runs nor later ones count."""
    head = hub.line("f", 2, on="m4")
    merge = hub.pull(head, "m6")
    hub.branch("main", hub.commit("m8", hub.commit("m7", "m6", head)))
    store.record("m4", "m5", merge, "f2", "m7", "m8")
    environ = hub.pull_job(head, base="m6", GITHUB_RUN_ATTEMPT="2")
    assert store.compared(hub.checkout(merge, 1), environ).first == ("m5", 1)
    assert store.compared(hub.checkout(head, 1, folder="head"), environ).first == ("m4", 0)


def test_a_newer_test_merge_than_the_events_is_known_by_its_parents(hub: Hub, store: Store) -> None:
    """`ref: refs/pull/7/merge` gives the newest: what main has gained is its base's, not the change's. No remote is
    needed to see that."""
    head = hub.line("f", 1, on="m4")
    hub.pull(head, "m5")
    newer = hub.commit("newer", "m6", head)
    store.record("m5", "m6")
    clone = hub.checkout(newer, 1)
    hub.gone()
    assert store.compared(clone, hub.pull_job(head, base="m5")).first == ("m6", 0)


def test_a_stacked_pull_request_is_compared_with_the_one_below(hub: Hub, store: Store) -> None:
    """Its base is another branch: that branch's runs count, else those of what it stands on."""
    below = hub.line("below", 2, on="m5")
    hub.branch("below", below)
    head = hub.line("f", 1, on=below)
    merge = hub.pull(head, below)
    store.record("m4", "m5", "m6")
    environ = hub.pull_job(head, base=below, branch="below")
    clones = [hub.checkout(commit, 1, folder=commit) for commit in (merge, head)]
    assert [store.compared(clone, environ).first for clone in clones] == [("m5", 2)] * 2
    store.record(below)
    assert [store.compared(clone, environ).first for clone in clones] == [(below, 0)] * 2


def test_a_rebased_change_is_compared_from_its_new_place(hub: Hub, store: Store) -> None:
    """The commits before the rebase are nobody's ancestors any more, whatever was measured on them."""
    hub.line("old", 2, on="m2")
    head = hub.line("new", 2, on="m5")
    merge = hub.pull(head, "m6")
    store.record("m2", "m5", "old1", "old2")
    environ = hub.pull_job(head, base="m2")
    assert store.compared(hub.checkout(merge, 1), environ).first == ("m5", 1)
    assert store.compared(hub.checkout(head, 1, folder="head"), environ).first == ("m5", 0)


def test_a_forks_commits_are_fetched_from_the_base_repository(hub: Hub, store: Store) -> None:
    """No branch of ours names them, only `refs/pull/7/head`."""
    store.record("m4")
    head = hub.line("fork", 3, on="m4")
    hub.pull(head, "m6")
    assert store.compared(hub.checkout(head, 1), hub.pull_job(head, base="m6", owner="stranger/support-bot")).first == (
        "m4",
        0,
    )


def test_pull_request_target_evaluates_the_base_itself(hub: Hub, store: Store) -> None:
    """Nothing of the pull request is checked out: the base is compared with what came before it."""
    head = hub.line("f", 1, on="m4")
    hub.pull(head, "m6")
    store.record("m5", "m6")
    ref = {"GITHUB_SHA": hub.ids["m6"], "GITHUB_REF": "refs/heads/main", "GITHUB_REF_NAME": "main"}
    environ = hub.pull_job(head, base="m6", event="pull_request_target", **ref)
    assert store.compared(hub.checkout("m6", 1), environ).first == ("m5", 1)


# ---- pushes -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("depth", [None, 1, 2])
def test_a_push_is_compared_with_its_parent(hub: Hub, store: Store, depth: int | None) -> None:
    """Not with the newest run there is, nor with an earlier attempt at itself."""
    store.record("m3", "m4", "m5", "m6")
    environ = hub.job("push", "m5", GITHUB_RUN_ATTEMPT="2")
    assert store.compared(hub.checkout("m5", depth), environ).first == ("m4", 0)


def test_a_push_of_several_commits_is_compared_with_the_last_one_that_ran(hub: Hub, store: Store) -> None:
    """Only the last commit of a push has a run."""
    store.record("m2", "m3")
    assert store.compared(hub.checkout("m6", 2), hub.job("push", "m6")).first == ("m3", 2)


def test_a_force_push_leaves_the_dropped_commits_runs_behind(hub: Hub, store: Store) -> None:
    """What is no ancestor any more sets no bar."""
    hub.branch("main", hub.line("forced", 2, on="m3"))
    store.record("m3", "m4", "m5", "m6")
    told = store.compared(hub.checkout("forced2", 1), hub.job("push", "forced2", {"forced": True}))
    assert told.first == ("m3", 1)


def test_a_revert_is_compared_with_what_it_reverts(hub: Hub, store: Store) -> None:
    """Even where that failed, which is said: the revert can only be better."""
    store.record("m5")
    store.record("m6", exit_code=1)
    hub.branch("main", hub.commit("revert-of-m6", "m6"))
    told = store.compared(hub.checkout("revert-of-m6", 1), hub.job("push", "revert-of-m6"))
    assert told.first == ("m6", 0)
    assert "itself, whose own verdict was fail" in told.why


@pytest.mark.parametrize("way", ["merge", "squash", "rebase", "octopus"])
def test_whichever_way_a_change_was_merged_the_base_branch_is_followed(hub: Hub, store: Store, way: str) -> None:
    """The merged side's runs are the change's own."""
    head = hub.line("f", 2, on="m4")
    store.record("m6", "f1", "f2")
    if way == "rebase":
        merged = hub.line("rebased", 2, on="m6")
    else:
        other = hub.line("g", 1, on="m2")
        sides = {"merge": (head,), "squash": (), "octopus": (head, other)}[way]
        merged = hub.commit("merged", "m6", *sides)
    hub.branch("main", merged)
    told = store.compared(hub.checkout(merged, 1), hub.job("push", merged))
    assert told.first == ("m6", 1 if way == "rebase" else 0)
    assert told.ids == ["m6"]


def test_a_first_push_has_no_baseline_and_says_that_it_is_the_first(hub: Hub, store: Store) -> None:
    """Nothing was overlooked, even in a checkout of depth 1."""
    hub.branch("main", hub.commit("first"))
    told = store.compared(hub.checkout("first", 1), hub.job("push", "first"))
    assert told.why == 'no run of suite "suite" in the store in memory before this one: it is the first'


def test_a_history_begun_anew_knows_nothing_of_the_old_one(hub: Hub, store: Store) -> None:
    """An orphan: there are runs, none of them is an ancestor, and there was nothing that could not be seen."""
    store.record("m5", "m6")
    hub.branch("main", hub.commit("orphan"))
    told = store.compared(hub.checkout("orphan", 1), hub.job("push", "orphan"))
    assert told.is_missing and "could not look" not in told.why
    assert f"none on {hub.ids['orphan'][:10]} or an ancestor of it (1 commit looked at); the newest, m6" in told.why


@pytest.mark.parametrize(("event", "depth"), [("push", 1), ("workflow_dispatch", None)])
def test_another_branch_is_compared_from_where_it_left_the_default_one(
    hub: Hub, store: Store, event: str, depth: int | None
) -> None:
    """Held against its own last commit, it would only answer for that one."""
    head = hub.line("f", 3, on="m4")
    hub.branch("feature", head)
    store.record("m3", "m4", "f1", "f2", "f3", "m6")
    environ = hub.job(event, head, GITHUB_REF="refs/heads/feature", GITHUB_REF_NAME="feature")
    assert store.compared(hub.checkout(head, depth), environ).first == ("m4", 0)


def test_a_branch_without_a_common_commit_has_no_baseline(hub: Hub, store: Store) -> None:
    """And the reason says what was looked for."""
    store.record("m6")
    hub.branch("pages", hub.commit("orphan"))
    environ = hub.job("push", "orphan", GITHUB_REF="refs/heads/pages", GITHUB_REF_NAME="pages")
    for depth in (None, 1):
        told = store.compared(hub.checkout("orphan", depth, folder=f"{depth}"), environ)
        lost = f"where {hub.ids['orphan'][:10]} left branch main could not be found: no commit in common"
        assert told.is_missing and lost in told.why


def test_a_tag_is_compared_with_the_parent_of_its_commit(hub: Hub, store: Store) -> None:
    """As the push of that commit was; that push's run is no baseline for it."""
    git(hub.bare, "update-ref", "refs/tags/v1", hub.ids["m5"])
    store.record("m4", "m5", "m6")
    environ = hub.job("push", "m5", GITHUB_REF="refs/tags/v1", GITHUB_REF_NAME="v1", GITHUB_REF_TYPE="tag")
    assert store.compared(hub.checkout("m5", 1), environ).first == ("m4", 0)


def test_a_renamed_default_branch_keeps_its_baselines(hub: Hub, store: Store) -> None:
    """Commits are compared, names are not."""
    store.record("m4", "m5")
    git(hub.bare, "branch", "-m", "main", "trunk")
    renamed = {"repository": {"full_name": NAME, "default_branch": "trunk"}}
    ref = {"GITHUB_REF": "refs/heads/trunk", "GITHUB_REF_NAME": "trunk"}
    assert store.compared(hub.checkout("m6", 1), hub.job("push", "m6", renamed, **ref)).first == ("m5", 0)
    head = hub.line("f", 1, on="m5")
    hub.branch("feature", head)
    ref = {"GITHUB_REF": "refs/heads/feature", "GITHUB_REF_NAME": "feature"}
    told = store.compared(hub.checkout(head, 1, folder="feature"), hub.job("push", head, renamed, **ref))
    assert told.first == ("m5", 0)


# ---- queues, clocks, hands --------------------------------------------------------------------------------


@pytest.mark.parametrize("depth", [None, 1])
def test_a_merge_group_is_compared_with_its_base(hub: Hub, store: Store, depth: int | None) -> None:
    """The group before it in the queue has not landed and has no run: main's nearest counts."""
    one = hub.commit("group-1", "m6", hub.line("f", 1, on="m5"))
    two = hub.commit("group-2", one, hub.line("g", 1, on="m4"))
    queue = f"gh-readonly-queue/main/pr-8-{hub.ids[one]}"
    hub.branch(queue, two)
    store.record("m4", "m5", "f1")
    group = {"base_sha": hub.ids[one], "base_ref": "refs/heads/main", "head_sha": hub.ids[two]}
    environ = hub.job("merge_group", two, {"merge_group": group}, GITHUB_REF_NAME=queue)
    assert store.compared(hub.checkout(two, depth), environ).first == ("m5", 2)


@pytest.mark.parametrize("event", ["schedule", "workflow_dispatch"])
def test_where_nothing_changed_the_commits_own_run_counts(hub: Hub, store: Store, event: str) -> None:
    """By the clock or by hand: has the provider changed under us?"""
    store.record("m5", "m6")
    assert store.compared(hub.checkout("m6", 1), hub.job(event, "m6")).first == ("m6", 0)


@pytest.mark.parametrize("depth", [None, 1])
def test_a_commit_checked_out_by_hand_is_compared_from_where_it_left_the_branch(
    hub: Hub, store: Store, depth: int | None
) -> None:
    """A maintainer dispatches the evaluation of a fork's reviewed commit."""
    store.record("m3", "m4", "m6")
    head = hub.line("fork", 2, on="m4")
    hub.pull(head, "m6")
    assert store.compared(hub.checkout(head, depth), hub.job("workflow_dispatch", "m6")).first == ("m4", 0)


def test_an_old_commit_checked_out_by_hand_is_compared_with_what_came_before(hub: Hub, store: Store) -> None:
    """A history is filled afterwards."""
    store.record("m2", "m3", "m4")
    assert store.compared(hub.checkout("m4", 1), hub.job("workflow_dispatch", "m6")).first == ("m3", 1)


def test_a_run_of_another_commit_is_judged_from_its_own_place(hub: Hub, store: Store) -> None:
    """`evalgate gate RUN` in a job: the job's base is not that run's."""
    store.record("m2", "m5")
    clone = hub.checkout("m6", None)
    old = replace(make_run("old", minutes=900, facts=[1, 0]), commit=hub.ids["m4"])
    assert store.compared(clone, hub.job("push", "m6"), run=old).first == ("m2", 2)


# ---- several suites ---------------------------------------------------------------------------------------


def test_each_suite_of_a_repository_has_a_baseline_of_its_own(hub: Hub, store: Store) -> None:
    """A nearer run of another suite is none of ours."""
    store.record("m3")
    store.record("m6", suite="other", id="of-the-other")
    told = store.compared(hub.checkout("m6", 1), hub.job("schedule", "m6"))
    assert told.ids == ["m3"]


def test_a_suite_in_a_folder_below_is_of_the_whole_repository(hub: Hub, store: Store) -> None:
    """A monorepo: `services/a/evalgate.yaml` has the repository's commits and, in CI, its job."""
    store.record("m4")
    clone = hub.checkout("m6", 1)
    folder = clone / "services" / "a"
    folder.mkdir(parents=True)
    assert store.compared(folder, hub.job("push", "m6")).first == ("m4", 1)
    assert (folder / ".evalgate" / "remote.git").is_dir() and not (clone / ".evalgate").exists()


def test_two_configurations_that_named_their_suites_alike_are_kept_apart(hub: Hub, store: Store) -> None:
    """A monorepo's second service, copied from the first, would be held against the other's answers."""
    clone = hub.checkout("m6", 1)
    for service in ("a", "b"):
        (clone / "services" / service).mkdir(parents=True)
        (clone / "services" / service / "evalgate.yaml").touch()
    store.record("m3", metadata={"config": "services/a/evalgate.yaml"})
    store.record("m5", metadata={"config": "services/b/evalgate.yaml"})
    environ = hub.job("push", "m6")

    def compared(service: str) -> Told:
        folder = clone / "services" / service
        place = Place.of(folder, environ)
        told = place.told(folder / "evalgate.yaml")
        run = replace(make_run("candidate", minutes=900, facts=[1]), commit=place.commit, metadata=told)
        return store.compared(folder, environ, run=run)

    assert (compared("a").ids, compared("b").ids) == (["m3"], ["m5"])
    (clone / "services" / "b").rename(clone / "services" / "moved")
    assert compared("moved").ids == ["m5"], "what is not where it was has been moved"
    (clone / "services" / "c").mkdir()
    assert compared("c").ids == ["m5"]
    (clone / "services" / "b").mkdir()
    (clone / "services" / "b" / "evalgate.yaml").touch()
    told = compared("c")
    assert told.is_missing and "2 complete runs" in told.why
    assert "all of another configuration that has given its suite the same name" in told.why


# ---- what cannot be seen ----------------------------------------------------------------------------------


def test_deepening_leaves_the_checkout_as_it_is(hub: Hub, store: Store) -> None:
    """Not a byte of it changes: no reference, no object, no index, and it stays shallow."""
    store.record("m2")
    head = hub.line("f", 1, on="m3")
    merge = hub.pull(head, "m6")
    clone = hub.checkout(merge, 1)
    before = state(clone)
    assert store.compared(clone, hub.pull_job(head, base="m6")).first == ("m2", 4)
    assert state(clone) == before


def test_without_a_remote_the_base_itself_is_still_known(hub: Hub, store: Store) -> None:
    """Its id stands in the test merge, which even a checkout of depth 1 has; that more was not seen is said."""
    store.record("m5", "m6")
    head = hub.line("f", 1, on="m3")
    merge = hub.pull(head, "m6")
    clone = hub.checkout(merge, 1)
    hub.gone()
    told = store.compared(clone, hub.pull_job(head, base="m6"))
    assert told.ids == ["m6"]
    assert f"could not look further back than {hub.ids['m6'][:10]}: older commits could not be fetched" in told.why


def test_what_could_not_be_seen_is_never_a_first_run(hub: Hub, store: Store) -> None:
    """The run may be there: only nobody can say on which side of the change."""
    store.record("m2")
    head = hub.line("f", 1, on="m3")
    merge = hub.pull(head, "m6")
    clone = hub.checkout(merge, 1)
    hub.gone()
    told = store.compared(clone, hub.pull_job(head, base="m6"))
    assert told.is_missing and "it is the first" not in told.why
    assert told.why.startswith('1 complete run of suite "suite" in the store in memory, none on')
    assert f"could not look further back than {hub.ids['m6'][:10]}" in told.why
    assert told.why.endswith("Or check out with fetch-depth: 0")


def test_a_base_that_cannot_be_found_is_not_replaced_by_the_changes_own_commits(hub: Hub, store: Store) -> None:
    """Walking back from the head would meet the change's own earlier runs first."""
    head = hub.line("f", 3, on="m4")
    hub.pull(head, "m6")
    store.record("m4", "f1", "f2")
    clone = hub.checkout(head, 3)
    hub.gone()
    told = store.compared(clone, hub.pull_job(head, base="m6"))
    assert told.is_missing
    assert f"where {hub.ids['f3'][:10]} left branch main could not be found: " in told.why


def test_an_unshallow_checkout_asks_nobody(hub: Hub, store: Store) -> None:
    """`fetch-depth: 0` works without a network, and leaves no scratch repository."""
    store.record("m4")
    head = hub.line("f", 1, on="m3")
    merge = hub.pull(head, "m6")
    clone = hub.checkout(merge, None)
    hub.gone()
    assert store.compared(clone, hub.pull_job(head, base="m6")).first == ("m4", 2)
    assert not (clone / ".evalgate").exists()


def test_a_detached_head_on_a_developers_machine_is_a_commit_like_any_other(hub: Hub, store: Store) -> None:
    """No branch is needed to find the ancestors; nothing is fetched there, and a shallow clone says that it is one."""
    store.record("m3")
    environ = {key: value for key, value in hub.job("push", "m5").items() if not key.startswith("GITHUB_")}
    assert store.compared(hub.checkout("m5", None), environ).first == ("m3", 2)
    told = store.compared(hub.checkout("m5", 1, folder="shallow"), environ)
    assert told.is_missing and "this clone is shallow" in told.why
