"""A Spark session behind a line protocol: one JSON document a line in, one out. Runs in a process of its own (see spark.py).

A request is ``{"op": "sql", "text": …}``, ``{"op": "rows", "path": …, "version": …}`` or ``{"op": "python", "code": …, "given": {…}}``;
an answer ``{"ok": …}`` or ``{"error": …}``. Values are written so that two readers of one table can be compared as text (``plain``).
"""

import base64
import datetime as dt
import decimal
import json
import math
import os
import sys
import traceback


def plain(value):
    """A value as JSON: decimals and times as text, bytes in base64, maps as sorted pairs, structs by field name, NaN named."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else repr(value)
    if isinstance(value, decimal.Decimal):
        return f"{value:f}"
    if isinstance(value, dt.datetime):
        return value.isoformat(sep=" ", timespec="microseconds")
    if isinstance(value, dt.date):
        return value.isoformat()
    if isinstance(value, bytes | bytearray):
        return base64.b64encode(bytes(value)).decode()
    if hasattr(value, "asDict"):
        return {name: plain(one) for name, one in zip(value.__fields__, value, strict=True)}
    if isinstance(value, dict):
        return sorted(([plain(key), plain(one)] for key, one in value.items()), key=json.dumps)
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if hasattr(value, "toPython"):
        return plain(value.toPython())
    return str(value)


def session(settings):
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.appName("tests")
    for name, value in settings.items():
        builder = builder.config(name, value)
    return builder.getOrCreate()


class Answers:
    def __init__(self, settings) -> None:
        self.spark = session(settings)
        self.space = {"spark": self.spark, "plain": plain}

    def sql(self, request):
        return [plain(row) for row in self.spark.sql(request["text"]).collect()]

    def rows(self, request):
        """``{"columns": […], "rows": […]}``, the rows sorted by their text."""
        reader = self.spark.read.format("delta")
        if request.get("version") is not None:
            reader = reader.option("versionAsOf", request["version"])
        frame = reader.load(request["path"])
        rows = [[plain(one) for one in row] for row in frame.collect()]
        return {"columns": frame.columns, "rows": sorted(rows, key=lambda row: json.dumps(row, sort_keys=True))}

    def python(self, request):
        """Runs code; what it leaves in ``result`` is the answer. Names stay for later requests."""
        self.space.update(request["given"])
        self.space["result"] = None
        exec(compile(request["code"], "<test>", "exec"), self.space)
        return json.loads(json.dumps(self.space["result"], default=plain))


def main() -> None:
    # What Spark prints goes to the log: the answers have the stream for themselves.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def answer(document) -> None:
        answers.write(json.dumps(document) + "\n")
        answers.flush()

    does = Answers(json.loads(sys.stdin.readline()))
    answer({"ok": does.spark.version})
    for line in sys.stdin:
        request = json.loads(line)
        try:
            done = {"ok": getattr(does, request["op"])(request)}
        except Exception as error:  # noqa: BLE001 the asker decides
            done = {"error": f"{type(error).__name__}: {error}", "trace": traceback.format_exc()}
        answer(done)
    does.spark.stop()


if __name__ == "__main__":
    main()
