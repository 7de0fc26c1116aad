from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from qwen_operator.desired.metadata import Object
from qwen_operator.desired.plan_config_map import rows_of
from qwen_operator.desired.rollout import explain_rollout, keep_running_template
from qwen_operator.desired.wanted import Wanted
from tests.desired.examples import SETTINGS, children_of, wanted
from tests.desired.live import apply, edit

ON_L4: dict[str, Any] = {"accelerators": [{"name": "L4"}]}
CONTAINER = ("spec", "template", "spec", "containers", 0)


def deployment_of(given: Wanted) -> Object:
    return children_of(given)["Deployment"]


def template(deployment: Object) -> Any:
    return deployment["spec"]["template"]


def reason(old: Wanted, new: Wanted) -> str | None:
    """Why the step from one to the other restarts pods, by the way that a pass takes."""
    before, after = children_of(old), children_of(new)
    live = apply(before["Deployment"]) | {"status": {"readyReplicas": 1}}
    return explain_rollout(
        live,
        keep_running_template(after["Deployment"], live),
        rows_of(before["ConfigMap"]),
        rows_of(after["ConfigMap"]),
    )


def step(**changes: Any) -> str | None:
    return reason(wanted(ON_L4), wanted({**ON_L4, **changes}))


def test_the_field_that_was_changed_comes_first_then_the_flags() -> None:
    said = reason(
        wanted({**ON_L4, "contextLength": 32768}), wanted({**ON_L4, "contextLength": 65536})
    )
    assert said is not None
    changed, _, followed = said.partition(": ")
    assert changed == "contextLength 32768 → 65536"
    assert "max-model-len" in followed.split(", ")


def test_a_field_that_was_left_out_is_told_by_its_default() -> None:
    said = step(contextLength=16384)
    assert said is not None
    assert said.startswith("contextLength 8192 → 16384: max-model-len")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"image": "b"}, "image unset → b"),
        (
            {"engine": {"env": [{"name": "A", "value": "1"}]}},
            "engine.env.A unset → 1",
        ),
        ({"servedModelName": "x"}, "servedModelName unset → x: served-model-name"),
        (
            {"podTemplate": {"spec": {"priorityClassName": "high"}}},
            "podTemplate.spec.priorityClassName unset → high",
        ),
        ({"resources": {"cpu": "9"}}, "resources.cpu unset → 9: resources.requests.cpu"),
        (
            {"engine": {"extraArgs": ["--seed", "1"]}},
            'engine.extraArgs unset → ["--seed", "1"]: seed',
        ),
    ],
)
def test_each_change_is_told_in_words(changes: dict[str, Any], said: str) -> None:
    assert step(**changes) == said


def test_cards_that_come_or_go_are_named() -> None:
    said = reason(wanted(ON_L4), wanted({"accelerators": [{"name": "L4"}, {"name": "A10G"}]}))
    assert said == "accelerators.A10G unset → listed: cards, affinity"


def test_a_plan_that_changes_by_itself_shows_its_numbers() -> None:
    old = wanted(ON_L4)
    (row,) = old.rows
    new = replace(old, rows=(replace(row, args=(*row.args, "--seed", "1")),))
    assert reason(old, new) == "seed unset → 1"


def test_long_values_are_not_spelt_out_and_many_changes_are_counted() -> None:
    env = [{"name": f"V{index:02}", "value": "x" * 200} for index in range(20)]
    said = step(engine={"env": env})
    assert said is not None
    assert len(said.encode()) < 1024
    assert "V00" in said
    assert " more" in said


@pytest.mark.parametrize(
    "changes",
    [
        {"replicas": 4},
        {"suspend": True},
        {"cache": {"storageClassName": "fast"}},
        {"precision": "bf16"},
    ],
)
def test_what_pods_do_not_depend_on_restarts_none(changes: dict[str, Any]) -> None:
    assert step(**changes) is None
    assert deployment_of(wanted({**ON_L4, **changes}))["spec"]["template"] == template(
        deployment_of(wanted(ON_L4))
    )


