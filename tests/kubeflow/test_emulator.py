"""The emulation of Kubeflow itself, on hand-written pipelines: what tasks hand on, and refusals."""

import json

import pytest
from kubeflow.emulator import (
    FAILED,
    Emulator,
    RefusedError,
)
from kubeflow.launcher import expand
from kubeflow.specs import importer, pipeline, platforms, task

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("pods")]

ROOT = "minio://bucket/v2/artifacts"
CONSTANT = {"runtimeValue": {"constant": 7}}


def the_log(result):
    return result.tasks["only"].log.strip()


@pytest.mark.parametrize("root", [ROOT, "s3://bucket/root", "gs://bucket/root"])
def test_artifacts_are_handed_on_through_the_store(run, store, root):
    result = run(
        {
            "after": task(
                "print(read('model').joinpath('a/b').read_text())",
                takes={"model": ("before", "model")},
            ),
            "before": task(
                "write('model').joinpath('a').mkdir(parents=True);"
                "write('model').joinpath('a/b').write_text('weights')",
                gives=("model",),
            ),
        },
        root=root,
    ).check()
    assert list(result.tasks) == ["before", "after"]
    assert result.tasks["after"].log == "weights\n"
    uri = result.tasks["before"].artifacts["model"].uri
    assert uri.startswith(f"{root}/hand-written/{result.id}/before/")
    assert uri.endswith("/model")
    assert store.read(f"{uri}/a/b") == b"weights"


def test_tasks_run_after_those_they_name(run):
    tasks = {
        "a": task(dependentTasks=["b"]),
        "b": task(dependentTasks=["c"]),
        "c": task(),
    }
    assert list(run(tasks).check().tasks) == ["c", "b", "a"]


def test_an_output_may_be_a_file_or_missing(run, store):
    code = "write('file').write_text('1')"
    only = run({"only": task(code, gives=("file", "missing"))}).check().tasks["only"]
    assert store.read(only.artifacts["file"].uri) == b"1"
    assert store.list(only.artifacts["missing"].uri) == []


def test_empty_folders_are_lost(run):
    result = run(
        {
            "before": task(
                "write('data').joinpath('empty').mkdir(parents=True);"
                "write('data').joinpath('full').write_text('')",
                gives=("data",),
            ),
            "after": task("print(os.listdir(read('data')))", takes={"data": ("before", "data")}),
        }
    ).check()
    assert result.tasks["after"].log == "['full']\n"


def test_a_neighbour_with_a_longer_name_is_not_downloaded(run):
    result = run(
        {
            "before": task(
                "for key in ('model', 'model_run'): write(key).mkdir(parents=True),"
                "write(key).joinpath('file').write_text(key)",
                gives=("model", "model_run"),
            ),
            "after": task(
                "print(os.listdir(read('model').parent))", takes={"model": ("before", "model")}
            ),
        }
    ).check()
    assert result.tasks["after"].log == "['model']\n"


def test_inputs_have_no_type_and_a_number_for_a_name(run):
    result = run(
        {
            "before": task(
                "tell(artifacts={'data': {'artifacts': [{'metadata': "
                "{'flag': True, 'count': 3, 'text': 'x', 'list': [1]}}]}})",
                gives=("data",),
            ),
            "after": task(
                "print(json.dumps(artifact('inputs', 'data')))", takes={"data": ("before", "data")}
            ),
        }
    ).check()
    given = json.loads(result.tasks["after"].log)
    assert given["type"] == {"instanceSchema": ""}
    assert given["name"] == "1"
    metadata = given["metadata"]
    assert json.loads(metadata.pop("store_session_info"))["Provider"] == "minio"
    assert metadata == {
        "display_name": "data",
        "flag": 1,
        "count": 3,
        "text": "x",
        "list": {"list": [1]},
    }
    assert type(metadata["count"]) is int, "Go writes whole numbers without a point"


