"""Fetching benchmarks from the Hugging Face hub with `datasets`, and taking over files that are here."""

from __future__ import annotations

import importlib.util
import os
import tempfile
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from engine.evaluation.benchmark_checks import check_items
from engine.evaluation.benchmark_data import (
    Loaded,
    Place,
    Provenance,
    describe,
    how_to_get,
    read_place,
    store,
)
from engine.evaluation.benchmark_errors import (
    BenchmarkChanged,
    BenchmarkMissing,
    BenchmarkUnreadable,
    HubUnreachable,
)
from engine.evaluation.benchmark_files import Row
from engine.evaluation.benchmarks import Benchmark, Hub
from engine.evaluation.items import Item
from engine.evaluation.layouts import items_of
from engine.workspace import default_data_dir


def fetch_benchmark(
    benchmark: Benchmark, *, accept_changed: bool = False, env: Mapping[str, str] = os.environ
) -> Loaded:
    """Fetch a benchmark from the hub, check it and keep it in the data folder.

    A hash that differs from the pinned one is noted, not refused: the hub's copy of the same items may be
    in another order or spell them otherwise.

    Raises:
        BenchmarkMissing: if no hub has it, the extra is not installed, or the hub does not give it to us.
        HubUnreachable: if the hub does not answer.
        BenchmarkUnreadable: if its rows are not laid out as is known.
        BenchmarkChanged: if counts or labels are not as published and ``accept_changed`` is not set;
            nothing is kept then.
        OSError: if it cannot be stored.
    """
    if benchmark.hub is None:
        raise BenchmarkMissing(f"No hub has {benchmark.name}.", hint=how_to_get(benchmark))
    if importlib.util.find_spec("datasets") is None:
        raise BenchmarkMissing(
            "Fetching needs the package datasets, which is not installed.",
            hint="pip install 'wizard101[train]'",
        )
    revision, rows = _download(benchmark.hub)
    source = f"hf://datasets/{benchmark.hub.dataset}"
    items = items_of(rows, benchmark.hub.layout, source)
    return _keep(benchmark, items, source, revision, accept_changed, env)


def import_benchmark(
    benchmark: Benchmark, folder: Path, *, accept_changed: bool = False, env: Mapping[str, str] = os.environ
) -> Loaded:
    """Keep a benchmark's published files, which lie in ``folder``, in the data folder.

    Raises:
        BenchmarkMissing, BenchmarkUnreadable, BenchmarkChanged, OSError: as `fetch_benchmark`.
    """
    for local in benchmark.local:
        if files := local.files(folder):
            place = Place(folder, tuple(files), local)
            loaded = read_place(benchmark, place, accept_changed=accept_changed)
            return _keep(benchmark, list(loaded.items), str(folder), "", accept_changed, env)
    raise BenchmarkMissing(f"{folder} does not hold {benchmark.name}.", hint=how_to_get(benchmark))


def _keep(
    benchmark: Benchmark,
    items: list[Item],
    source: str,
    revision: str,
    accept_changed: bool,
    env: Mapping[str, str],
) -> Loaded:
    check = check_items(benchmark, items)
    if check.faults and not accept_changed:
        raise BenchmarkChanged(
            f"What {source} has of {benchmark.name} is not what was published: {'; '.join(check.faults)}. "
            "Nothing was kept.",
            check.faults,
            hint="Take it as it is with --accept-changed: figures will not compare.",
        )
    provenance = Provenance(
        benchmark.name,
        source,
        revision,
        benchmark.licence,
        check.sha256,
        len(items),
        datetime.now(UTC).isoformat(timespec="seconds"),
        check.faults,
    )
    folder = default_data_dir(env)
    file = store(benchmark, items, provenance, folder)
    off = describe(check)
    part = (check.content.part,) if check.content and check.content.part else ()
    return Loaded(
        benchmark,
        items,
        check.sha256,
        check.pinned and not off,
        Place(folder, (file,)),
        (*off, *part),
        provenance,
    )


def _download(hub: Hub) -> tuple[str, Iterator[Row]]:
    """Return the revision that the data set is at, and its rows; each says which split it is of."""
    import datasets
    from datasets.exceptions import DatasetNotFoundError, DatasetsError
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError

    datasets.disable_progress_bars()
    try:
        revision = HfApi().dataset_info(hub.dataset).sha or ""
        rows = []
        # What datasets makes of the files is of no use once it is kept in our form.
        with tempfile.TemporaryDirectory(prefix="wizard101-") as scratch:
            for config in hub.configs:
                for split in hub.splits:
                    part = datasets.load_dataset(
                        hub.dataset, config, split=split, revision=revision or None, cache_dir=scratch
                    )
                    rows += [(split, dict(row)) for row in part]
    except (DatasetNotFoundError, RepositoryNotFoundError) as error:
        raise _refused(hub, error) from error
    except HfHubHTTPError as error:
        if error.response is not None and error.response.status_code in (401, 403, 404):
            raise _refused(hub, error) from error
        raise _unreachable(f"The hub did not give {hub.dataset}", error) from error
    except Exception as error:
        if _is_of_transport(error):
            raise _unreachable("The hub cannot be reached", error) from error
        if isinstance(error, ValueError | DatasetsError):
            raise BenchmarkUnreadable(
                f"{hub.dataset} is not laid out as is known: {_first_line(error)}.",
                hint="It may have changed on the hub; take over the published files with --from DIR.",
            ) from error
        raise
    return revision, ({"split": split, **row} for split, row in rows)


def _refused(hub: Hub, error: Exception) -> BenchmarkMissing:
    if hub.gated:
        return BenchmarkMissing(
            f"{hub.dataset} is gated, and the hub did not give it to us.",
            hint="Accept its conditions on the hub and log in ('hf auth login', or HF_TOKEN).",
        )
    return BenchmarkMissing(f"The hub did not give {hub.dataset} to us: {_first_line(error)}.")


def _unreachable(what: str, error: Exception) -> HubUnreachable:
    return HubUnreachable(
        f"{what}: {_first_line(error)}.",
        hint="Try again with a connection, or take over files that are here with --from DIR.",
    )


def _is_of_transport(error: Exception) -> bool:
    """Whether it comes from the connection. Which client the hub's library brings along is its own affair."""
    if isinstance(error, ConnectionError | TimeoutError):
        return True
    return any(cls.__name__ == "TransportError" for cls in type(error).__mro__)


def _first_line(error: Any) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__).rstrip(".")
