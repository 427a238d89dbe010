"""What is deployed fits the code: tables and models, queues and consumers, functions, their rights and settings."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from app import app
from chalicelib.connectors.importer import rules as importer
from chalicelib.core.consumer import SETTINGS_OF_FUNCTIONS, SUBJECTS_OF_STREAMS
from chalicelib.core.endpoint import REGISTRY
from chalicelib.core.settings import PREFIX, Settings
from chalicelib.core.table import Table
from infra import apart, grants
from tests.support import cloud, template
from tests.support.template import BUCKET, QUEUE, TABLE, short_name

MODELS = sorted(cloud.all_models(), key=lambda model: (model.table, model.__name__))
TABLES = {short_name(properties["TableName"]): properties for properties in template.resources(TABLE).values()}
QUEUES = {short_name(properties["QueueName"]): properties for properties in template.resources(QUEUE).values()}
FUNCTIONS = template.functions()
DEAD_LETTERS = {"alert-failures", "relay-failures", *(name for name in QUEUES if name.endswith("-dead"))}
APIS = {apart.API_HANDLER, *(own.name for own in apart.APART)}
CONSUMERS = {
    source.queue_arn.rpartition(":")[2]: source for source in app.event_sources if hasattr(source, "queue_arn")
}
"""Queue → the event source of its consumer."""
DAY = 24 * 3600
DAYS_OF_ROUNDING = 2
"""S3 rounds each of the two times up to the next midnight."""
VISIBILITY_FACTOR = 6
"""A queue hides a message for six times its consumer's timeout, as AWS asks of an event source."""

every_function = pytest.mark.parametrize("function", sorted(FUNCTIONS))
every_stage = pytest.mark.parametrize("stage", sorted(template.stages()))
every_stream = pytest.mark.parametrize("function", sorted(SUBJECTS_OF_STREAMS))


def keys_of(schema: list[dict[str, str]]) -> dict[str, str]:
    """HASH and RANGE, each with its attribute."""
    return {part["KeyType"]: part["AttributeName"] for part in schema}


def settings_of(function: str) -> set[str]:
    """The variables that a function must be given."""
    kinds = {SETTINGS_OF_FUNCTIONS[function]} if function not in APIS else _settings_of_an_api(function)
    fields = [field for kind in kinds for field in msgspec.structs.fields(kind) if field.required]
    return {PREFIX + field.encode_name.upper() for field in fields}


def _settings_of_an_api(function: str) -> set[type[Settings]]:
    served = [each for each in REGISTRY.values() if apart.function_of(each.path) == function]
    return {kind for declared in served for kind in (declared.settings, declared.allow.settings)}


def variables_of(function: str) -> set[str]:
    """What the template gives a function. Other API functions are made in the likeness of chalice's."""
    likeness = [apart.API_HANDLER] if function in APIS else []
    functions = [FUNCTIONS[name] for name in (function, *likeness)]
    return {name for each in functions for name in each.get("Environment", {}).get("Variables", {})}


def stream_of(function: str) -> dict[str, Any]:
    """What the template says of the mapping from the journal's stream to a function."""
    [source] = FUNCTIONS[function]["Events"].values()
    return dict(source["Properties"])


def current_days(key: str) -> int:
    """How long the object of that name is read by its name: of the rules that cover it the shortest holds."""
    return min(rule["ExpirationInDays"] for rule in _lifecycle(key) if "ExpirationInDays" in rule)


def noncurrent_days(key: str) -> int:
    """How long a version of it is kept after that."""
    found = [rule["NoncurrentVersionExpiration"] for rule in _lifecycle(key) if "NoncurrentVersionExpiration" in rule]
    return min(rule["NoncurrentDays"] for rule in found)


def _lifecycle(key: str) -> list[dict[str, Any]]:
    rules = template.resources(BUCKET)["InboxBucket"]["LifecycleConfiguration"]["Rules"]
    return [rule for rule in rules if key.startswith(rule.get("Prefix", "")) and rule["Status"] == "Enabled"]