def test_outputs_keep_their_type(run):
    only = run({"only": task("print(artifact('outputs', 'data')['type'])", gives=("data",))})
    assert the_log(only) == str({"instanceSchema": "title: tfx.Data\ntype: object\n"})


def test_parameters_come_from_everywhere(emulator):
    spec = pipeline(
        {
            "before": task("print(parameter('number'), parameter('default'), parameter('text'));"
                           "tell(parameterValues={'told': 2.5});"
                           "Path(given['outputs']['parameters']['written']['outputFile'])"
                           ".write_text(' 41 ')",
                           parameters={"number": ("NUMBER_INTEGER", CONSTANT),
                                       "default": ("STRING", {"componentInputParameter": "d"}),
                                       "text": ("STRING", CONSTANT)},
                           gives_parameters={"told": "NUMBER_DOUBLE",
                                             "written": "NUMBER_INTEGER"}),
            "after": task("print(given['inputs']['parameterValues'])", parameters={
                name: (kind, {"taskOutputParameter": {
                    "producerTask": "before", "outputParameterKey": name}})
                for name, kind in (("told", "NUMBER_DOUBLE"), ("written", "NUMBER_INTEGER"))}),
        },
        {"d": {"parameterType": "STRING", "defaultValue": "by default"}},
    )  # fmt: skip
    result = emulator(spec).run().check()
    assert list(result.tasks) == ["before", "after"]
    assert result.tasks["before"].log == "7 by default 7\n"
    assert result.tasks["before"].parameters == {"told": 2.5, "written": 41}
    assert json.loads(result.tasks["after"].log.replace("'", '"')) == {"told": 2.5, "written": 41}
    assert emulator(spec).run({"d": "given"}).tasks["before"].log == "7 given 7\n"


def test_a_parameter_of_another_type_fails_in_the_driver(run):
    only = task(parameters={"flag": ("BOOLEAN", CONSTANT)})
    result = run({"only": only}).tasks["only"]
    assert (result.state, result.attempts) == (FAILED, [])
    assert "type mismatch" in result.error


def test_placeholders_other_than_the_whole_input(run):
    command = [
        "echo", "{{$.inputs.parameters['n']}}", "{{$.outputs.artifacts['x'].uri}}",
        "{{$.outputs.artifacts['x'].path}}", "$(WORD)", "$(UNKNOWN)", "$$(WORD)",
    ]  # fmt: skip
    only = task(command=command, parameters={"n": ("NUMBER_INTEGER", CONSTANT)}, gives=("x",),
                env={"WORD": "said"})  # fmt: skip
    result = run({"only": only}).check()
    uri = result.tasks["only"].artifacts["x"].uri
    words = the_log(result).split()[:6]
    path = uri.replace("minio://", "/minio/")
    assert words == ["7", uri, path, "said", "$(UNKNOWN)", "$(WORD)"]


def test_a_parameter_that_is_a_runs_placeholder_gets_what_it_stands_for(run):
    names = ("pipeline_job_uuid", "pipeline_job_name", "pipeline_job_resource_name")
    texts = {name: f"{{{{$.{name}}}}}" for name in names} | {"within": "a {{$.pipeline_job_uuid}}"}
    given = {name: ("STRING", {"runtimeValue": {"constant": text}}) for name, text in texts.items()}
    code = f"print(*[parameter(name) for name in {[*given]}], sep='|')"
    result = run({"only": task(code, parameters=given)}).check()
    job, name, resource, within = the_log(result).strip().split("|")
    assert job == result.id
    assert name.startswith("run of ")
    assert resource.endswith(f"-{result.id[:5]}")
    assert within == "a {{$.pipeline_job_uuid}}"


def test_dollars_in_parameters_are_kubernetes_to_expand():
    assert expand("a$$b $(X) $(Y) $X", {"X": "1"}) == "a$b 1 $(Y) $X"


def test_without_a_command_the_first_argument_is_the_program(run):
    only = task(command=["--executor_class_path"])
    result = run({"only": only}).tasks["only"]
    assert (result.state, result.exit_code) == (FAILED, 1)
    assert '"--executor_class_path": executable file not found' in result.error


