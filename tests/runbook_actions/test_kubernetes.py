"""``kubernetes:`` with the real kubectl, against a stand-in for a cluster's API on loopback."""

import shutil
import signal

import pytest

from tests.cli.running import answer
from tests.runbook_actions.cluster import Cluster
from tests.runbook_actions.kit import Run, until
from tests.runbook_actions.proxy import Proxy
from tests.runbooks.kit import page

# No package registry has a current one, so `make services` cannot get it: where it is missing, that is seen as a skip.
pytestmark = [pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not on this machine"), pytest.mark.timeout(1800)]


@pytest.fixture
def cluster(tmp_path):
    with Cluster(tmp_path) as made:
        made.add("Deployment", "api")
        yield made


def step(do, more="", *, id_="a", rest=""):
    return f"id: {id_}\nkubernetes: {{context: prod, namespace: shop, do: {do}{more}}}\n{rest}"


UNDO = "undo: {kubernetes: {context: prod, namespace: shop, do: scale, what: deployment/api}}"
HUMAN = "id: h\nkind: human\ndo: this"


def started(tmp_path, cluster, *steps) -> Run:
    return Run(tmp_path, page(*steps), KUBECONFIG=str(cluster.config))


def replicas(cluster):
    return cluster.objects["Deployment"]["api"]["spec"]["replicas"]


def test_scaled_down_and_back_to_what_it_was(tmp_path, cluster):
    scale = step("scale", ", what: deployment/api, replicas: 0", rest=f"outputs: {{former: former}}\n{UNDO}")
    look = step("get", ", what: deployment/api", id_="look", rest="outputs: {left: spec.replicas}")
    path = step("get", ", what: deploy/api, jsonpath: '{.spec.replicas}'", id_="path", rest="outputs: {left: text}")
    run = started(tmp_path, cluster, scale, look, path, HUMAN)
    waiting = answer(run("run", "./r.md"))
    assert [each["outputs"] for each in waiting["steps"][:3]] == [{"former": 3}, {"left": 0}, {"left": "0"}], waiting
    assert replicas(cluster) == 0
    assert answer(run("abort", run.id, "--reason", "enough"))["outcome"] == "aborted"
    assert replicas(cluster) == 3


@pytest.mark.parametrize("then", ["resume", "abort"])
def test_killed_when_it_was_scaled_and_nobody_had_seen_it(tmp_path, cluster, then):
    with Proxy(cluster.url) as proxy:
        cluster.write_config(proxy.url)
        proxy.hold = lambda method, _path: method == "PATCH"
        run = started(tmp_path, cluster, step("scale", ", what: deployment/api, replicas: 1", rest=UNDO), HUMAN)
        process = run.start()
        until(lambda: proxy.held.is_set() or process.poll() is not None, "it is scaled")
        process.send_signal(signal.SIGKILL)
        process.wait()
        run.end_what_it_started(run.id)
        proxy.hold = None
        assert replicas(cluster) == 1
        if then == "resume":
            assert run.resume()["waiting_for"]["step"] == "h"
            assert proxy.seen.count("PATCH /apis/apps/v1/namespaces/shop/deployments/api/scale") == 1
        done = answer(run("abort", run.id, "--reason", "enough"))
        assert (done["outcome"], done["steps"][0]["undo"]) == ("aborted", "undone")
        assert replicas(cluster) == 3


def test_killed_after_a_restart_it_is_not_restarted_again(tmp_path, cluster):
    with Proxy(cluster.url) as proxy:
        cluster.write_config(proxy.url)
        proxy.hold = lambda method, _path: method == "PATCH"
        run = started(tmp_path, cluster, step("restart", ", what: deployment/api"))
        process = run.start()
        until(lambda: proxy.held.is_set() or process.poll() is not None, "it is restarted")
        process.send_signal(signal.SIGKILL)
        process.wait()
        run.end_what_it_started(run.id)
        proxy.hold = None
        assert run.resume()["outcome"] == "done"
        assert cluster.restarts == 1


def test_refused_a_restart_comes_with_the_next_try_though_somebody_scaled_meanwhile(tmp_path, cluster):
    """An autoscaler raises the generation as a restart does."""
    run = started(tmp_path, cluster, step("restart", ", what: deployment/api"))
    cluster.refuses = True
    assert answer(run("run", "./r.md"))["outcome"] is None
    assert cluster.restarts == 0
    cluster.refuses = False
    with cluster.lock:
        cluster.change(cluster.objects["Deployment"]["api"], replicas=4)
    assert run.resume()["outcome"] == "done"
    assert cluster.restarts == 1


def test_a_job_is_deleted_and_one_of_its_name_is_left(tmp_path, cluster):
    cluster.add("Job", "load")
    run = started(
        tmp_path, cluster, step("delete", ", what: job/load"), step("wait", ", what: deployment/api, for: condition=Available", id_="w")
    )
    assert answer(run("run", "./r.md"))["outcome"] == "done"
    assert cluster.deleted == ["load"]
    there = tmp_path / "again"
    there.mkdir()
    gone = Run(there, page(step("delete", ", what: job/load")), **run.env)
    assert "there is no job/load" in answer(gone("run", "./r.md"))["why"]


def test_a_rollout_that_does_not_come_is_a_failure_that_says_how_far_it_is(tmp_path, cluster):
    cluster.seen("Deployment", "api")
    cluster.stuck = True
    run = started(tmp_path, cluster, step("scale", ", what: deployment/api, replicas: 5", rest="timeout: 30s"))
    assert "deployment/api has 3 replicas, 3 of them ready; 5 were asked for" in answer(run("run", "./r.md"))["why"]


def test_a_manifest_is_applied(tmp_path, cluster):
    manifest = (
        "apiVersion: batch/v1\nkind: Job\nmetadata: {name: fresh, namespace: shop}\nspec: {template: {spec: {restartPolicy: Never}}}\n"
    )
    (tmp_path / "job.yaml").write_text(manifest)
    run = started(tmp_path, cluster, step("apply", ", file: job.yaml"))
    stopped = answer(run("run", "./r.md"))
    # kubectl checks a manifest by the API's own description, which the stand-in does not have: what it says is told.
    assert stopped["outcome"] == "done" or "openapi" in stopped["why"], stopped


def test_never_the_context_that_happens_to_be_in_force(tmp_path, cluster):
    run = started(tmp_path, cluster, "id: a\nkubernetes: {namespace: shop, do: get, what: deployment/api}")
    refused = run("lint", "./r.md")
    assert refused.returncode == 2
    assert "context" in refused.stdout
    (tmp_path / "r.md").write_text(page(step("get", ", what: deployment/api").replace("prod", "stage")))
    assert 'context "stage" does not exist' in answer(run("run", "./r.md"))["why"]
    (tmp_path / "r.md").write_text(page(step("delete", ", what: deployment/api")))
    assert "only jobs are deleted" in run("lint", "./r.md").stdout