class TestTables:
    @pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
    def test_every_model_has_a_table_with_its_keys_and_indexes(self, model: type[Table]) -> None:
        table, schema = TABLES[model.table], model._get_schema()
        assert keys_of(table["KeySchema"]) == keys_of(schema["key_schema"])
        indexes = {index["IndexName"]: index for index in table.get("GlobalSecondaryIndexes", [])}
        declared = {index["index_name"]: index for index in schema["global_secondary_indexes"]}
        assert set(indexes) == set(declared)
        for name, index in declared.items():
            assert keys_of(indexes[name]["KeySchema"]) == keys_of(index["key_schema"])
            assert indexes[name]["Projection"]["ProjectionType"] == index["projection"]["ProjectionType"]

    def test_every_table_has_a_model(self) -> None:
        assert set(TABLES) == {model.table for model in MODELS}

    @pytest.mark.parametrize("table", TABLES)
    def test_every_table_is_encrypted_kept_and_expires_what_says_so(self, table: str) -> None:
        properties = TABLES[table]
        assert properties["SSESpecification"]["SSEEnabled"]
        recovery = properties["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"]
        assert recovery is (table != "keyring"), "a destroyed key must not come back from a backup"
        expiring = {
            name
            for model in MODELS
            if model.table == table
            for name, attribute in model.get_attributes().items()
            if type(attribute).__name__ == "TTLAttribute"
        }
        given = properties.get("TimeToLiveSpecification", {})
        assert expiring == ({given["AttributeName"]} if given.get("Enabled") else set())

    @pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
    def test_only_the_journal_streams(self, model: type[Table]) -> None:
        streams = {"StreamViewType": "NEW_IMAGE"} if model.table == "journal" else None
        assert TABLES[model.table].get("StreamSpecification") == streams