def test_an_importer_hands_on_what_is_there(emulator, store):
    store.write("s3://bucket/data/file", b"there")
    reader = "print(read('data').joinpath('file').read_text(), artifact('inputs', 'data')['name'])"
    spec = pipeline(
        {
            "constant": importer({"constant": "s3://bucket/data"}, "examples"),
            "parameter": importer(
                {"runtimeParameter": "uri"}, "examples",
                inputs={"parameters": {"uri": {"componentInputParameter": "place"}}},
            ),
            "one": task(reader, takes={"data": ("constant", "examples")}),
            "two": task(reader, takes={"data": ("parameter", "examples")}),
        },
        {"place": {"parameterType": "STRING"}},
    )  # fmt: skip
    result = emulator(spec).run({"place": "s3://bucket/data"}).check()
    assert result.tasks["one"].log == result.tasks["two"].log == "there 1\n"


def test_a_json_file_is_refused(store, tmp_path):
    """What TFX writes to .json is a PipelineJob, for Vertex AI."""
    job = {"displayName": "x", "pipelineSpec": pipeline({"only": task()}), "runtimeConfig": {}}
    file = tmp_path / "pipeline.json"
    file.write_text(json.dumps(job))
    with pytest.raises(RefusedError, match="unknown template format"):
        Emulator(file, store, ROOT, tmp_path / "pods")


def set_schema(spec):
    spec["schemaVersion"] = "2.0.0"


def set_resolver(spec):
    executor = {"resolver": {"outputArtifactQueries": {"x": {"filter": "state=LIVE"}}}}
    spec["deploymentSpec"]["executors"]["exec-only"] = executor


def set_unknown_field(spec):
    spec["deploymentSpec"]["executors"]["exec-only"]["container"]["environment"] = []


def set_name(spec):
    tasks = spec["root"]["dag"]["tasks"]
    tasks["no.dots"] = tasks.pop("only")


def set_missing_producer(spec):
    source = {"taskOutputParameter": {"producerTask": "only_task", "outputParameterKey": "n"}}
    spec["root"]["dag"]["tasks"]["only"]["inputs"]["parameters"]["n"] = source


def set_missing_executor(spec):
    spec["components"]["comp-only"]["executorLabel"] = "another"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (set_schema, "KFP only supports schema version 2.1.0"),
        (set_resolver, "non-container and non-importer executor not implemented"),
        (set_unknown_field, "invalid deploymentSpec"),
        (set_name, "must consist of alpha-numeric"),
        (set_missing_producer, "cannot find producer task.*only_task"),
        (set_missing_executor, "not found in deployment config"),
    ],
)
def test_pipelines_that_are_refused(emulator, change, message):
    spec = pipeline({"only": task()})
    change(spec)
    with pytest.raises(RefusedError, match=message):
        emulator(spec)


@pytest.mark.parametrize(
    ("documents", "message"),
    [
        ([platforms(only={"secretAsEnvironment": []})], "unknown Kubernetes settings"),
        ([platforms(other={"pvcMount": []})], "executors that are not there"),
        ([platforms(), platforms()], "multiple platform specs"),
        ([{"platform": {}}], "neither a pipeline nor a platforms document"),
        ([pipeline({"only": task()})], "multiple pipeline specs"),
    ],
)
def test_platforms_documents_that_are_refused(emulator, documents, message):
    with pytest.raises(RefusedError, match=message):
        emulator(pipeline({"only": task()}), *documents)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({}, "parameter n is not optional, yet has neither default value nor user provided value"),
        ({"n": "7"}, "n requires a number"),
        ({"n": 7, "m": 1}, r"not required by pipeline: \['m'\]"),
    ],
)
def test_parameters_that_are_refused(emulator, parameters, message):
    spec = pipeline({"only": task()}, {"n": {"parameterType": "NUMBER_INTEGER"}})
    with pytest.raises(RefusedError, match=message):
        emulator(spec).run(parameters)
