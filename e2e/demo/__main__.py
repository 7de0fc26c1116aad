"""Commands: python -m e2e.demo up | down."""

import argparse
import asyncio
import sys

import yaml

from e2e.cluster.api import Refused, connect
from e2e.cluster.errors import HarnessError
from e2e.cluster.paths import REPOSITORY
from e2e.demo.model import TINY, choose_model, is_hub_reachable
from e2e.demo.serving import (
    NAME,
    NAMESPACE,
    build_deployment,
    build_namespace,
    chat,
    wait_until_ready,
)
from e2e.demo.steps import Steps
from e2e.demo.target import Target, call, call_qwen, choose_target
from e2e.images.product import OPERATOR, RUNTIME, VLLM_CPU

CHART = REPOSITORY / "charts" / "qwen-operator"
RELEASE = "qwen-operator"
QUESTION = "What is a Kubernetes operator, in one sentence?"
STEPS = 9


def main(arguments: list[str] | None = None) -> int:
    """Run one command; 0 is success, 1 a failure that was explained."""
    parser = argparse.ArgumentParser(prog="python -m e2e.demo", description=__doc__)
    parser.add_argument("command", choices=("up", "down"))
    command = parser.parse_args(arguments).command
    try:
        target = choose_target()
        return _up(target) if command == "up" else _down(target)
    except HarnessError as error:
        print(f"error: {error}", file=sys.stderr)
        print("make demo goes on from here; make demo-down removes what is there", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; make demo goes on from here", file=sys.stderr)
        return 1


def _up(target: Target) -> int:
    steps = Steps(STEPS)
    with steps.step("a cluster", "10 s; 15 min the first time, which builds Kubernetes"):
        target.up(steps.within())
    with steps.step("the operator's image", "1 min when the operator has changed"):
        operator, tag = target.load(OPERATOR, steps.within()).rsplit(":", 1)
    with steps.step("the runtime image: launcher and fetcher", "1 min when they have changed"):
        runtime, runtime_tag = target.load(RUNTIME, steps.within()).rsplit(":", 1)
    settings = {
        "image.repository": operator,
        "image.tag": tag,
        "runtimeImage.repository": runtime,
        "runtimeImage.tag": runtime_tag,
    }
    with steps.step("vLLM's CPU image", "6 min the first time, with 700 MB of downloads"):
        if target.pulls_vllm:
            steps.say("your cluster pulls vLLM's public image")
        else:
            settings["vllm.cpuImage"] = target.load(VLLM_CPU, steps.within())
    with steps.step("install the operator with Helm", "10 s"):
        _install(target, settings)
    with steps.step("a model", "1 s; as long as 2 GB take where Hugging Face is reachable"):
        model = choose_model(reachable_hub=is_hub_reachable())
        endpoint = target.serve_model(model)
        steps.say(f"{model.name} from {endpoint or 'Hugging Face'}")
    with steps.step("apply a QwenDeployment", "1 s"):
        wanted = build_deployment(model, endpoint)
        for line in yaml.safe_dump(wanted, sort_keys=False).splitlines():
            steps.say(f"  {line}")
        asyncio.run(_apply(target, wanted))
    with steps.step("wait until it is Ready", "1 to 2 min"):
        asyncio.run(_wait(target, steps))
    with steps.step("ask it something", "5 s"):
        print(f"\n> {QUESTION}", flush=True)
        asyncio.run(_chat(target))
        print("\n")
        if model.name == TINY:
            steps.say("its weights are random, so its words mean nothing; all else is real")
    print(_show(target))
    print(f"\nWhat each step took:\n{steps.table()}\n")
    print(f"To go on, in your shell:\n  {target.shell_lines()}")
    print(f"  uv run kubectl-qwen chat {NAME} -n {NAMESPACE} 'Why is the sky blue?'")
    print("  make demo-down     # removes everything but the cache")
    return 0


def _down(target: Target) -> int:
    if target.down():
        print("down; built programs and images are kept in .cache")
        return 0
    gone = "--ignore-not-found"
    call(target, "helm", "uninstall", RELEASE, "-n", RELEASE, gone, settings={})
    # A namespace that is deleted with its pods waits for half of their five minutes of grace.
    pods = ("deployments", "--all", "--cascade=foreground", "-n", NAMESPACE)
    call(target, "kubectl", "delete", *pods, settings={})
    call(target, "kubectl", "delete", "namespace", NAMESPACE, RELEASE, gone, settings={})
    print("removed from your cluster, but for the CRD, which others may be using:")
    print("  kubectl delete crd qwendeployments.qwen-operator.io")
    return 0


def _install(target: Target, settings: dict[str, str]) -> None:
    call(
        target,
        "helm",
        *("upgrade", "--install", RELEASE, CHART, "--namespace", RELEASE, "--create-namespace"),
        *("--wait", "--timeout", "180s"),
        settings=settings,
    )


async def _apply(target: Target, wanted: dict[str, object]) -> None:
    async with connect(target.kubeconfig) as api:
        try:
            await api.apply(build_namespace())
            await api.apply(wanted)
        except Refused as refused:
            raise HarnessError(f"the API server refuses it: {refused.message}") from None


async def _wait(target: Target, steps: Steps) -> None:
    async with connect(target.kubeconfig) as api:
        await wait_until_ready(api, steps.say)


async def _chat(target: Target) -> None:
    async with connect(target.kubeconfig) as api:
        await chat(api, QUESTION, lambda text: print(text, end="", flush=True))


def _show(target: Target) -> str:
    """The object as kubectl shows it, and as our own command does."""
    words = ("-n", NAMESPACE)
    table = call(target, "kubectl", "get", "qd", NAME, *words, settings={})
    status = call_qwen(target, "status", NAME, *words)
    return (
        f"$ kubectl {' '.join(words)} get qd\n{table}\n"
        f"$ kubectl qwen status {NAME} {' '.join(words)}\n{status}"
    )


if __name__ == "__main__":
    sys.exit(main())