class TestQueues:
    def test_every_queue_has_a_consumer(self) -> None:
        assert set(CONSUMERS) == set(QUEUES) - DEAD_LETTERS

    @pytest.mark.parametrize("queue", sorted(set(QUEUES) - DEAD_LETTERS))
    def test_every_queue_has_a_dead_letter_queue_of_its_own(self, queue: str) -> None:
        policy = QUEUES[queue]["RedrivePolicy"]
        target = template.template()["Resources"][policy["deadLetterTargetArn"]["Fn::GetAtt"][0]]
        assert short_name(target["Properties"]["QueueName"]) == f"{queue}-dead"
        assert policy["maxReceiveCount"] >= 3

    @pytest.mark.parametrize("name", QUEUES)
    def test_a_dead_letter_has_ten_days_left_though_it_keeps_the_time_of_its_first_enqueuing(self, name: str) -> None:
        assert QUEUES[name]["MessageRetentionPeriod"] == (14 if name in DEAD_LETTERS else 4) * DAY

    @pytest.mark.parametrize("queue", sorted(CONSUMERS))
    def test_the_consumer_is_fed_by_its_queue_and_reports_failures(self, queue: str) -> None:
        [source] = FUNCTIONS[CONSUMERS[queue].name]["Events"].values()
        logical = source["Properties"]["Queue"]["Fn::GetAtt"][0]
        assert short_name(template.template()["Resources"][logical]["Properties"]["QueueName"]) == queue
        assert source["Properties"]["FunctionResponseTypes"] == ["ReportBatchItemFailures"]

    @every_stage
    @pytest.mark.parametrize("queue", sorted(CONSUMERS))
    def test_a_message_is_hidden_longer_than_its_consumer_works(self, queue: str, stage: str) -> None:
        timeout = template.stages()[stage]["lambda_functions"][CONSUMERS[queue].name]["lambda_timeout"]
        assert QUEUES[queue]["VisibilityTimeout"] >= VISIBILITY_FACTOR * timeout

    @every_stream
    def test_the_stream_tries_again_reports_failures_and_keeps_what_failed(self, function: str) -> None:
        properties = stream_of(function)
        failures = {"relay": "RelayFailures", "alert_events": "AlertFailures"}[function]
        assert properties["Stream"] == {"Fn::GetAtt": ["JournalTable", "StreamArn"]}
        assert properties["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
        assert properties["BisectBatchOnFunctionError"]
        assert 0 < properties["MaximumRetryAttempts"] <= 10, "a batch that fails blocks its shard"
        assert properties["DestinationConfig"]["OnFailure"]["Destination"] == {"Fn::GetAtt": [failures, "Arn"]}

    @every_stream
    def test_the_stream_is_filtered_by_what_its_function_takes(self, function: str) -> None:
        [only] = stream_of(function)["FilterCriteria"]["Filters"]
        prefix = SUBJECTS_OF_STREAMS[function]
        keys = {"dynamodb": {"Keys": {"subject": {"S": [{"prefix": prefix}]}}}} if prefix else {}
        assert json.loads(only["Pattern"]) == {"eventName": ["INSERT"], **keys}

    def test_no_more_than_two_functions_read_the_stream_and_alerts_are_one_of_them(self) -> None:
        """DynamoDB throttles a third reader of a shard."""
        assert SUBJECTS_OF_STREAMS == {"relay": "", "alert_events": "alert/"}

    def test_an_alert_waits_for_no_batch_to_fill_and_for_no_other_alert(self) -> None:
        assert stream_of("alert_events")["MaximumBatchingWindowInSeconds"] == 0
        assert stream_of("alert_events")["ParallelizationFactor"] == 10
        for function in ("alert_timers", "alert_pages", "alert_texts"):
            [source] = FUNCTIONS[function]["Events"].values()
            assert source["Properties"]["MaximumBatchingWindowInSeconds"] == 0
            assert [found.batch_size for found in app.event_sources if found.name == function] == [1]

    def test_a_suspension_waits_for_no_batch_to_fill_and_entries_leave_it_room(self) -> None:
        [source] = FUNCTIONS["pass_events"]["Events"].values()
        assert source["Properties"]["MaximumBatchingWindowInSeconds"] == 0
        [source] = FUNCTIONS["pass_entries"]["Events"].values()
        assert source["Properties"]["ScalingConfig"]["MaximumConcurrency"] <= 100, "of the account's 1,000"

    @every_stage
    @pytest.mark.parametrize("queue", sorted(CONSUMERS))
    def test_a_queue_hands_out_no_more_than_is_reserved_for_its_consumer(self, queue: str, stage: str) -> None:
        """What finds no room counts as a try."""
        function = CONSUMERS[queue].name
        reserved = template.stages()[stage]["lambda_functions"][function].get("reserved_concurrency")
        [source] = FUNCTIONS[function]["Events"].values()
        if reserved is not None:
            assert source["Properties"]["ScalingConfig"]["MaximumConcurrency"] <= reserved

    @pytest.mark.parametrize("name", QUEUES)
    def test_every_queue_is_encrypted(self, name: str) -> None:
        assert QUEUES[name]["SqsManagedSseEnabled"]


class TestFunctions:
    def test_every_handler_is_a_function_of_the_template(self) -> None:
        workers = {source.name for source in app.event_sources}
        assert set(FUNCTIONS) == {*APIS, *workers}
        assert workers == set(SETTINGS_OF_FUNCTIONS)

    @every_stage
    def test_every_function_is_configured_in_every_stage(self, stage: str) -> None:
        configured = template.stages()[stage]
        assert configured["autogen_policy"] is False
        assert set(configured["lambda_functions"]) == set(FUNCTIONS)
        for name, function in configured["lambda_functions"].items():
            assert function["iam_policy_file"] == f"policy-{name}.json"

    @every_stage
    def test_every_stage_forgets_its_logs_after_30_days(self, stage: str) -> None:
        assert template.stages()[stage]["log_retention_in_days"] == 30

    @every_stage
    @every_function
    def test_every_setting_is_given(self, function: str, stage: str) -> None:
        configured = template.stages()[stage]
        given = {
            *configured["environment_variables"],
            *configured["lambda_functions"][function].get("environment_variables", {}),
            *variables_of(function),
        }
        assert settings_of(function) - given == set()

    @every_function
    def test_its_policy_is_what_the_table_of_rights_says(self, function: str) -> None:
        assert function not in grants.stale()

    @every_function
    def test_its_policy_names_tables_queues_and_indexes_that_exist(self, function: str) -> None:
        granted = grants.GRANTS[function]
        assert set(granted.tables) <= set(TABLES)
        assert set(granted.queues) <= set(QUEUES)
        assert set(granted.indexes) <= {
            f"{table}/{index['IndexName']}"
            for table, properties in TABLES.items()
            for index in properties.get("GlobalSecondaryIndexes", [])
        }

    @every_function
    def test_its_policy_lets_it_read_its_queue_and_write_to_those_it_is_told_of(self, function: str) -> None:
        granted = grants.GRANTS[function].queues
        feeding = {queue for queue, source in CONSUMERS.items() if source.name == function}
        told = {
            name.removeprefix(PREFIX).removesuffix("_QUEUE").lower().replace("_", "-")
            for name in variables_of(function)
            if name.endswith("_QUEUE")
        }
        assert {queue for queue, actions in granted.items() if "sqs:ReceiveMessage" in actions} == feeding
        assert {queue for queue, actions in granted.items() if "sqs:SendMessage" in actions} - DEAD_LETTERS == told

    @every_function
    def test_its_policy_has_no_star(self, function: str) -> None:
        for statement in template.policy(function):
            assert not any("*" in action for action in statement["Action"])
            assert "*" not in statement.get("Resource", [])

    @every_function
    def test_only_pages_may_be_sent_to_what_has_no_name(self, function: str) -> None:
        """A phone number: all but what SNS has names for."""
        found = [statement for statement in template.policy(function) if "NotResource" in statement]
        others = [{"Fn::Sub": "arn:${AWS::Partition}:sns:*:*:*"}]
        expected = [{"Effect": "Allow", "Action": ["sns:Publish"], "NotResource": others}]
        assert found == (expected if function == "alert_pages" else [])


class TestBuckets:
    every_bucket = pytest.mark.parametrize("name", template.resources(BUCKET))

    @every_bucket
    def test_it_is_private_versioned_and_encrypted(self, name: str) -> None:
        bucket = template.resources(BUCKET)[name]
        assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
        assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}
        assert bucket["BucketEncryption"]

    @pytest.mark.parametrize("prefix", ["inbox/", "rejects/"])
    def test_no_version_is_there_after_30_days(self, prefix: str) -> None:
        assert current_days(prefix) + noncurrent_days(prefix) + DAYS_OF_ROUNDING <= 30

    def test_a_dead_letter_finds_its_version_though_another_came_at_once(self) -> None:
        waited = QUEUES["inbox"]["MessageRetentionPeriod"] + QUEUES["slices-dead"]["MessageRetentionPeriod"]
        assert noncurrent_days("inbox/") * DAY >= waited

    def test_a_slice_that_was_a_dead_letter_finds_the_rejects_of_the_others(self) -> None:
        waited = QUEUES["inbox"]["MessageRetentionPeriod"] + QUEUES["slices-dead"]["MessageRetentionPeriod"]
        assert current_days(importer.part_key("some", 1)) * DAY >= waited

    @every_bucket
    def test_delete_markers_go_by_a_rule_of_their_own(self, name: str) -> None:
        """S3 takes no rule that says both that and a number of days."""
        rules = template.resources(BUCKET)[name]["LifecycleConfiguration"]["Rules"]
        [cleaning] = [rule for rule in rules if rule.get("ExpiredObjectDeleteMarker")]
        assert cleaning.keys() == {"Id", "Status", "ExpiredObjectDeleteMarker"}