def test_a_claim_that_grows_restarts_none_although_new_pods_may_keep_more_in_it() -> None:
    assert step(cache={"size": "500Gi"}) is None


def test_another_place_to_fetch_from_restarts_pods_and_says_so() -> None:
    said = step(source={"huggingFace": {"endpoint": "https://mirror.example.com"}})
    assert said is not None
    assert said.startswith("source.huggingFace.endpoint unset → https://mirror.example.com")


def newer_operator(given: Wanted) -> Wanted:
    """The same wish, built by a version with another launcher, more labels and other constants."""
    rows = tuple(
        replace(
            row,
            card=replace(row.card, cloud_labels={"new.example.com/gpu": ("x",)}),
            host=replace(row.host, cpu_cores=row.host.cpu_cores + 1),
            budget=replace(row.budget, band_bytes=row.budget.band_bytes + 1),
            reason="said otherwise",
            decisions=(),
            warnings=("new",),
        )
        for row in given.rows
    )
    settings = replace(given.settings, runtime_image="example.com/qwen-runtime:2")
    return replace(given, rows=rows, settings=settings)


def test_a_newer_operator_restarts_nothing() -> None:
    old = wanted()
    new = newer_operator(old)
    assert template(deployment_of(new)) != template(deployment_of(old))
    assert reason(old, new) is None


def test_what_is_kept_is_still_kept_by_the_pass_after() -> None:
    live = apply(deployment_of(wanted()))
    desired = deployment_of(newer_operator(wanted()))
    kept = keep_running_template(desired, live)
    assert keep_running_template(desired, apply(kept)) == kept


def test_a_newer_launcher_comes_with_the_next_reason_to_restart() -> None:
    said = reason(wanted(ON_L4), newer_operator(wanted({**ON_L4, "image": "b"})))
    assert said is not None
    assert said.startswith("image unset → b: ")
    assert "launcher.image" in said


def test_another_image_of_the_administrator_is_a_reason() -> None:
    other = replace(SETTINGS, gpu_image="vllm:2")
    said = reason(wanted(ON_L4), wanted(ON_L4, settings=other))
    assert said is not None
    assert said == f"image {SETTINGS.gpu_image} → vllm:2"


def test_the_scale_is_taken_over_although_the_template_is_kept() -> None:
    live = apply(deployment_of(wanted()))
    desired = deployment_of(newer_operator(wanted({"replicas": 5})))
    kept = keep_running_template(desired, live)
    assert kept["spec"]["replicas"] == 5
    assert template(kept) == template(deployment_of(wanted()))


def test_a_template_that_was_tampered_with_is_mended() -> None:
    desired = deployment_of(wanted())
    live = edit(apply(desired), CONTAINER, "image", "evil:1")
    assert keep_running_template(desired, live) == desired
    said = explain_rollout(live, desired, (), ())
    assert said is not None
    assert said == f"image unset → {SETTINGS.gpu_image}"


def test_without_a_live_deployment_the_wish_stands() -> None:
    desired = deployment_of(wanted())
    assert keep_running_template(desired, None) is desired


def test_a_foreign_deployment_of_our_name_is_never_kept() -> None:
    desired = deployment_of(wanted())
    live = apply(desired, manager="kubectl")
    assert keep_running_template(desired, live) == desired


@pytest.mark.parametrize(("ready", "kept"), [(1, True), (0, False)])
def test_a_claim_that_grows_reaches_pods_that_wait_for_its_room(ready: int, kept: bool) -> None:
    before, after = (
        deployment_of(wanted({**ON_L4, "cache": {"size": size}})) for size in ("20Gi", "60Gi")
    )
    live = apply(before) | {"status": {"readyReplicas": ready}}
    rolled = keep_running_template(after, live)
    assert (template(rolled) == template(before)) is kept
