"""Files examined, by as many processes as a machine has cores."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from actwise.conversation import Conversation
from actwise.doctor.diagnosis import Diagnosis, Examination, Seen
from actwise.doctor.mend import Mending, write_mended
from actwise.formats import Rejected, UniqueIds, read_each

Item = Conversation | Rejected


def examine_files(
    files: Sequence[Path],
    *,
    held_out: Sequence[Path] = (),
    format: str | None = None,
    tools: Path | None = None,
    model: str | None = None,
    fix: Path | None = None,
    told: Callable[[int], None] = lambda count: None,
    processes: int = 1,
) -> tuple[Diagnosis, Mending | None]:
    """Look through files; see `examine`.

    Args:
        files: The logs, each read once: they may come through a pipe.
        held_out: Files of the other side of a split, none of which may occur in `files`.
        format: See `read_files`.
        tools: See `read_files`.
        model: Folder of a model; what its chat template cannot render counts as rejected.
        fix: Where a mended copy is written, if one is wanted.
        told: See `read_texts`.
        processes: See `read_each`; what is found does not depend on it.

    Returns:
        What was found, and what was mended.

    Raises:
        ActwiseError: A file cannot be read, the model cannot be used, or the copy not be written.
    """
    examination = Examination()
    read = partial(read_each, format=format, tools=tools, told=told, processes=processes)
    for held_out_one in read(held_out, _looking_at_held_out):
        examination.note_held_out(held_out_one)
    if fix is None:
        for seen in read(files, partial(_looking, model)):
            examination.note(seen)
        return examination.diagnosis(), None
    ids = UniqueIds()

    def items() -> Iterator[Item]:
        for seen, item in read(files, partial(_looking_and_keeping, model)):
            examination.note(seen)
            if isinstance(item, Conversation) and (name := ids.take(item.id)) != item.id:
                item = item.model_copy(update={"id": name})
            yield item

    mending = write_mended(items(), fix)
    return examination.diagnosis(), mending


def _looking_at_held_out() -> Callable[[Item], Seen]:
    return Examination().look_held_out


def _looking(model: str | None) -> Callable[[Item], Seen]:
    both = _looking_and_keeping(model)
    return lambda item: both(item)[0]


def _looking_and_keeping(model: str | None) -> Callable[[Item], tuple[Seen, Item]]:
    template = None
    if model is not None:
        from actwise.template.render import Template  # and so transformers

        template = Template.load(model)
    examination = Examination(template=template)

    def look(item: Item) -> tuple[Seen, Item]:
        item = examination.rendered(item)
        return examination.look(item), item

    return look
